import os
from dataclasses import replace

from hbt_ray.recipes import build_recipe
from hbt_ray.training.state import RunState
from hbt_ray.training.trainer import RunSpec
from hbt_ray.training.worker import num_threads


def spec_of(threads_per_worker=0, concurrent=1):
    recipe = build_recipe({"name": "test", "resources": {"threads_per_worker": threads_per_worker}})
    return RunSpec(recipe, "corpus", "base", "test", "storage", "key", concurrent=concurrent)


def test_workers_and_concurrent_trials_share_the_cores(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    assert num_threads(spec_of(), None, local_workers=2) == 8
    assert num_threads(spec_of(concurrent=4), None, local_workers=2) == 2
    assert num_threads(spec_of(concurrent=40), None, local_workers=2) == 1
    assert num_threads(spec_of(threads_per_worker=3, concurrent=4), None, local_workers=2) == 3


def test_a_run_goes_on_with_the_threads_it_began_with():
    state = RunState(step=5, seed=0, digest="abc", world_size=2, metrics={}, threads=7)
    assert num_threads(spec_of(threads_per_worker=3), state, local_workers=2) == 7
    on_gpus = replace(state, threads=0)
    assert num_threads(spec_of(threads_per_worker=3), on_gpus, local_workers=2) == 3
