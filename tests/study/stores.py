"""Studies of known truth in real MLflow stores: scores of made-up vectors, recorded as trials record theirs."""

import json

import numpy as np

from hbt_ray.retrieval.scoring.saved import FILE_NAME, scores_to_bytes
from hbt_ray.retrieval.scoring.score import score
from hbt_ray.retrieval.sets.parallel import parallel_set
from hbt_ray.study.points import TrialSpec
from hbt_ray.study.trials import StudyData, Trial, from_scores
from hbt_ray.tracking.naming import plain_rows
from hbt_ray.tracking.runs import RunStore
from tests.mlflow_store import fresh_store

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
    directory,
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
):
    """Record a study; returns its tracking URI.

    points: list of dicts, dotted field -> value. scores: (point, seed) -> list of Scores, one a set.
    statuses: {(position of the point, seed): status} of trials that did not finish.
    controls: baseline -> its point, outside of the space; "untrained" comes with the first seed alone.
    """
    uri = fresh_store(directory)
    store = RunStore(uri, EXPERIMENT)
    tags = {"hbt.kind": "study", "hbt.study": name, **({"hbt.controls": ",".join(controls)} if controls else {})}
    parent = store.get_or_create(f"{name}-0", name, tags)
    every = [("", point) for point in points] + list((controls or {}).items())
    fields = {field: sorted({json.dumps(point[field]) for point in points}) for field in points[0]}
    store.log_params(parent, {"tune": {"metric": metric, "space": space or fields}, "train.steps": 20})
    for seed in seeds:
        for at, (baseline, point) in enumerate(every):
            if baseline == "untrained" and seed != seeds[0]:
                continue
            named = [f"{field.split('.')[-1]}={_short(value)}" for field, value in point.items()]
            label = " ".join([*named, f"seed={seed}"])
            tags = {"hbt.kind": "trial", "hbt.study": name, "hbt.seed": str(seed)}
            tags |= {"hbt.baseline": baseline} if baseline else {}
            run = store.get_or_create(f"{name}-0/{label}", label, tags, parent)
            store.log_params(run, {"plan.alpha_schedule": "constant", "train.seed": seed, "train.steps": 20, **point})
            status = dict(statuses).get((at, seed), "finished")
            for found in scores(point, seed) if status != "failed" else ():
                row = {"step": 20, **{f"{found.name}/{k}": v for k, v in found.headline().items()}}
                store.log_metrics(run, plain_rows([row]))
                store.log_bytes(run, f"{found.name}/scores.json", json.dumps(found.to_json()).encode())
                if by_question:
                    store.log_bytes(run, f"{found.name}/{FILE_NAME}", scores_to_bytes(found))
            store.finish(run, status, {"hbt.error": "the loss is NaN"} if status == "failed" else None)
    store.finish(parent, "finished")
    return uri


def made_study(name, points, *, scores, seeds=(0,), controls=None):
    """(study, how its scores are read), as `write_study` and the store would give them, without a store."""
    trials, found = [], {}
    for seed in seeds:
        for at, (baseline, point) in enumerate([("", point) for point in points] + list((controls or {}).items())):
            if baseline == "untrained" and seed != seeds[0]:
                continue
            run_id = f"{at}-{seed}"
            of_sets = scores(point, seed)
            found.update({(run_id, each.name): from_scores(each) for each in of_sets})
            metrics = {f"{each.name}/{key}": value for each in of_sets for key, value in each.headline().items()}
            trials.append(
                Trial(
                    TrialSpec.of({field: value for field, value in point.items() if field in points[0]}, seed),
                    "finished",
                    step=20,
                    run_id=run_id,
                    title=f"{point} seed={seed}",
                    metrics=metrics,
                    config={"plan.alpha_schedule": "constant", "train.steps": 20, **point},
                    baseline=baseline,
                    is_control=bool(baseline),
                )
            )
    study = StudyData(
        name=name, run_id="0", tracking_uri="", trials=tuple(trials), metric="dev/pool_map", config={"train.steps": 20}
    )
    return study, lambda some, set_name: {trial.run_id: found[trial.run_id, set_name] for trial in some}


def _short(value):
    return f"{value:g}" if isinstance(value, int | float) else str(value)


ALPHAS = [{"plan.alpha": alpha} for alpha in (0.0, 0.25, 0.5, 0.75, 1.0)]
"""The study of `trade_scores`."""
NOISE = {0.0: 0.95, 0.25: 0.8, 0.5: 0.75, 0.75: 0.75, 1.0: 0.75}
BIAS = {0.0: 0.05, 0.25: 0.1, 0.5: 0.1, 0.75: 0.3, 1.0: 0.8}


def trade_scores(point, seed, **more):
    """Few monolingual batches cost mAP inside a language; many, mAP in the pool. Best by the rule: 0.5 or nearby."""
    alpha = point["plan.alpha"]
    return [made_up_scores(100 * seed + round(100 * alpha) + 1, noise=NOISE[alpha], bias=BIAS[alpha], **more)]
