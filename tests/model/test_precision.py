import warnings

import pytest
import torch

from hbt_ray.errors import ConfigError
from hbt_ray.model import precision
from hbt_ray.model.precision import autocast, resolve_precision


@pytest.fixture
def cpu(monkeypatch):
    """Sets what the CPU can do."""

    def has(*, amx=False, avx512_bf16=False):
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512_bf16)

    precision._warn_once.cache_clear()
    return has


def test_auto_follows_the_hardware(cpu):
    cpu()
    assert resolve_precision("cpu").name == "fp32"
    assert resolve_precision("cpu").reason == "float32 was chosen: the CPU has neither AMX nor AVX512-BF16"
    cpu(avx512_bf16=True)
    assert resolve_precision("cpu").reason == "bf16 was chosen: the CPU has AVX512-BF16"
    cpu(amx=True)
    assert resolve_precision("cpu", "bf16").name == "bf16"
    assert resolve_precision("cpu", "fp32").name == "fp32"


def test_bf16_without_hardware_warns_once_and_computes_in_float32(cpu):
    cpu()
    with pytest.warns(UserWarning, match="precision 'bf16' is ignored and float32 is used: the CPU has neither"):
        assert resolve_precision("cpu", "bf16").name == "fp32"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with autocast("cpu", "bf16"):
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_autocast_computes_in_bf16_where_it_can(cpu):
    cpu(amx=True)
    with autocast("cpu"):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16


def test_unknown_precision_names_what_is_allowed():
    with pytest.raises(ConfigError, match="precision is 'fp16'; allowed are auto, bf16, fp32"):
        resolve_precision("cpu", "fp16")
