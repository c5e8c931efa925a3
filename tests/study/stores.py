"""Studies of known truth in real workspaces: scores of made-up vectors, recorded as trials record theirs."""

import numpy as np

from hbt_ray.config.load import build_recipe
from hbt_ray.records import RunRecords
from hbt_ray.retrieval.scoring.saved import FILE_NAME, scores_to_bytes
from hbt_ray.retrieval.scoring.score import score
from hbt_ray.retrieval.sets.parallel import parallel_set
from hbt_ray.study.directory import StudyDirectory
from hbt_ray.study.points import TrialSpec
from hbt_ray.study.trials import BASELINE_TAG, StudyData, Trial
from hbt_ray.training.run import SECTIONS

EXPERIMENT = "hbt_ray"
LANGS = ("en", "de", "zh", "ar")
DIM = 24


def made_up_scores(seed, *, noise, bias, num_items=80, langs=LANGS, name="dev", weak_lang=None):
    """Scores of an encoder with `noise` around each item, and `bias` towards passages of the question's language.

    Noise costs mAP everywhere; bias leaves mAP inside a language and costs mAP in the pool and rank distance.
    """
    world, of_seed = np.random.default_rng(0), np.random.default_rng((1, seed))
    rs = parallel_set(name, langs, np.ones((num_items, len(langs)), dtype=bool))
    items = world.standard_normal((num_items, DIM))[rs.query_keys]
    shared = world.standard_normal((2, rs.num_queries, DIM))  # what makes a question hard for every model
    level = np.where(rs.query_langs == (-1 if weak_lang is None else langs.index(weak_lang)), 1.5, 1.0)[:, None]
    sides = []
    for side, row_langs in enumerate((rs.query_langs, rs.passage_langs)):
        own = of_seed.standard_normal((len(row_langs), DIM))
        part = 0.8 * shared[side] + 0.6 * own
        # Dimensions of its own for the language: all passages of one language move alike, so none overtakes another.
        sides.append(np.hstack([items + noise * level * part, np.sqrt(bias * DIM) * np.eye(len(langs))[row_langs]]))
    return score(rs, *sides, top_k=0)


def write_study(
    workspace,
    name,
    points,
    *,
    scores,
    seeds=(0,),
    metric="dev/pool_map",
    by_question=True,
    statuses=(),
    space=None,
    controls=None,
    error="the loss is NaN",
    settings=None,
):
    """Record a study in a workspace, as a job does; returns its directory.

    points: list of dicts, dotted field -> value. scores: (point, seed) -> list of Scores, one a set.
    statuses: {(position of the point, seed): status} of trials that did not finish.
    controls: baseline -> its point, outside of the space; "untrained" comes with the first seed alone.
    settings: sections of the recipe, `settings["model"]` for example.
    """
    directory = StudyDirectory(f"{workspace}/runs/{name}")
    fields = {field: sorted({point[field] for point in points}) for field in points[0]}
    tree = {"train": {"steps": 20}, **(settings or {})}
    recipe = build_recipe({**tree, "name": name, "tune": {"metric": metric, "space": space or fields}})
    tags = {"hbt.kind": "study", "hbt.study": name}
    directory.records.start(f"{name}-0", name, tags=tags, settings=recipe.resolved())
    every = [("", point) for point in points] + list((controls or {}).items())
    for seed in seeds:
        for at, (baseline, point) in enumerate(every):
            if baseline == "untrained" and seed != seeds[0]:
                continue
            spec = TrialSpec.of(point, seed)
            resolved = spec.recipe(recipe).resolved()
            records = RunRecords(directory.of_trial(spec))
            tags = {"hbt.kind": "trial", "hbt.study": name, "hbt.seed": str(seed)}
            records.start(
                f"{name}-0/{spec.name}",
                spec.label,
                parent=f"{name}-0",
                tags=tags | ({BASELINE_TAG: baseline} if baseline else {}),
                settings={section: resolved[section] for section in SECTIONS},
                trial=dict(spec.overrides),
            )
            status = dict(statuses).get((at, seed), "finished")
            if status == "failed":
                directory.save(Trial(spec, "failed", 0, {}, error=error))
                continue
            found = scores(point, seed)
            metrics = {f"{each.name}/{key}": value for each in found for key, value in each.headline().items()}
            records.metrics(20, metrics)
            for each in found if by_question else ():
                records.file(f"{each.name}/{FILE_NAME}", scores_to_bytes(each))
            directory.save(Trial(spec, status, 20, metrics, f"{directory.of_trial(spec)}/model"))
    directory.records.end("finished")
    return directory


def made_study(name, points, *, scores, seeds=(0,), controls=None):
    """(study, how its scores are read), as `write_study` and the store would give them, without a store."""
    trials, found = [], {}
    for seed in seeds:
        for at, (baseline, point) in enumerate([("", point) for point in points] + list((controls or {}).items())):
            if baseline == "untrained" and seed != seeds[0]:
                continue
            key = f"{at}-{seed}"
            of_sets = scores(point, seed)
            found.update({(key, each.name): each for each in of_sets})
            metrics = {f"{each.name}/{key}": value for each in of_sets for key, value in each.headline().items()}
            trials.append(
                Trial(
                    TrialSpec.of({field: value for field, value in point.items() if field in points[0]}, seed),
                    "finished",
                    step=20,
                    key=key,
                    title=f"{point} seed={seed}",
                    metrics=metrics,
                    config={"plan.alpha_schedule": "constant", "train.steps": 20, **point},
                    baseline=baseline,
                    is_control=bool(baseline),
                )
            )
    study = StudyData(
        name=name, key="0", directory="", trials=tuple(trials), metric="dev/pool_map", config={"train.steps": 20}
    )
    return study, lambda some, set_name: {trial.key: found[trial.key, set_name] for trial in some}


ALPHAS = [{"plan.alpha": alpha} for alpha in (0.0, 0.25, 0.5, 0.75, 1.0)]
"""The study of `trade_scores`."""
NOISE = {0.0: 0.95, 0.25: 0.8, 0.5: 0.75, 0.75: 0.75, 1.0: 0.75}
BIAS = {0.0: 0.05, 0.25: 0.1, 0.5: 0.1, 0.75: 0.3, 1.0: 0.8}


def trade_scores(point, seed, **more):
    """Few monolingual batches cost mAP inside a language; many, mAP in the pool. Best by the rule: 0.5 or nearby."""
    alpha = point["plan.alpha"]
    return [made_up_scores(100 * seed + round(100 * alpha) + 1, noise=NOISE[alpha], bias=BIAS[alpha], **more)]
