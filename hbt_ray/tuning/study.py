"""A Ray Tune study: a trial is a Ray Train run that has the same name each time, so a study can be resumed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hbt_ray.cluster import check_capacity, driver_resources, find_cause
from hbt_ray.config import Recipe
from hbt_ray.tracking.artifacts import log_config
from hbt_ray.tracking.handle import WriterHandle
from hbt_ray.tracking.progress import progress
from hbt_ray.training.trainer import RunSpec, default_threads, fit
from hbt_ray.tuning.points import TrialSpec, listed_trials
from hbt_ray.tuning.results import StudyDirectory, TrialResult

Report = Callable[[str], None]


@dataclass(frozen=True)
class Study:
    """A study ready to run.

    Attributes:
        recipe: with its search space.
        corpus, base: prepared corpus and model, shared by all trials.
        directory: of the study, for results and checkpoints.
        log: the tracking writer of the job.
    """

    recipe: Recipe
    corpus: str
    base: str
    directory: StudyDirectory
    log: WriterHandle

    @property
    def key(self) -> str:
        """The parent run's identity in the tracking store."""
        return self.recipe.name

    def trial_key(self, spec: TrialSpec) -> str:
        """A child run's identity in the tracking store."""
        return f"{self.recipe.name}/{spec.name}"


def run_study(study: Study, report: Report) -> list[TrialResult]:
    """Run the trials that have no result yet; returns all results, failed trials included.

    Raises:
        ConfigError: a study of this name was begun with other settings, or a point is not allowed.
        KeyboardInterrupt: stopped by the user; the same call goes on from there.
    """
    recipe = study.recipe
    resumed = study.directory.claim(recipe)
    known = [result for result in study.directory.results() if result.status != "failed"]
    if resumed:
        report(f"study {recipe.name}: {len(known)} trials are done and are not run again")
    study.log.start_run(study.key, recipe.name, {"hbt.kind": "study", "hbt.study": recipe.name})
    log_config(study.log, study.key, recipe.resolved())
    _tune(study, known, report)
    return study.directory.results()


def _tune(study: Study, known: list[TrialResult], report: Report) -> None:
    from ray import tune

    recipe = study.recipe
    fitting = check_capacity(recipe)
    concurrent = min(recipe.tune.max_concurrent or fitting, fitting)
    if recipe.tune.max_concurrent > fitting:
        report(f"tune.max_concurrent={recipe.tune.max_concurrent} is lowered to {fitting}: no more trials fit at once")
    done = {result.spec.name for result in known}
    searcher: Any = None
    if recipe.tune.search == "optuna":
        from hbt_ray.tuning.optuna_search import make_searcher

        num_trials = recipe.tune.num_samples * len(recipe.tune.seeds) - len(known)
        space: dict[str, Any] = {}
        searcher = make_searcher(recipe, known)
    else:
        todo = [spec for spec in listed_trials(recipe) if spec.name not in done]
        num_trials = len(todo)
        space = {"trial": tune.grid_search([dict(spec.overrides) for spec in todo])}
    if num_trials <= 0:
        report(f"study {recipe.name}: nothing is left to run")
        return
    concurrent = min(concurrent, num_trials)
    report(f"study {recipe.name}: {num_trials} trials, {concurrent} at a time")
    trainable = tune.with_resources(
        tune.with_parameters(_trial, study=study, threads=default_threads(recipe, concurrent)),
        driver_resources(),
    )
    watch = _watch(study, report)
    tuner = tune.Tuner(
        trainable,
        param_space=space,
        tune_config=tune.TuneConfig(
            num_samples=num_trials if searcher is not None else 1,
            search_alg=searcher,
            scheduler=_scheduler(recipe),
            max_concurrent_trials=concurrent,
            reuse_actors=True,  # the next trial driver need not import everything again
            trial_dirname_creator=lambda trial: trial.trial_id,
        ),
        run_config=tune.RunConfig(
            name=f"tune-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}",
            storage_path=f"{study.directory.path}/.tune",
            callbacks=[watch],
            verbose=0,
        ),
    )
    with progress(study.log, recipe.train.steps, report):
        tuner.fit()
    for spec in watch.running.values():  # Tune returns quietly when it is interrupted
        study.log.finish_run(study.trial_key(spec), "killed")
    if watch.num_ended < num_trials:
        raise KeyboardInterrupt


def _trial(config: dict[str, Any], study: Study, threads: int) -> None:
    """The driver of one trial: runs beside Tune, starts the trial's Ray Train workers and waits for them."""
    from ray.tune.integration.ray_train import TuneReportCallback

    spec = trial_spec(config, study.recipe)
    recipe = spec.recipe(study.recipe)
    key = study.trial_key(spec)
    tags = {
        "hbt.kind": "trial",
        "hbt.study": study.recipe.name,
        "hbt.seed": str(spec.seed),
        "hbt.trial": spec.name,
    }
    study.log.start_run(key, spec.label, {**tags, "hbt.alpha": f"{recipe.plan.alpha:g}"}, study.key)
    log_config(study.log, key, recipe.resolved())
    run = RunSpec(recipe, study.corpus, study.base, spec.name, study.directory.path, key, threads)
    result = fit(run, study.log, callbacks=[TuneReportCallback()])
    study.log.log_artifact_text(key, "model.txt", result.model + "\n")
    study.directory.save(TrialResult(spec, "finished", recipe.train.steps, result.metrics, result.model))


def trial_spec(config: dict[str, Any], recipe: Recipe) -> TrialSpec:
    """The trial that a Tune configuration stands for (listed, or drawn by a searcher)."""
    if "trial" in config:
        return TrialSpec(tuple(sorted(config["trial"].items())))
    point = {name: config[name] for name in recipe.tune.space}
    return TrialSpec.of(point, recipe.tune.seeds[int(config.get("__trial_index__", 0))])


def _scheduler(recipe: Recipe) -> Any:
    from ray.tune.schedulers import ASHAScheduler, FIFOScheduler

    tune, train = recipe.tune, recipe.train
    if not tune.asha:
        return FIFOScheduler()
    return ASHAScheduler(
        time_attr="step",
        metric=tune.metric,
        mode=tune.mode,
        max_t=train.steps,
        grace_period=tune.asha_grace_steps or train.eval_every or train.steps,
        reduction_factor=tune.asha_reduction,
    )


def _watch(study: Study, report: Report) -> Any:
    from ray.tune import Callback

    steps = study.recipe.train.steps

    class Watch(Callback):  # type: ignore[misc]
        """In the driver: says how trials go, and records how they end."""

        running: dict[str, TrialSpec]
        num_ended: int

        def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            self.running[trial.trial_id] = trial_spec(trial.config, study.recipe)
            report(f"{trial_spec(trial.config, study.recipe).label}: started")

        def on_trial_result(
            self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
        ) -> None:
            if "step" not in result:
                return
            scores = [f"{name.split('/')[-1]} {result[name]:.4f}" for name in HEADLINE if name in result]
            report(f"{trial_spec(trial.config, study.recipe).label}: step {result['step']}/{steps} {', '.join(scores)}")

        def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            spec = self._end(trial)
            early = study.directory.result(spec) is None
            if early:
                last = trial.last_result or {}
                metrics = {name: float(value) for name, value in last.items() if name.startswith("dev/")}
                study.directory.save(TrialResult(spec, "stopped", int(last.get("step", 0)), metrics))
                report(f"{spec.label}: stopped early at step {last.get('step')}")
            study.log.finish_run(study.trial_key(spec), "early_stopped" if early else "finished")

        def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            spec = self._end(trial)
            line = _error_line(trial)
            study.directory.save(TrialResult(spec, "failed", 0, {}, error=line))
            study.log.finish_run(study.trial_key(spec), "failed", {"hbt.error": line[:250]})
            report(f"{spec.label}: FAILED: {line}")

        def _end(self, trial: Any) -> TrialSpec:
            self.num_ended += 1
            return self.running.pop(trial.trial_id, None) or trial_spec(trial.config, study.recipe)

    watch = Watch()
    watch.running, watch.num_ended = {}, 0
    return watch


HEADLINE = ("dev/mono_map", "dev/cross_map", "dev/multi_map", "dev/rank_distance")


def _error_line(trial: Any) -> str:
    error = trial.get_pickled_error() or trial.get_error()
    found = find_cause(error)
    return str(found) if found else " ".join(str(error).strip().splitlines()[-1:])[:500]
