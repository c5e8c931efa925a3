"""bf16 where the hardware computes in it, float32 elsewhere; said in words, never silently."""

import warnings
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Literal

import torch

from hbt_ray.errors import ConfigError

PRECISIONS = ("auto", "bf16", "fp32")


@dataclass(frozen=True, kw_only=True)
class Precision:
    """What is computed in, and why."""

    name: Literal["bf16", "fp32"]
    """The arithmetic of matrix products; weights, normalisation and loss are float32 either way."""
    reason: str
    """One sentence for the log and the tracked run."""


def resolve_precision(device: torch.device | str, precision: str = "auto") -> Precision:
    """What `auto | bf16 | fp32` comes to on this device.

    "bf16" where the hardware lacks it goes on in float32 with one warning: emulated bf16 is slower
    than float32 and less exact.

    Raises:
        ConfigError: another name.
    """
    if precision not in PRECISIONS:
        raise ConfigError(f"precision is {precision!r}; allowed are {', '.join(PRECISIONS)}")
    device = torch.device(device)
    if precision == "fp32":
        return Precision(name="fp32", reason="float32 was asked for")
    supported, hardware = _bf16_hardware(device)
    if supported:
        asked = "was asked for" if precision == "bf16" else "was chosen"
        return Precision(name="bf16", reason=f"bf16 {asked}: {hardware}")
    if precision == "bf16":
        _warn_once(f"precision 'bf16' is ignored and float32 is used: {hardware}")
    return Precision(name="fp32", reason=f"float32 was chosen: {hardware}")


def at_least_float32(dtype: torch.dtype) -> torch.dtype:
    """What sums, norms and losses of `dtype` are computed in: float32, or float64 for a model of float64."""
    return torch.promote_types(dtype, torch.float32)


def autocast(device: torch.device | str, precision: str = "auto") -> AbstractContextManager[object]:
    """Context in which a forward pass computes in the resolved precision; does nothing for float32."""
    device = torch.device(device)
    if resolve_precision(device, precision).name == "fp32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def _bf16_hardware(device: torch.device) -> tuple[bool, str]:
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        # Emulation counts as support by default (torch >= 2.4), on GPUs where it is slower than float32.
        supported = torch.cuda.is_bf16_supported(including_emulation=False)
        return supported, f"{name} {'computes' if supported else 'does not compute'} in bf16"
    if device.type == "cpu":
        has = {
            "AMX": getattr(torch.cpu, "_is_amx_tile_supported", bool)(),
            "AVX512-BF16": getattr(torch.cpu, "_is_avx512_bf16_supported", bool)(),
        }
        features = [name for name, present in has.items() if present]
        return bool(features), f"the CPU has {features[0] if features else 'neither AMX nor AVX512-BF16'}"
    return False, f"bf16 is not used on device type {device.type!r}"


@cache
def _warn_once(message: str) -> None:
    warnings.warn(message, UserWarning, stacklevel=3)
