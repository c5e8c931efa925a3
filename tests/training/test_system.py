"""System metrics: MLflow's names, one row a step, means over the samples, and no load worth the name."""

import threading
import time

import pytest
from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor

from hbt_ray.training.system import SystemSampler, system_metrics


def test_the_names_and_numbers_are_those_that_mlflow_shows():
    theirs = {}
    for monitor in (CPUMonitor(), DiskMonitor(), NetworkMonitor()):
        monitor.collect_metrics()
        theirs |= monitor.aggregate_metrics()
    sampler = SystemSampler()
    sampler.sample()
    ours = sampler.take()
    assert {name for name in ours if not name.startswith("gpu_")} == set(theirs)
    for name in ("system_memory_usage_percentage", "disk_usage_percentage", "disk_usage_megabytes"):
        assert ours[name] == pytest.approx(theirs[name], rel=0.05)
    assert sampler.take() == {}


def test_a_row_holds_the_mean_since_the_last_step_that_was_logged(monkeypatch):
    values = iter([0.0, 10.0, 30.0, 50.0])  # the first is thrown away
    monkeypatch.setattr("psutil.cpu_percent", lambda: next(values))
    sampler = SystemSampler()
    sampler.sample()
    sampler.sample()
    assert sampler.take()["cpu_utilization_percentage"] == 20.0
    sampler.sample()
    assert sampler.take()["cpu_utilization_percentage"] == 50.0


def test_steps_are_those_of_the_training_and_each_comes_once(monkeypatch):
    rows, now = [], 5
    three = threading.Event()

    def publish(step, metrics):
        rows.append((step, metrics))
        if len(rows) == 3:
            three.set()

    def step():
        nonlocal now
        now += 1 if len(rows) < 3 else 0
        return now // 4  # stays the same for four looks

    monkeypatch.setattr("hbt_ray.training.system.SAMPLE_S", 0.002)
    with system_metrics(publish, step, "node_1"):
        assert three.wait(10)
        time.sleep(0.05)
    steps = [step for step, _ in rows]
    assert steps == sorted(set(steps))
    assert len(rows) == 3  # a training that stands still adds none
    assert all(name.startswith("system/node_1/") for _, metrics in rows for name in metrics)
    num = threading.active_count()
    monkeypatch.setattr("hbt_ray.training.system.SAMPLE_S", 60.0)
    with system_metrics(publish, lambda: 0, "node_0"):
        assert threading.active_count() == num + 1
    assert threading.active_count() == num  # it ends at once, not after a minute


def test_a_sample_takes_next_to_nothing():
    sampler = SystemSampler()
    start = time.process_time()
    for _ in range(20):
        sampler.sample()
    assert (time.process_time() - start) / 20 < 0.01  # of 10 s
