"""Studies of known truth in real MLflow stores: scores of made-up vectors, recorded as trials record theirs."""

import json

import numpy as np

from hbt_ray.evaluation.parallel import parallel_set
from hbt_ray.evaluation.saved import FILE_NAME, scores_to_bytes
from hbt_ray.evaluation.score import score
from hbt_ray.tracking.runs import RunStore

EXPERIMENT = "hbt_ray"
LANGS = ("en", "de", "zh", "ar")
DIM = 24


def made_up_scores(seed, *, noise, bias, num_items=80, langs=LANGS, name="dev", weak_lang=None):
    """Scores of an encoder with `noise` around each item, and `bias` towards passages of the question's language.

    Noise costs mAP everywhere; bias leaves mAP inside a language and costs mAP in the mix and rank distance.
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
    directory, name, points, *, scores, seeds=(0,), metric="dev/multi_map", by_question=True, statuses=(), space=None
):
    """Record a study; returns its tracking URI.

    points: list of dicts, dotted field -> value. scores: (point, seed) -> list of Scores, one a set.
    statuses: {(position of the point, seed): status} of trials that did not finish.
    """
    uri = f"sqlite:///{directory}/mlflow.db"
    store = RunStore(uri, EXPERIMENT)
    parent = store.get_or_create(f"{name}-0", name, {"hbt.kind": "study", "hbt.study": name})
    fields = {field: sorted({json.dumps(point[field]) for point in points}) for field in points[0]}
    store.log_params(parent, {"tune": {"metric": metric, "space": space or fields}, "train.steps": 20})
    for seed in seeds:
        for at, point in enumerate(points):
            label = " ".join([*(f"{field.split('.')[-1]}={value:g}" for field, value in point.items()), f"seed={seed}"])
            tags = {"hbt.kind": "trial", "hbt.study": name, "hbt.seed": str(seed)}
            run = store.get_or_create(f"{name}-0/{label}", label, tags, parent)
            store.log_params(run, {"plan.alpha_schedule": "constant", "train.seed": seed, "train.steps": 20, **point})
            status = dict(statuses).get((at, seed), "finished")
            for found in scores(point, seed) if status != "failed" else ():
                store.log_metrics(run, [{"step": 20, **{f"{found.name}/{k}": v for k, v in found.headline().items()}}])
                store.log_bytes(run, f"{found.name}/scores.json", json.dumps(found.to_json()).encode())
                if by_question:
                    store.log_bytes(run, f"{found.name}/{FILE_NAME}", scores_to_bytes(found))
            store.finish(run, status, {"hbt.error": "the loss is NaN"} if status == "failed" else None)
    store.finish(parent, "finished")
    return uri


ALPHAS = [{"plan.alpha": alpha} for alpha in (0.0, 0.25, 0.5, 0.75, 1.0)]
"""The study of `trade_scores`."""
NOISE = {0.0: 0.95, 0.25: 0.8, 0.5: 0.75, 0.75: 0.75, 1.0: 0.75}
BIAS = {0.0: 0.05, 0.25: 0.1, 0.5: 0.1, 0.75: 0.3, 1.0: 0.8}


def trade_scores(point, seed, **more):
    """Few monolingual batches cost mAP inside a language; many, mAP in the mix. Best by the rule: 0.5 or nearby."""
    alpha = point["plan.alpha"]
    return [made_up_scores(100 * seed + round(100 * alpha) + 1, noise=NOISE[alpha], bias=BIAS[alpha], **more)]
