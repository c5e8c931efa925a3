"""A run of one worker in its owner's process, against the same run of Ray Train's."""

import os
from dataclasses import replace
from pathlib import Path

import fsspec
import pytest

from hbt_ray.errors import ClusterError, ConfigError
from hbt_ray.recipes import build_recipe
from hbt_ray.training import worker
from hbt_ray.training.alone import fit_alone, runs_alone, worker_resources
from hbt_ray.training.run import RunSpec
from hbt_ray.training.trainer import fit
from tests.training.test_trainer import BASE_RECIPE, Log, weights_hash

pytestmark = pytest.mark.ray


def spec_of(corpus, base, storage, name="alone", **sections):
    tree = {**BASE_RECIPE, "resources": {**BASE_RECIPE["resources"], "num_workers": 1, "threads_per_worker": 1}}
    tree = {**tree, **{section: {**tree.get(section, {}), **fields} for section, fields in sections.items()}}
    return RunSpec(build_recipe({**tree, "name": name}), corpus.directory, base, name, str(storage), name)


class Interrupted(Exception):
    """What no code of ours raises."""


def stop_at(monkeypatch, step, times=1):
    """The loop fails before its checkpoint at `step`, so many times; returns the list of failures."""
    failed, report_of = [], worker._report_of

    def failing(spec, at, metrics):
        if at == step and len(failed) < times:
            failed.append(at)
            raise Interrupted
        return report_of(spec, at, metrics)

    monkeypatch.setattr(worker, "_report_of", failing)
    return failed


@pytest.fixture(scope="module")
def whole(ray_session, small_corpus, small_base, tmp_path_factory):
    reports = []
    spec = spec_of(small_corpus, small_base, tmp_path_factory.mktemp("whole"))
    return spec, fit_alone(spec, Log(), reports.append), reports


def test_it_ends_as_a_run_on_ray_train_does(whole, small_corpus, small_base, tmp_path):
    spec, result, reports = whole
    assert [report["step"] for report in reports] == list(range(4, 41, 4))
    assert reports[-1]["dev/multi_map"] == result.metrics["dev/multi_map"]
    assert reports[-1]["pairs"] == 40 * 16
    assert [path.name for path in Path(spec.directory).glob("step-*")] == ["step-0000040"]
    other = fit(spec_of(small_corpus, small_base, tmp_path), Log())
    assert weights_hash(other) == weights_hash(result)
    assert other.metrics == result.metrics


def test_a_run_that_has_ended_is_not_trained_again(whole, monkeypatch):
    spec, result, _ = whole
    monkeypatch.setattr(worker, "train_worker", None)
    assert fit_alone(spec, Log(), None) == result


@pytest.mark.parametrize("step", [4, 20])
def test_it_goes_on_from_its_last_checkpoint_where_it_failed(
    whole, small_corpus, small_base, tmp_path, monkeypatch, step
):
    failed = stop_at(monkeypatch, step, times=2)
    reports = []
    spec = spec_of(small_corpus, small_base, tmp_path, resources={"max_failures": 2})
    result = fit_alone(spec, Log(), reports.append)
    assert failed == [step, step]
    assert [report["step"] for report in reports] == list(range(4, 41, 4))
    assert weights_hash(result) == weights_hash(whole[1])


def test_what_fails_once_too_often_is_raised_and_the_next_call_goes_on(
    whole, small_corpus, small_base, tmp_path, monkeypatch
):
    stop_at(monkeypatch, 20, times=2)
    spec = spec_of(small_corpus, small_base, tmp_path, resources={"max_failures": 0})
    for _ in range(2):
        with pytest.raises(Interrupted):
            fit_alone(spec, Log(), lambda metrics: None)
    # what a process that died while it wrote has left behind
    (Path(spec.directory) / "step-0000020" / "model").mkdir(parents=True)
    assert weights_hash(fit_alone(spec, Log(), lambda metrics: None)) == weights_hash(whole[1])


def test_what_trying_again_does_not_mend_is_raised_at_once(small_corpus, small_base, tmp_path, monkeypatch):
    calls = []

    def refuse(*_):
        calls.append(1)
        raise ConfigError("no")

    monkeypatch.setattr(worker, "train_worker", refuse)
    with pytest.raises(ConfigError):
        fit_alone(spec_of(small_corpus, small_base, tmp_path, resources={"max_failures": 3}), Log(), None)
    assert len(calls) == 1


def test_checkpoints_go_to_a_url_and_are_read_from_it(whole, small_corpus, small_base, monkeypatch):
    stop_at(monkeypatch, 20)
    spec = spec_of(small_corpus, small_base, "memory://runs", resources={"max_failures": 1})
    result = fit_alone(spec, Log(), lambda metrics: None)
    assert result.model == "memory://runs/alone/step-0000040/model"
    fs = fsspec.filesystem("memory")
    assert [os.path.basename(path) for path in fs.glob("/runs/alone/step-*")] == ["step-0000040"]
    assert fs.cat("/runs/alone/step-0000040/model/model.safetensors") == (
        Path(whole[1].model, "model.safetensors").read_bytes()
    )


def test_the_base_is_scored_as_it_is(ray_session, small_corpus, small_base, tmp_path):
    reports = []
    spec = spec_of(small_corpus, small_base, tmp_path, train={"steps": 0, "checkpoint_every": 0})
    result = fit_alone(spec, Log(), reports.append)
    assert [report["step"] for report in reports] == [0]
    assert result.metrics["dev/multi_map"] > 0
    assert Path(result.model, "model.safetensors").exists()


def test_who_runs_alone_and_with_what():
    def recipe(**resources):
        return build_recipe({"name": "test", "resources": {"num_workers": 1, "cpus_per_worker": 2, **resources}})

    assert runs_alone(recipe())
    assert not runs_alone(recipe(num_workers=2))
    assert not runs_alone(recipe(sharding="fsdp"))
    assert worker_resources(recipe()) == {"CPU": 2}
    assert worker_resources(recipe(use_gpu=True)) == {"CPU": 2, "GPU": 1}


def test_a_gpu_that_is_not_seen_is_not_replaced_by_the_cpu(small_corpus, small_base, tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    spec = spec_of(small_corpus, small_base, tmp_path)
    on_gpu = replace(spec.recipe, resources=replace(spec.recipe.resources, use_gpu=True))
    with pytest.raises(ClusterError, match=r"resources\.use_gpu=true, and PyTorch sees no GPU"):
        fit_alone(replace(spec, recipe=on_gpu), Log(), None)
