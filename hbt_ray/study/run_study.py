"""A Ray Tune study: a trial is a run that has the same name each time, so a study can be resumed."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from hbt_ray.cluster.capacity import check_capacity, driver_resources
from hbt_ray.cluster.tasks import find_cause
from hbt_ray.config import Recipe
from hbt_ray.errors import HbtError, one_line
from hbt_ray.records import RunRecords
from hbt_ray.storage import open_fs
from hbt_ray.study.baselines import baseline_trials, in_space
from hbt_ray.study.points import LISTED, TrialSpec, as_in_recipe, listed_trials
from hbt_ray.study.schedulers import PAIRS, make_scheduler
from hbt_ray.study.study import Study
from hbt_ray.study.trials import Trial
from hbt_ray.study.watch import make_watch
from hbt_ray.terminal import Report
from hbt_ray.training.launch import fit, fit_alone
from hbt_ray.training.progress import progress
from hbt_ray.training.run import RunSpec, ended, report_of


def run_study(study: Study, report: Report) -> tuple[list[Trial], list[Trial]]:
    """Run the trials that have no result yet.

    Returns:
        All results, failed trials included; and those that failed in this call. A trial that failed before, and that
        the recipe asks for no more, is none of these.

    Raises:
        KeyboardInterrupt: stopped by the user; the same call goes on from there.
    """
    recipe = study.recipe
    before = study.directory.results()
    known = _done(before, recipe)
    if known:
        report(f"study {recipe.name}: {len(known)} trials are done and are not run again")
    study.begin()
    try:
        run_missing(study, report)
    except BaseException as error:
        study.directory.records.end("killed" if isinstance(error, KeyboardInterrupt) else "failed")
        raise
    results = study.directory.results()
    return results, [result for result in results if result.status == "failed" and result not in before]


def _done(results: list[Trial], recipe: Recipe) -> list[Trial]:
    """Results that stand: a trial that was stopped early is run on to its end where none is to be stopped."""
    return [result for result in results if _stands(result, stops_early=recipe.tune.stops_early)]


def _stands(result: Trial, *, stops_early: bool) -> bool:
    return result.status == "finished" or (result.status == "stopped" and stops_early)


def run_missing(study: Study, report: Report, launch: Launch | None = None) -> None:
    """Run the trials that have no result which stands, baselines first where others may be stopped.

    `launch` runs a search in the place of Ray Tune.
    """
    launch = launch or _run
    recipe = study.recipe
    results = study.directory.results()
    known = _done(results, recipe)
    fitting = check_capacity(recipe.resources, stops_early=recipe.tune.stops_early)
    concurrent = min(recipe.tune.max_concurrent or fitting, fitting)
    if recipe.tune.max_concurrent > fitting:
        report(f"tune.max_concurrent={recipe.tune.max_concurrent} is lowered to {fitting}: no more trials fit at once")
    done = {result.spec.name for result in known}
    baselines = baseline_trials(recipe)
    listed = listed_trials(recipe) if recipe.tune.search in LISTED else []
    drawn = 0 if recipe.tune.search in LISTED else recipe.tune.num_samples * len(recipe.tune.seeds)
    together = {spec.name: spec for spec in (*listed, *baselines)}
    # Of the whole study, not of what is left: the trials share the cores by it, and a study that goes on after a stop
    # must compute with as many threads as before.
    concurrent = min(concurrent, len(together) + drawn)
    if recipe.tune.stops_early or drawn:
        # A control that was stopped early would be none, and a searcher is told what the baselines scored.
        ended = {result.spec.name for result in results if result.status == "finished"}
        first = [spec for spec in baselines if spec.name not in ended]
        if first:
            report(f"study {recipe.name}: {len(first)} baselines, which are trained to the end")
            launch(study, listed_search(first), concurrent, report, stops_early=False)
            known = _done(study.directory.results(), recipe)
            done = {result.spec.name for result in known}
    else:
        first, listed = [], sorted(together.values(), key=lambda spec: recipe.tune.seeds.index(spec.seed))
    if drawn:
        search = drawn_search(study, known, {spec.name for spec in baselines})
        num_trials = search.num_trials
    else:
        todo = [spec for spec in listed if spec.name not in done and spec not in first]
        search, num_trials = listed_search(todo), len(todo)
    if num_trials > 0:
        report(f"study {recipe.name}: {num_trials} trials, {min(concurrent, num_trials)} at a time")
        launch(study, search, concurrent, report, stops_early=recipe.tune.stops_early)
    elif not first:
        report(f"study {recipe.name}: nothing is left to run")


@dataclass(frozen=True)
class Search:
    """What Ray Tune is given to run: a list of trials, or a searcher that draws them."""

    num_trials: int
    space: dict[str, Any]
    num_asked: int = 1
    """Points that Tune asks for, with the searcher."""
    searcher: Any = None


class Launch(Protocol):
    """Runs a search to its end, `concurrent` trials at a time."""

    def __call__(self, study: Study, search: Search, concurrent: int, report: Report, *, stops_early: bool) -> None: ...


def listed_search(specs: list[TrialSpec]) -> Search:
    """These trials."""
    from ray import tune

    return Search(len(specs), {"trial": tune.grid_search([dict(spec.overrides) for spec in specs])})


def drawn_search(study: Study, known: list[Trial], baselines: set[str]) -> Search:
    """What is left of an Optuna study; its baselines come on top of what it draws."""
    from hbt_ray.study.optuna_search import OptunaPoints, num_complete

    recipe = study.recipe
    drawn = [result for result in known if result.spec.name not in baselines and in_space(result.spec.point, recipe)]
    seeds = len(recipe.tune.seeds)
    of_study = recipe.tune.num_samples * seeds
    # A point is asked for with all its seeds: those that are known answer at once, and take a place each.
    num_asked = of_study - num_complete(drawn, seeds) * seeds
    names = {result.spec.name for result in known}
    whole = [  # of a baseline that failed with some of its seeds nothing is told: it would be asked for again
        result
        for result in known
        if result.spec.name in baselines
        and in_space(result.spec.point, recipe)
        and names.issuperset(TrialSpec.of(result.spec.point, seed).name for seed in recipe.tune.seeds)
    ]
    cut_off = [result.spec for result in study.directory.results() if result.status == "stopped"]
    begun = [*study.directory.unfinished(), *(spec for spec in cut_off if spec.name not in names)]
    unfinished = [spec for spec in begun if spec.name not in baselines and in_space(spec.point, recipe)]
    return Search(of_study - len(drawn), {}, num_asked, OptunaPoints(recipe, drawn + whole, unfinished))


def _run(study: Study, search: Search, concurrent: int, report: Report, *, stops_early: bool) -> None:
    from ray import tune

    recipe = study.recipe
    session = f"tune-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    trainable = tune.with_resources(
        tune.with_parameters(run_trial, study=study, concurrent=concurrent, session=session, stops_early=stops_early),
        recipe.resources.of_worker if recipe.resources.alone else driver_resources(),
    )
    watch = make_watch(study, session, lambda config: trial_spec(config, recipe), report)
    tuner = tune.Tuner(
        trainable,
        param_space=search.space,
        tune_config=tune.TuneConfig(
            num_samples=search.num_asked,
            search_alg=search.searcher,
            scheduler=make_scheduler(recipe) if stops_early else None,
            max_concurrent_trials=concurrent,
            # The next trial need not import everything again. Not with early stopping: a driver that is kept goes on
            # waiting for the workers of the trial that was stopped.
            reuse_actors=not stops_early,
            trial_dirname_creator=lambda trial: trial.trial_id,
        ),
        run_config=tune.RunConfig(
            name=session,
            storage_path=f"{study.directory.path}/.tune",
            # Of trials that failed or whose process died; workers beside it are restarted by Ray Train.
            failure_config=tune.FailureConfig(max_failures=recipe.resources.max_failures),
            callbacks=[watch],
            verbose=0,
        ),
    )
    with progress(watch.progress, report):
        tuner.fit()
    with suppress(OSError):  # Tune's own notes of this call, which nothing is resumed from
        open_fs(study.directory.path)[0].rm(f"{open_fs(study.directory.path)[1]}/.tune/{session}", recursive=True)
    for spec in watch.running.values():  # Tune returns quietly when it is interrupted
        RunRecords(study.directory.of_trial(spec)).end("killed")
    if watch.running or (search.searcher is None and watch.num_ended < search.num_trials):
        raise KeyboardInterrupt


def run_trial(config: dict[str, Any], study: Study, concurrent: int, session: str, stops_early: bool = False) -> None:
    """One trial: of one worker, it is trained here; of several, this starts Ray Train's workers and waits for them."""
    from ray import tune
    from ray.tune.integration.ray_train import TuneReportCallback

    spec = trial_spec(config, study.recipe)
    recipe = spec.recipe(study.recipe)
    known = study.directory.result(spec)
    if known and _stands(known, stops_early=stops_early):  # a searcher asks again for seeds of a point that are done
        tune.report({**known.metrics, "step": known.step, PAIRS: known.step * recipe.plan.batch_size})
        return
    # Tune tries again, and no restart mends what the trial ended by
    if known and known.status == "failed" and known.session == session:
        raise HbtError(known.error)
    study.begin_trial(spec)
    run = RunSpec(
        recipe=study.experiment.runnable(recipe),
        corpus=study.experiment.corpus.directory,
        base=study.experiment.base,
        name=spec.name,
        storage=study.directory.path,
        concurrent=concurrent,
    )
    try:
        if result := ended(run):  # what ended it died before it could say so
            tune.report(report_of(run, recipe.train.steps, result.metrics))
        elif recipe.resources.alone:
            result = fit_alone(run, tune.report)
        else:
            result = fit(run, callbacks=[TuneReportCallback()])
    except Exception as error:
        # What ours says is final, and so is a failure after all of Ray Train's restarts; else another process may try.
        final = find_cause(error) is not None or not recipe.resources.alone
        line = one_line(find_cause(error) or error, 500)
        study.directory.save(Trial(spec, "failed", 0, {}, error=line, session=session if final else ""))
        raise
    study.directory.save(Trial(spec, "finished", recipe.train.steps, result.metrics, result.model))


def trial_spec(config: dict[str, Any], recipe: Recipe) -> TrialSpec:
    """The trial that a Tune configuration stands for (listed, or drawn by a searcher)."""
    if "trial" in config:
        return TrialSpec(tuple(sorted(config["trial"].items())))
    point = as_in_recipe({name: config[name] for name in recipe.tune.space}, recipe)
    return TrialSpec.of(point, recipe.tune.seeds[int(config["__trial_index__"])])
