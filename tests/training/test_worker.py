import os
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

from hbt_ray.config.load import build_recipe
from hbt_ray.records import RecordReader, RunRecords, read_run
from hbt_ray.training.artifacts import recorded_scores
from hbt_ray.training.run import RunSpec, RunState
from hbt_ray.training.worker import _hooks, _watched, num_threads
from tests.study.stores import made_up_scores


def spec_of(threads_per_worker=0, concurrent=1):
    recipe = build_recipe({"name": "test", "resources": {"threads_per_worker": threads_per_worker}})
    return RunSpec(recipe, "corpus", "base", "test", "storage", concurrent=concurrent)


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


def test_the_last_scores_are_recorded_beside_the_checkpoints(tmp_path):
    spec = replace(spec_of(), storage=str(tmp_path), recipe=build_recipe({"name": "test", "train": {"steps": 10}}))
    hooks, scores = _hooks(spec, RunRecords(spec.directory), None), made_up_scores(0, noise=1, bias=0, num_items=5)
    hooks.scores(5, scores)
    assert recorded_scores(spec.directory, "dev") is None
    hooks.scores(10, scores)
    files = [record["path"] for record in RecordReader(spec.directory).new() if record["kind"] == "file"]
    assert files == ["dev/scores.json", "dev/per_query.npz", "dev/map_matrix.json", "dev/map_matrix.png"]
    assert (recorded_scores(spec.directory, "dev").pool_map == scores.pool_map).all()
    curve = read_run(spec.directory).curves()["dev/pool_map"]
    assert curve == dict.fromkeys((5, 10), scores.headline()["pool_map"])


@pytest.mark.parametrize(("local_rank", "wanted", "watches"), [(0, True, True), (1, True, False), (0, False, False)])
def test_one_worker_of_each_node_records_how_busy_it_is(monkeypatch, tmp_path, local_rank, wanted, watches):
    place = SimpleNamespace(local_rank=local_rank, node_rank=3)
    monkeypatch.setattr("hbt_ray.training.system.SAMPLE_S", 0.001)
    spec = replace(spec_of(), recipe=build_recipe({"name": "test", "tracking": {"system_metrics": wanted}}))
    records, reader, found = RunRecords(str(tmp_path)), RecordReader(str(tmp_path)), []
    loop = SimpleNamespace(step=1)
    with _watched(spec, records, loop, place):
        for loop.step in range(2, 200 if watches else 4):
            time.sleep(0.01)
            found += reader.new()
            if any(record["kind"] == "metrics" for record in found):
                break
    assert [record["kind"] for record in found[:2]] == (["params", "metrics"] if watches else [])
    if watches:
        assert list(found[0]["values"]["system"]) == ["node_3"]
        assert found[1]["step"] > 1
        assert "system/node_3/cpu_utilization_percentage" in found[1]["values"]
