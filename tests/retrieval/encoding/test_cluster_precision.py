"""The precision is that of the nodes which encode, whatever the driver's machine can do, and one for all of them."""

from dataclasses import replace

import pytest

from hbt_ray.errors import ClusterError, ConfigError
from hbt_ray.model.encoder import Encoder
from hbt_ray.model.precision import Precision, resolve_precision
from hbt_ray.retrieval.encoding.cluster_precision import agree, cluster_precision
from hbt_ray.retrieval.encoding.ray_encode import EncoderSpec

BF16 = Precision(name="bf16", reason="bf16 was chosen: the CPU has AMX")
FP32 = Precision(name="fp32", reason="float32 was chosen: the CPU has neither")


def test_nodes_that_agree_and_nodes_that_do_not():
    assert agree({"a": BF16}) == BF16
    assert agree({"a": BF16, "b": BF16}) == replace(BF16, reason=f"{BF16.reason} (on 2 nodes)")
    mixed = agree({"a": BF16, "b": FP32})
    assert mixed.name == "fp32"
    assert "the nodes differ (a: bf16, bf16 was chosen" in mixed.reason
    assert "; b: fp32, " in mixed.reason


def test_an_actor_refuses_to_encode_in_another_precision(small_base, monkeypatch):
    spec = EncoderSpec.of(Encoder.load(small_base), small_base, "bf16")
    assert spec.precision == "bf16"  # as the cluster resolved it, whatever this machine has
    monkeypatch.setattr("hbt_ray.model.precision._bf16_hardware", lambda device: (False, "no bf16 here"))
    with pytest.warns(UserWarning, match="no bf16 here"), pytest.raises(ClusterError, match="can only do fp32"):
        spec.load("cpu")
    monkeypatch.setattr("hbt_ray.model.precision._bf16_hardware", lambda device: (True, "bf16 here"))
    assert spec.load("cpu").dim == 32
    assert replace(spec, precision="fp32").fingerprint("query") != spec.fingerprint("query")


@pytest.mark.ray
def test_workers_answer_and_not_the_driver(ray_session, monkeypatch):
    want = {asked: resolve_precision("cpu", asked).name for asked in ("auto", "fp32")}
    opposite = want["auto"] == "fp32"
    monkeypatch.setattr("hbt_ray.model.precision._bf16_hardware", lambda device: (opposite, "the driver's"))
    assert resolve_precision("cpu", "auto").name != want["auto"]
    for asked, name in want.items():
        found = cluster_precision(asked, 1)
        assert found.name == name
        assert "the driver's" not in found.reason
    with pytest.raises(ClusterError, match="encoding needs 5 CPU"):
        cluster_precision("auto", 5)
    with pytest.raises(ConfigError, match="precision is 'half'"):
        cluster_precision("half", 1)
