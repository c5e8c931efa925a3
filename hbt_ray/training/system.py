"""How busy the machines are: one sampler a node and run, its numbers beside the training curves.

The names are MLflow's own (`system/<node>/cpu_utilization_percentage`), so that its page of system metrics shows them;
the step is the training's, so that they share an axis with the loss. MLflow's monitors are not used: importing them
costs a worker about 2 s and 44 MB, and they warn at every sample of a GPU in slices.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psutil

from hbt_ray.training.progress import every

SAMPLE_S = 10.0
"""Seconds between two samples; what is logged is the mean of the samples since the last step that was logged."""
MB = 1e6


class SystemSampler:
    """CPU, memory, disk, network, and NVIDIA's GPUs of this machine."""

    def __init__(self) -> None:
        self._samples: dict[str, list[float]] = defaultdict(list)
        psutil.cpu_percent()  # the first call has no time before it, and answers 0
        network = psutil.net_io_counters()
        self._received, self._sent = network.bytes_recv, network.bytes_sent
        self._nvml = _nvml()

    def sample(self) -> None:
        """Look once."""
        memory, disk, network = psutil.virtual_memory(), psutil.disk_usage(os.sep), psutil.net_io_counters()
        values = {
            "cpu_utilization_percentage": psutil.cpu_percent(),
            "system_memory_usage_megabytes": memory.used / MB,
            "system_memory_usage_percentage": memory.used / memory.total * 100,
            "disk_usage_percentage": disk.percent,
            "disk_usage_megabytes": disk.used / MB,
            "disk_available_megabytes": disk.free / MB,
            "network_receive_megabytes": (network.bytes_recv - self._received) / MB,
            "network_transmit_megabytes": (network.bytes_sent - self._sent) / MB,
            **self._gpus(),
        }
        for name, value in values.items():
            self._samples[name].append(value)

    def take(self) -> dict[str, float]:
        """Means of the samples since the last call; empty where there are none."""
        means = {name: sum(values) / len(values) for name, values in self._samples.items()}
        self._samples.clear()
        return means

    def _gpus(self) -> dict[str, float]:
        values: dict[str, float] = {}
        for number in range(self._nvml.nvmlDeviceGetCount() if self._nvml else 0):
            try:
                handle = self._nvml.nvmlDeviceGetHandleByIndex(number)
                memory = self._nvml.nvmlDeviceGetMemoryInfo(handle)
                values[f"gpu_{number}_memory_usage_megabytes"] = memory.used / MB
                values[f"gpu_{number}_memory_usage_percentage"] = memory.used / memory.total * 100
                values[f"gpu_{number}_utilization_percentage"] = self._nvml.nvmlDeviceGetUtilizationRates(handle).gpu
                values[f"gpu_{number}_power_usage_watts"] = self._nvml.nvmlDeviceGetPowerUsage(handle) / 1000
            except self._nvml.NVMLError:  # a card in slices tells only a part of these
                continue
        return values


@contextmanager
def system_metrics(
    publish: Callable[[int, Mapping[str, float]], None], step: Callable[[], int], node: str
) -> Iterator[None]:
    """Sample this machine while the block runs; `publish` receives (step, metrics) at most once a training's `step`."""
    sampler, last = SystemSampler(), step()

    def look() -> None:
        nonlocal last
        sampler.sample()
        if (now := step()) != last:
            last = now
            publish(now, {f"system/{node}/{name}": value for name, value in sampler.take().items()})

    with every(SAMPLE_S, look):
        yield


def _nvml() -> Any:
    """NVIDIA's library, None without a card or a driver."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    return pynvml
