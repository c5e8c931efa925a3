"""Studies as the job has them, without Ray: trials are trained by hand."""

from types import SimpleNamespace

from hbt_ray.config.load import build_recipe
from hbt_ray.records import RunRecords
from hbt_ray.study.directory import StudyDirectory
from hbt_ray.study.points import listed_trials
from hbt_ray.study.study import Study
from hbt_ray.study.trials import Trial
from hbt_ray.training.artifacts import record_scores
from tests.study.stores import made_up_scores

STEPS = 10


def recipe_of(name, *, train=None, **tune):
    settings = {"train": {"steps": STEPS, **(train or {})}, "tune": {"baselines": [], **tune}}
    return build_recipe({"name": name, "tracking": {"log_models": "none"}, **settings})


def open_study(workspace, recipe):
    """A study in a workspace, without corpus and base model."""
    experiment = SimpleNamespace(datasets=())
    return Study(recipe, experiment, StudyDirectory(f"{workspace}/runs/{recipe.name}"), "0")


def scores_of(spec, level=0.0):
    return made_up_scores(spec.seed, noise=0.75 + level + 0.1 * spec.point.get("plan.alpha", 1), bias=0.1, num_items=20)


def train(study, spec, *, level=0.0):
    """What a trial leaves."""
    study.begin_trial(spec)
    found = scores_of(spec, level)
    record_scores(RunRecords(study.directory.of_trial(spec)), found, spec.name)
    metrics = {f"{found.name}/{name}": value for name, value in found.headline().items()}
    study.directory.save(Trial(spec, "finished", STEPS, metrics, f"{study.directory.of_trial(spec)}/model"))
    return study.directory.result(spec)


def train_all(study, report=None):
    """In the place of Ray Tune."""
    for spec in listed_trials(study.recipe):
        if study.directory.result(spec) is None:
            train(study, spec)
