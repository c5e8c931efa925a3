import os
import traceback
from dataclasses import replace

import numpy as np
import pytest

from hbt_ray.cluster.capacity import num_places
from hbt_ray.cluster.tasks import first_error
from hbt_ray.errors import ClusterError, ConfigError
from hbt_ray.model.encoder import Encoder
from hbt_ray.retrieval.encoding.ray_encode import EncoderSpec, ray_encode
from hbt_ray.retrieval.encoding.vector_store import VectorStore, encode_cached

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def texts():
    rng = np.random.default_rng(0)
    words = ["1", "2", "3", "seven", "eight", "ten", "März", "三月", "Μάρτιος", "five"]
    return [" ".join(rng.choice(words, rng.integers(1, 40))) for _ in range(300)] + ["seven"] * 3


@pytest.fixture(scope="module")
def encoder(small_base):
    return Encoder.load(small_base, query_prefix="Query: ", max_query_tokens=16, max_passage_tokens=48)


@pytest.fixture(scope="module")
def spec(encoder, small_base):
    return EncoderSpec.of(encoder, small_base)


def test_equal_to_the_local_path_and_resumed(ray_session, encoder, spec, texts, tmp_path):
    local = VectorStore(tmp_path / "local", spec.fingerprint("query"), encoder.dim)
    expected = encode_cached(encoder, texts, "query", local, block=32)
    store = VectorStore(tmp_path / "ray", spec.fingerprint("query"), encoder.dim)

    class Interrupted(Exception):
        pass

    def stop(done, total):
        if done > 100:
            raise Interrupted

    with pytest.raises(Interrupted):
        ray_encode(spec, texts, "query", store, stop, 32, num_cpus=1)
    kept = len(store)
    assert 100 < kept < 250
    seen = []
    got = ray_encode(spec, texts, "query", store, lambda *at: seen.append(at), 32, num_cpus=1)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-6)
    assert kept <= seen[0][0] < seen[1][0]
    assert seen == sorted(seen)
    assert seen[-1] == (len(texts), len(texts))
    assert spec.fingerprint("query") != spec.fingerprint("passage")
    # All is known now: not even an actor starts.
    broken = replace(spec, model="/no/such/model")
    np.testing.assert_array_equal(ray_encode(broken, texts, "query", store), got)


def test_a_model_that_does_not_load_is_told_in_one_line(ray_session, encoder, spec, texts, tmp_path):
    store = VectorStore(tmp_path, "model", encoder.dim)
    with pytest.raises(
        ConfigError, match=r"^model '/no/such/model' cannot be loaded: there is no such directory"
    ) as told:
        ray_encode(replace(spec, model="/no/such/model"), texts, "query", store, num_cpus=1)
    assert "\n" not in str(told.value)


def test_no_room(ray_session, encoder, spec, texts, tmp_path):
    store = VectorStore(tmp_path, "model", encoder.dim)
    assert num_places("encoding", 1) == 4
    assert num_places("encoding", 3) == 1
    with pytest.raises(ClusterError, match=r"encoding needs 5 CPU on one node .* a node has is 4 CPU"):
        ray_encode(spec, texts, "query", store, num_cpus=5)
    with pytest.raises(ClusterError, match=r"needs 1 CPU and 1 GPU on one node .* is 4 CPU, 0 GPU"):
        ray_encode(spec, texts, "query", store, num_cpus=1, use_gpu=True)

    @ray_session.remote(num_cpus=4)
    class Taker:
        def pid(self):
            return os.getpid()

    taker = Taker.remote()
    ray_session.get(taker.pid.remote())
    try:
        with pytest.raises(ClusterError, match=r"no worker for encoding has started in 2 s"):
            ray_encode(spec, texts, "query", store, num_cpus=1, wait_s=2)
    finally:
        ray_session.kill(taker)
    got = ray_encode(spec, texts[:5], "query", store, num_cpus=1)
    np.testing.assert_allclose(got, encoder.encode(texts[:5], "query"), atol=1e-6)


def test_the_first_of_a_chain_of_errors_is_told():
    try:
        try:
            raise RuntimeError("out of memory")
        except RuntimeError as error:
            raise ValueError("a block failed") from error
    except ValueError:
        assert first_error(traceback.format_exc()) == "RuntimeError: out of memory"
    assert first_error("The actor died.\n\tpid: 7") == "The actor died. pid: 7"
