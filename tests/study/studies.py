"""Studies as the job has them, with the real writer in this process and without Ray: trials are trained by hand."""

from types import SimpleNamespace

from hbt_ray.config.load import build_recipe
from hbt_ray.study.directory import StudyDirectory
from hbt_ray.study.points import listed_trials
from hbt_ray.study.recording import log_trial
from hbt_ray.study.study import Study
from hbt_ray.study.trials import Trial
from hbt_ray.tracking.runs import RunStore
from hbt_ray.tracking.writer import RunWriter
from hbt_ray.training.run import keep_scores
from tests.study.stores import EXPERIMENT, made_up_scores

STEPS = 10


def recipe_of(name, *, train=None, **tune):
    settings = {"train": {"steps": STEPS, **(train or {})}, "tune": {"baselines": [], **tune}}
    return build_recipe({"name": name, "tracking": {"log_models": "none"}, **settings})


def open_study(directory, uri, recipe, study_id="0"):
    """A study whose log is a writer of its own."""
    experiment = SimpleNamespace(datasets=())
    log = RunWriter(RunStore(uri, EXPERIMENT))
    return Study(recipe, experiment, StudyDirectory(f"{directory}/{recipe.name}-{study_id}"), log, study_id)


def scores_of(spec, level=0.0):
    return made_up_scores(spec.seed, noise=0.75 + level + 0.1 * spec.point.get("plan.alpha", 1), bias=0.1, num_items=20)


def train(study, spec, *, begin=True, level=0.0):
    """What a trial leaves where its driver is killed as it ends: its result and its scores, and a run that is open."""
    if begin:
        log_trial(study.log, study, spec)
    found = scores_of(spec, level)
    keep_scores(study.directory.of_trial(spec), found)
    metrics = {f"{found.name}/{name}": value for name, value in found.headline().items()}
    result = Trial(spec, "finished", STEPS, metrics, f"{study.directory.of_trial(spec)}/model")
    study.directory.save(result)
    return result


def train_all(study, report=None):
    """In the place of Ray Tune."""
    for spec in listed_trials(study.recipe):
        if study.directory.result(spec) is None:
            train(study, spec)
