"""A Ray Tune study: a trial is a Ray Train run that has the same name each time, so a study can be resumed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hbt_ray.cluster import check_capacity, driver_resources, find_cause
from hbt_ray.config import Recipe
from hbt_ray.experiment import Experiment
from hbt_ray.tracking.artifacts import log_config
from hbt_ray.tracking.handle import RunLog, WriterHandle
from hbt_ray.tracking.progress import progress
from hbt_ray.training.state import MODEL, checkpoint_name
from hbt_ray.training.trainer import RunSpec, fit
from hbt_ray.tuning.points import TrialSpec, as_in_recipe, listed_trials
from hbt_ray.tuning.results import StudyDirectory, TrialResult
from hbt_ray.tuning.study_data import scored_sets

HEADLINE = ("dev/mono_map", "dev/cross_map", "dev/multi_map", "dev/rank_distance")

Report = Callable[[str], None]


@dataclass(frozen=True)
class Study:
    """A study ready to run.

    Attributes:
        recipe: with its search space.
        experiment: the recipe's paths, corpus and base model, shared by all trials.
        directory: of the study, for results and checkpoints.
        log: the tracking writer of the job.
        study_id: the study's own, from `StudyDirectory.claim`.
    """

    recipe: Recipe
    experiment: Experiment
    directory: StudyDirectory
    log: WriterHandle
    study_id: str

    @property
    def key(self) -> str:
        """The parent run's identity in the tracking store."""
        return f"{self.recipe.name}-{self.study_id}"

    def trial_key(self, spec: TrialSpec) -> str:
        """A child run's identity in the tracking store."""
        return f"{self.key}/{spec.name}"


def run_study(study: Study, report: Report) -> list[TrialResult]:
    """Run the trials that have no result yet; returns all results, failed trials included.

    Raises:
        KeyboardInterrupt: stopped by the user; the same call goes on from there.
    """
    recipe = study.recipe
    known = [result for result in study.directory.results() if result.status != "failed"]
    if known:
        report(f"study {recipe.name}: {len(known)} trials are done and are not run again")
    study.log.start_run(study.key, recipe.name, {"hbt.kind": "study", "hbt.study": recipe.name})
    log_config(study.log, study.key, recipe.resolved())
    study.log.log_datasets(study.key, study.experiment.datasets)
    try:
        _tune(study, known, report)
    except BaseException as error:
        study.log.finish_run(study.key, "killed" if isinstance(error, KeyboardInterrupt) else "failed")
        raise
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
        from hbt_ray.tuning.optuna_search import make_searcher, num_complete

        of_study = recipe.tune.num_samples * len(recipe.tune.seeds)
        num_trials = of_study - len(known)
        # A point is asked for with all its seeds: those that are known answer at once, and take a place each.
        num_asked = of_study - num_complete(known, len(recipe.tune.seeds)) * len(recipe.tune.seeds)
        space: dict[str, Any] = {}
        searcher = make_searcher(recipe, known, study.directory.unfinished())
    else:
        listed = listed_trials(recipe)
        todo = [spec for spec in listed if spec.name not in done]
        of_study, num_trials = len(listed), len(todo)
        num_asked = 1
        space = {"trial": tune.grid_search([dict(spec.overrides) for spec in todo])}
    if num_trials <= 0:
        report(f"study {recipe.name}: nothing is left to run")
        return
    # Of the whole study, not of what is left: the trials share the cores by it, and a study that goes on after a stop
    # must compute with as many threads as before.
    concurrent = min(concurrent, of_study)
    report(f"study {recipe.name}: {num_trials} trials, {min(concurrent, num_trials)} at a time")
    trainable = tune.with_resources(
        tune.with_parameters(_trial, study=study, concurrent=concurrent),
        driver_resources(),
    )
    watch = _watch(study, report)
    tuner = tune.Tuner(
        trainable,
        param_space=space,
        tune_config=tune.TuneConfig(
            num_samples=num_asked,
            search_alg=searcher,
            scheduler=_scheduler(recipe),
            max_concurrent_trials=concurrent,
            # The next trial driver need not import everything again. Not with early stopping: a driver that is kept
            # goes on waiting for the workers of the trial that was stopped.
            reuse_actors=not recipe.tune.asha,
            trial_dirname_creator=lambda trial: trial.trial_id,
        ),
        run_config=tune.RunConfig(
            name=f"tune-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}",
            storage_path=f"{study.directory.path}/.tune",
            callbacks=[watch],
            verbose=0,
        ),
    )
    with progress(study.log, recipe.train.steps, report, label=lambda key: watch.labels.get(key, key)):
        tuner.fit()
    for spec in watch.running.values():  # Tune returns quietly when it is interrupted
        study.log.finish_run(study.trial_key(spec), "killed")
    if watch.running or (searcher is None and watch.num_ended < num_trials):
        raise KeyboardInterrupt


def _trial(config: dict[str, Any], study: Study, concurrent: int) -> None:
    """The driver of one trial: runs beside Tune, starts the trial's Ray Train workers and waits for them."""
    from ray import tune
    from ray.tune.integration.ray_train import TuneReportCallback

    spec = trial_spec(config, study.recipe)
    known = study.directory.result(spec)
    if known and known.status != "failed":  # a searcher asks again for seeds of a point that are done
        tune.report({**known.metrics, "step": known.step})
        return
    study.directory.begin(spec)
    recipe = spec.recipe(study.recipe)
    key = study.trial_key(spec)
    tags = {"hbt.kind": "trial", "hbt.study": study.recipe.name, "hbt.seed": str(spec.seed), "hbt.trial": spec.name}
    study.log.start_run(key, spec.label, {**tags, "hbt.alpha": f"{recipe.plan.alpha:g}"}, study.key)
    log_config(study.log, key, recipe.resolved())
    study.log.log_datasets(key, study.experiment.datasets)
    run = RunSpec(
        recipe=study.experiment.runnable(recipe),
        corpus=study.experiment.corpus.directory,
        base=study.experiment.base,
        name=spec.name,
        storage=study.directory.path,
        key=key,
        concurrent=concurrent,
    )
    try:
        result = fit(run, study.log, callbacks=[TuneReportCallback()])
    except Exception as error:
        study.directory.save(TrialResult(spec, "failed", 0, {}, error=_error_line(error)))
        raise
    study.log.log_artifact_text(key, "model.txt", result.model + "\n")
    study.directory.save(TrialResult(spec, "finished", recipe.train.steps, result.metrics, result.model))


def trial_spec(config: dict[str, Any], recipe: Recipe) -> TrialSpec:
    """The trial that a Tune configuration stands for (listed, or drawn by a searcher)."""
    if "trial" in config:
        return TrialSpec(tuple(sorted(config["trial"].items())))
    point = as_in_recipe({name: config[name] for name in recipe.tune.space}, recipe)
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
        max_t=train.steps + 1,  # at max_t it would stop a trial that is about to end by itself
        grace_period=tune.asha_grace_steps or train.eval_every or train.steps,
        reduction_factor=tune.asha_reduction,
    )


def _watch(study: Study, report: Report) -> Any:
    from ray.tune import Callback

    steps = study.recipe.train.steps

    class Watch(Callback):  # type: ignore[misc]
        """In the driver: says how trials go, and records how they end."""

        running: dict[str, TrialSpec]
        labels: dict[str, str]
        num_ended: int

        def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            spec = trial_spec(trial.config, study.recipe)
            self.running[trial.trial_id] = spec
            self.labels[study.trial_key(spec)] = spec.label
            report(f"{spec.label}: started")

        def on_trial_result(
            self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
        ) -> None:
            if "step" not in result:
                return
            scores = [f"{name.split('/')[-1]} {result[name]:.4f}" for name in HEADLINE if name in result]
            report(f"{trial_spec(trial.config, study.recipe).label}: step {result['step']}/{steps} {', '.join(scores)}")

        def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            spec = self._end(trial)
            early = False
            if study.directory.result(spec) is None:  # stopped by the scheduler, perhaps at its very last step
                last = trial.last_result or {}
                step = int(last.get("step", 0))
                early = step < steps
                metrics = {name: float(value) for name, value in last.items() if "/" in name and _is_number(value)}
                model = f"{study.directory.path}/{spec.name}/{checkpoint_name(step)}/{MODEL}"
                study.directory.save(TrialResult(spec, "stopped" if early else "finished", step, metrics, model))
            if early:
                report(f"{spec.label}: stopped early at step {step}")
            study.log.finish_run(study.trial_key(spec), "early_stopped" if early else "finished")

        def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            spec = self._end(trial)
            known = study.directory.result(spec)
            line = known.error if known else "the trial's driver died; see the logs of the Ray session"
            study.directory.save(TrialResult(spec, "failed", 0, {}, error=line))
            study.log.finish_run(study.trial_key(spec), "failed", {"hbt.error": line[:250]})
            report(f"{spec.label}: FAILED: {line}")

        def _end(self, trial: Any) -> TrialSpec:
            self.num_ended += 1
            return self.running.pop(trial.trial_id, None) or trial_spec(trial.config, study.recipe)

    watch = Watch()
    watch.running, watch.labels, watch.num_ended = {}, {}, 0
    return watch


def record_verdict(log: RunLog, key: str, results: list[TrialResult], said: str) -> None:
    """The recommendation and, where alpha alone was varied, its figure, on the study's own run."""
    from hbt_ray.tracking.plots import AlphaPoint, alpha_figure, figure_png

    log.log_artifact_text(key, "recommendation.txt", said + "\n")
    for name in scored_sets(results):
        points = [
            AlphaPoint(
                alpha=float(result.spec.point["plan.alpha"]),
                seed=result.spec.seed,
                mono=result.metrics[f"{name}/mono_map"],
                cross=result.metrics[f"{name}/cross_map"],
                multi=result.metrics[f"{name}/multi_map"],
                rank_distance=result.metrics[f"{name}/rank_distance"],
            )
            for result in results
            if result.status == "finished" and set(result.spec.point) == {"plan.alpha"}
        ]
        if points:
            log.log_artifact_bytes(key, f"{name}/alpha.png", figure_png(alpha_figure(points)))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _error_line(error: Exception) -> str:
    found = find_cause(error) or error
    return " ".join(str(found).split())[:500] or type(found).__name__
