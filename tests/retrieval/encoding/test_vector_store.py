import multiprocessing
import shutil
import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hbt_ray.errors import ClusterError, ConfigError, EvaluationError
from hbt_ray.model.encoder import Encoder
from hbt_ray.retrieval.encoding import vector_store
from hbt_ray.retrieval.encoding.ray_encode import EncoderSpec
from hbt_ray.retrieval.encoding.vector_store import VectorStore, encode_cached, text_keys

DIM = 5


class Counting:
    """A stand-in encoder that remembers what it was given; a vector tells its text and role."""

    def __init__(self, fail_after=None):
        self.calls = []
        self.fail_after = fail_after

    def encode(self, texts, role):
        if self.fail_after is not None and len(self.calls) == self.fail_after:
            raise KeyboardInterrupt
        self.calls.append(list(texts))
        return np.array([expected(text, role) for text in texts], dtype=np.float32)

    @property
    def texts(self):
        return [text for call in self.calls for text in call]


def expected(text, role="passage"):
    seed = int.from_bytes(text_keys([text, role]).tobytes()[:6], "little")
    return np.random.default_rng(seed).standard_normal(DIM).astype(np.float32)


def rows_of(texts):
    return np.array([expected(text) for text in texts], dtype=np.float32).reshape(-1, DIM)


@pytest.fixture
def store(tmp_path):
    return VectorStore(tmp_path, "model", DIM)


TEXTS = ["Zürich", "of a river", "", "of a river", "三個問題", "a", "Zürich", "a much longer text " * 5]


def test_each_text_is_encoded_once_longest_first_and_never_again(store):
    encoder, seen = Counting(), []
    got = encode_cached(encoder, TEXTS, "passage", store, lambda *done: seen.append(done), block=2)
    np.testing.assert_array_equal(got, rows_of(TEXTS))
    assert got.dtype == np.float32
    assert sorted(encoder.texts) == sorted(set(TEXTS))
    assert [len(text.encode()) for text in encoder.texts] == sorted((len(t.encode()) for t in set(TEXTS)), reverse=True)
    assert max(map(len, encoder.calls)) == 2
    assert seen[0] == (0, 8)
    assert seen[-1] == (8, 8)
    assert seen == sorted(seen)
    again, seen = Counting(), []
    fresh = VectorStore(store.directory.parent, "model", DIM)
    np.testing.assert_array_equal(
        encode_cached(again, TEXTS[::-1], "passage", fresh, lambda *at: seen.append(at)), got[::-1]
    )
    assert again.calls == []
    assert seen == [(8, 8)]
    assert len(fresh) == 6


def test_an_interrupted_call_goes_on(store):
    with pytest.raises(KeyboardInterrupt):
        encode_cached(Counting(fail_after=2), TEXTS, "passage", store, block=2)
    encoder, seen = Counting(), []
    got = encode_cached(encoder, TEXTS, "passage", store, lambda *at: seen.append(at), block=2)
    np.testing.assert_array_equal(got, rows_of(TEXTS))
    assert len(encoder.texts) == 2
    assert seen == [(6, 8), (8, 8)]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(0, 30), max_size=12), min_size=1, max_size=5), st.integers(1, 5))
def test_against_a_dictionary(tmp_path_factory, calls, block):
    directory = tmp_path_factory.mktemp("stores")
    known = set()
    for numbers in calls:
        texts = [f"text {number}" * (number % 3) for number in numbers]
        store, encoder = VectorStore(directory, "model", DIM), Counting()
        _, missing = store.lookup(texts)
        assert [texts[row] for row in missing] == [text for text in texts if text not in known]
        np.testing.assert_array_equal(encode_cached(encoder, texts, "passage", store, block=block), rows_of(texts))
        assert sorted(encoder.texts) == sorted(set(texts) - known)
        known |= set(texts)
        assert len(store) == len(known)


def test_a_changed_byte_never_gives_a_wrong_vector(store, tmp_path):
    texts = ["one", "two", "three"]
    encode_cached(Counting(), texts, "passage", store)
    (block,) = store.directory.glob("*.npz")
    whole = block.read_bytes()
    noticed = 0
    for position in range(0, len(whole), 3):
        for broken in (whole[:position], whole[:position] + bytes([whole[position] ^ 0x55]) + whole[position + 1 :]):
            shutil.rmtree(store.directory)
            store.directory.mkdir()
            block.write_bytes(broken)
            encoder = Counting()
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                got = encode_cached(encoder, texts, "passage", VectorStore(tmp_path, "model", DIM))
            np.testing.assert_array_equal(got, rows_of(texts))
            assert bool(caught) == bool(encoder.calls)
            noticed += bool(caught)
    assert noticed > len(whole) / 3  # each cut, and each change of keys and vectors


def test_a_damaged_block_is_named_once_and_its_texts_are_encoded_again(store, tmp_path):
    encode_cached(Counting(), ["one", "two"], "passage", store)
    encode_cached(Counting(), ["three"], "passage", store)
    block = min(store.directory.glob("*.npz"))
    data = bytearray(block.read_bytes())
    at = bytes(data).index(rows_of(["two"]).tobytes())
    data[at] ^= 1
    block.write_bytes(data)
    encoder = Counting()
    with pytest.warns(UserWarning, match=rf"{block} is damaged \(Bad CRC.*its texts are encoded again$") as caught:
        got = encode_cached(encoder, ["one", "two", "three"], "passage", VectorStore(tmp_path, "model", DIM))
    assert len(caught) == 1
    np.testing.assert_array_equal(got, rows_of(["one", "two", "three"]))
    assert sorted(encoder.texts) == ["one", "two"]
    assert block.with_suffix(".damaged").exists()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, missing = VectorStore(tmp_path, "model", DIM).lookup(["one", "two", "three"])
    assert not len(missing)


def test_texts_that_agree_in_half_a_key_are_told_apart(store, monkeypatch):
    def short(texts):
        return np.array([b"12345678" + text.encode().ljust(8, b"\0") for text in texts], dtype="S16")

    monkeypatch.setattr(vector_store, "text_keys", short)
    texts = ["a", "b", "c", "\0", "b\0\0"]  # the last one is "b" to these keys
    store.add(texts[:4], rows_of(texts[:4]))
    vectors, missing = store.lookup([*texts, "d"])
    np.testing.assert_array_equal(vectors[:5], rows_of(["a", "b", "c", "\0", "b"]))
    assert missing.tolist() == [5]


def _write(directory, number):
    store = VectorStore(directory, "model", DIM)
    for start in range(0, 40, 8):
        encode_cached(
            Counting(), [f"t{i}" for i in range(number + start, number + start + 12)], "passage", store, block=3
        )


def test_concurrent_writers(tmp_path):
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_write, args=(tmp_path, number)) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    texts = [f"t{i}" for i in range(47)]
    vectors, missing = VectorStore(tmp_path, "model", DIM).lookup(texts)
    assert not len(missing)
    np.testing.assert_array_equal(vectors, rows_of(texts))


def test_a_reader_sees_what_another_writes(store, tmp_path):
    other = VectorStore(tmp_path, "model", DIM)
    assert other.lookup(["one"])[1].tolist() == [0]
    store.add(["one"], rows_of(["one"]))
    assert other.lookup(["one"])[1].tolist() == []
    assert VectorStore(tmp_path, "another model", DIM).lookup(["one"])[1].tolist() == [0]


def test_errors(store, tmp_path):
    with pytest.raises(EvaluationError, match="NaN"):
        store.add(["one"], np.full((1, DIM), np.nan, dtype=np.float32))
    with pytest.raises(EvaluationError, match="dimension 5, these have 4"):
        store.add(["one"], np.ones((1, 4), dtype=np.float32))
    store.add(["one"], rows_of(["one"]))
    with pytest.raises(EvaluationError, match="opened for dimension 4"):
        VectorStore(tmp_path, "model", 4).lookup(["one"])
    assert len(list(store.directory.iterdir())) == 1  # neither put aside nor parts left
    with pytest.raises(EvaluationError, match="is a URL"):
        VectorStore("s3://bucket/store", "model", DIM)
    (tmp_path / "file").write_text("")
    with pytest.raises(EvaluationError, match="cannot be written"):
        VectorStore(tmp_path / "file", "model", DIM).add(["one"], rows_of(["one"]))
    with pytest.raises(EvaluationError, match="block is 0"):
        encode_cached(Counting(), ["one"], "passage", store, block=0)
    assert encode_cached(Counting(), [], "passage", store).shape == (0, DIM)


def model_fingerprint(model, *, prefix="Query: ", max_tokens=32, **settings):
    spec = EncoderSpec(
        model=str(model), query_prefix=prefix, passage_prefix="", max_query_tokens=max_tokens, max_passage_tokens=64,
        **{"pooling": "mean", "precision": "fp32", **settings},
    )  # fmt: skip
    return spec.fingerprint("query")


def test_the_fingerprint_follows_contents_and_settings(tmp_path, small_base):
    first, second = tmp_path / "first", tmp_path / "second"
    shutil.copytree(small_base, first)
    shutil.copytree(small_base, second)
    (second / "README.md").write_text("words")
    known = model_fingerprint(first)
    assert known == model_fingerprint(str(second))
    others = [
        model_fingerprint(first, **change)
        for change in ({"pooling": "cls"}, {"prefix": ""}, {"max_tokens": 33}, {"precision": "bf16"})
    ]
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        path = second / name
        data = path.read_bytes()
        path.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])  # the same size
        others.append(model_fingerprint(second))
        path.write_bytes(data)
    assert len({known, *others}) == 8
    assert model_fingerprint(second) == known
    with pytest.raises(EvaluationError, match="precision is 'auto'"):
        model_fingerprint(first, precision="auto")
    with pytest.raises(ConfigError, match="neither a directory nor in the local cache"):
        model_fingerprint("no-such/model")


def test_a_real_encoder(tmp_path, small_base):
    encoder = Encoder.load(small_base, max_query_tokens=16, max_passage_tokens=32)
    store = VectorStore(tmp_path, "model", encoder.dim)
    rng = np.random.default_rng(0)
    texts = ["1 2 3 4 5 6 7 8 9 10 "[: 2 * int(n)] * int(m) for n, m in rng.integers(1, 10, (60, 2))]
    got = encode_cached(encoder, texts, "passage", store, block=16)
    np.testing.assert_allclose(got, encoder.encode(texts, "passage"), atol=1e-6)
    np.testing.assert_array_equal(encode_cached(encoder, texts, "passage", store), got)


def test_an_actor_refuses_to_encode_in_another_precision(small_base, monkeypatch):
    spec = EncoderSpec.of(Encoder.load(small_base), small_base, "bf16")
    assert spec.precision == "bf16"  # whatever this machine has
    monkeypatch.setattr("hbt_ray.model.precision._bf16_hardware", lambda device: (False, "no bf16 here"))
    with pytest.warns(UserWarning, match="no bf16 here"), pytest.raises(ClusterError, match="can only do fp32"):
        spec.load("cpu")
    monkeypatch.setattr("hbt_ray.model.precision._bf16_hardware", lambda device: (True, "bf16 here"))
    assert spec.load("cpu").dim == 32
    assert replace(spec, precision="fp32").fingerprint("query") != spec.fingerprint("query")
