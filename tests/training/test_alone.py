"""A run of one worker in its owner's process, against the same run of Ray Train's."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import fsspec
import pytest

from hbt_ray.config.load import build_recipe
from hbt_ray.errors import ClusterError, TrainingError
from hbt_ray.records import RecordReader
from hbt_ray.training import worker
from hbt_ray.training.launch import fit, fit_alone
from hbt_ray.training.run import RunSpec, begun, ended, kept_steps, report_of
from hbt_ray.training.stepper import Stepper
from tests.training.test_trainer import BASE_RECIPE, weights_hash

pytestmark = pytest.mark.ray


def spec_of(corpus, base, storage, name="alone", **sections):
    tree = {**BASE_RECIPE, "resources": {**BASE_RECIPE["resources"], "num_workers": 1, "threads_per_worker": 1}}
    tree = {**tree, **{section: {**tree.get(section, {}), **fields} for section, fields in sections.items()}}
    return RunSpec(build_recipe({**tree, "name": name}), corpus.directory, base, name, str(storage))


class Interrupted(Exception):
    """What no code of ours raises."""


def stop_at(monkeypatch, step, times=1):
    """The loop fails before its checkpoint at `step`, so many times; returns the list of failures."""
    failed, report_of = [], worker.report_of

    def failing(spec, at, metrics):
        if at == step and len(failed) < times:
            failed.append(at)
            raise Interrupted
        return report_of(spec, at, metrics)

    monkeypatch.setattr(worker, "report_of", failing)
    return failed


@pytest.fixture(scope="module")
def whole(ray_session, small_corpus, small_base, tmp_path_factory):
    reports = []
    spec = spec_of(small_corpus, small_base, tmp_path_factory.mktemp("whole"))
    return spec, fit_alone(spec, reports.append), reports


def test_it_ends_as_a_run_on_ray_train_does(whole, small_corpus, small_base, tmp_path):
    spec, result, reports = whole
    assert [report["step"] for report in reports] == list(range(4, 41, 4))
    assert reports[-1]["dev/pool_map"] == result.metrics["dev/pool_map"]
    assert reports[-1]["pairs"] == 40 * 16
    assert kept_steps(spec) == [40, 36]
    other = fit(spec_of(small_corpus, small_base, tmp_path))
    assert weights_hash(other) == weights_hash(result)
    assert other.metrics == result.metrics


def test_a_run_that_has_ended_is_not_trained_again(whole, monkeypatch):
    spec, result, reports = whole
    monkeypatch.setattr(worker, "train_worker", None)
    assert fit_alone(spec, None) == ended(spec) == result
    assert report_of(spec, 40, result.metrics) == reports[-1]


@pytest.mark.parametrize("step", [4, 20])
def test_the_next_call_goes_on_from_the_last_checkpoint(whole, small_corpus, small_base, tmp_path, monkeypatch, step):
    failed = stop_at(monkeypatch, step, times=2)
    reports = []
    spec = spec_of(small_corpus, small_base, tmp_path)
    for _ in range(2):
        with pytest.raises(Interrupted):
            fit_alone(spec, reports.append)
    # what a process that died while it wrote has left behind
    (Path(spec.directory) / f".step-{step:07d}.part" / "model").mkdir(parents=True)
    result = fit_alone(spec, reports.append)
    assert failed == [step, step]
    assert [report["step"] for report in reports] == list(range(4, 41, 4))
    assert weights_hash(result) == weights_hash(whole[1])


def test_a_run_may_go_on_with_several_workers_and_with_one_again(
    ray_session, small_corpus, small_base, tmp_path, monkeypatch
):
    base = tmp_path / "base"
    shutil.copytree(small_base, base)
    config = json.loads((base / "config.json").read_text())
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}  # dropout is drawn by rank and chunk
    (base / "config.json").write_text(json.dumps(config))
    fields = {"train": {"precision": "fp32"}, "evaluation": {"precision": "fp32"}}
    whole = fit_alone(spec_of(small_corpus, str(base), tmp_path, "whole", **fields), lambda metrics: None)
    one = spec_of(small_corpus, str(base), tmp_path, **fields)
    two = replace(one, recipe=replace(one.recipe, resources=replace(one.recipe.resources, num_workers=2)))
    stop_at(monkeypatch, 20)
    with pytest.raises(Interrupted):
        fit_alone(one, lambda metrics: None)
    assert begun(one).step == 16
    before = RecordReader(two.directory)
    before.new()
    result = fit(two)
    steps = [record["step"] for record in before.new() if "train/loss" in record.get("values", ())]
    assert min(steps) == 20  # of the curve, a point every 10 steps: it did not begin again
    # rankings are discrete: a tie in the last bit may move a passage by a place
    assert result.metrics["dev/pool_map"] == pytest.approx(whole.metrics["dev/pool_map"], abs=0.01)
    # and back, on a longer way
    assert fit_alone(one, lambda metrics: None) == result


def test_checkpoints_go_to_a_url_and_are_read_from_it(whole, small_corpus, small_base, monkeypatch):
    stop_at(monkeypatch, 20)
    spec = spec_of(small_corpus, small_base, "memory://runs")
    with pytest.raises(Interrupted):
        fit_alone(spec, lambda metrics: None)
    result = fit_alone(spec, lambda metrics: None)
    assert result.model == "memory://runs/alone/step-0000040/model"
    fs = fsspec.filesystem("memory")
    assert kept_steps(spec) == [40, 36]
    assert fs.cat("/runs/alone/step-0000040/model/model.safetensors") == (
        Path(whole[1].model, "model.safetensors").read_bytes()
    )


def test_a_training_that_diverges_stops_at_once_and_keeps_its_checkpoint(
    ray_session, small_corpus, small_base, tmp_path, monkeypatch
):
    spec, step_of = spec_of(small_corpus, small_base, tmp_path), Stepper.train_step

    def poisoned(self, batch):
        if self.step == 10:
            next(self.module.parameters()).data[0] = float("nan")
        return step_of(self, batch)

    monkeypatch.setattr(Stepper, "train_step", poisoned)
    with pytest.raises(TrainingError, match=r"step 10 \(languages .*NaN or infinite.*checkpoint of step 8 is kept"):
        fit_alone(spec, lambda metrics: None)
    assert kept_steps(spec) == [8, 4]


def test_the_base_is_scored_as_it_is(ray_session, small_corpus, small_base, tmp_path):
    reports = []
    spec = spec_of(small_corpus, small_base, tmp_path, train={"steps": 0, "checkpoint_every": 0})
    result = fit_alone(spec, reports.append)
    assert [report["step"] for report in reports] == [0]
    assert result.metrics["dev/pool_map"] > 0
    assert Path(result.model, "model.safetensors").exists()


def test_who_runs_alone_and_with_what():
    def recipe(**resources):
        return build_recipe({"name": "test", "resources": {"num_workers": 1, "cpus_per_worker": 2, **resources}})

    assert recipe().resources.alone
    assert not recipe(num_workers=2).resources.alone
    assert not recipe(sharding="fsdp").resources.alone
    assert recipe().resources.of_worker == {"CPU": 2}
    assert recipe(use_gpu=True).resources.of_worker == {"CPU": 2, "GPU": 1}


def test_a_gpu_that_is_not_seen_is_not_replaced_by_the_cpu(small_corpus, small_base, tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    spec = spec_of(small_corpus, small_base, tmp_path)
    on_gpu = replace(spec.recipe, resources=replace(spec.recipe.resources, use_gpu=True))
    with pytest.raises(ClusterError, match=r"resources\.use_gpu=true, and PyTorch sees no GPU"):
        fit_alone(replace(spec, recipe=on_gpu), None)
