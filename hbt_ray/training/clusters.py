"""The clusters of languages that a run pairs within and across, made before it begins and stored with its recipe."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

import numpy as np

from hbt_ray.batches.clusters import Partition, make_partition
from hbt_ray.batches.index import ItemIndex
from hbt_ray.batches.mix import lang_weights
from hbt_ray.batches.row_reader import RowReader
from hbt_ray.config import PlanConfig, Recipe
from hbt_ray.corpus.manifest import Corpus
from hbt_ray.errors import ConfigError, PlanError
from hbt_ray.languages import canonical_lang
from hbt_ray.model.encoder import Encoder
from hbt_ray.storage import read_json, write_json

CENTROID_ITEMS = 64
"""Held-out items whose passages are encoded, in all their languages."""
INDIVIDUAL = {
    "ara": "arb", "aze": "azj", "est": "ekk", "fas": "pes", "kur": "kmr", "lav": "lvs", "mon": "khk", "msa": "zsm",
    "nep": "npi", "nor": "nob", "ori": "ory", "sqi": "als", "swa": "swh", "uzb": "uzn", "yid": "ydd", "zho": "cmn",
}  # fmt: skip
"""ISO 639-3 macrolanguage -> its standard variety, which URIEL+ has instead."""


def with_partition(recipe: Recipe, corpus: Corpus, base: str, workspace: str) -> Recipe:
    """The recipe with `plan.partition` filled in where its plan pairs by clusters; made once for all runs alike.

    Raises:
        PlanError: the languages cannot be clustered so.
        ConfigError: `plan.clusters=typology` without `hbt-ray[typology]`.
    """
    plan = recipe.plan
    if plan.pairs != "clusters" or plan.partition:
        return recipe
    langs = used_langs(ItemIndex.of(corpus), plan)
    made_from = {"clusters": plan.clusters, "langs": list(langs)}
    if plan.clusters == "centroids":
        made_from |= {"corpus": corpus.manifest.fingerprint, "base": base}
    name = plan.clusters.replace(":", "-")
    location = f"{workspace}/clusters/{name}-{recipe.digest('plan', 'model')}.json"
    known = read_json(location) or {}
    if known.get("made_from") != made_from:
        distances = None
        if plan.clusters == "typology":
            distances = typological_distances(langs)
        elif plan.clusters == "centroids":
            distances = centroid_distances(recipe, corpus, base, langs)
        known = {"made_from": made_from, "partition": make_partition(plan.clusters, langs, distances)}
        write_json(location, known)
    partition: Partition = tuple(tuple(cluster) for cluster in json.loads(json.dumps(known["partition"])))
    return replace(recipe, plan=replace(plan, partition=partition))


def used_langs(index: ItemIndex, plan: PlanConfig) -> tuple[str, ...]:
    """The languages that rows of the plan can be in."""
    kept = index.only([canonical_lang(code) for code in plan.langs]) if plan.langs else index
    return tuple(code for code, weight in zip(kept.langs, lang_weights(kept, plan), strict=True) if weight)


def typological_distances(langs: tuple[str, ...]) -> np.ndarray:
    """float64 [n, n]: angular distances of syntax, phonology and phoneme inventories.

    Source: URIEL+ (arXiv 2409.18472), its distance "featural" without imputation.
    """
    import langcodes

    try:
        from urielplus.urielplus import URIELPlus
    except ImportError:
        raise ConfigError(
            "plan.clusters=typology needs the package urielplus: pip install 'hbt-ray[typology]'"
        ) from None
    logger, level = logging.getLogger(), logging.getLogger().level
    handlers = list(logger.handlers)
    try:
        uriel = URIELPlus()
        codes = [langcodes.Language.get(code).to_alpha3() for code in langs]
        codes = [INDIVIDUAL.get(code, code) for code in codes]
        known = set(uriel.langs[1].tolist())
        names = sorted(known.intersection(codes))  # scripts of one language have one typology
        unique = np.asarray(uriel.new_distance("featural", names), np.float64)
    finally:  # it sets up logging for the whole process
        logger.setLevel(level)
        logger.handlers[:] = handlers
    studied = [name for name, row in zip(names, unique, strict=True) if (row >= 0).sum() > 1]  # -1: nothing to compare
    if absent := [code for code, name in zip(langs, codes, strict=True) if name not in studied]:
        raise PlanError(
            f"plan.clusters=typology: URIEL+ knows too little of {', '.join(absent)}; leave them out by plan.langs, or "
            "take another plan.clusters"
        )
    unique = np.where(unique < 0, 1.0, unique)  # of two languages that no feature is known of both: the largest
    places = np.array([names.index(code) for code in codes])
    return np.asarray(unique[np.ix_(places, places)])


def centroid_distances(recipe: Recipe, corpus: Corpus, base: str, langs: tuple[str, ...]) -> np.ndarray:
    """float64 [n, n]: distances between the mean vectors of the languages' held-out passages, by the base encoder.

    An item's vectors are taken without their mean, so that languages are compared and not the items that they have.
    """
    from hbt_ray.training.stepper import load_encoder

    index = ItemIndex.of(corpus, "dev")
    columns = [index.langs.index(code) for code in langs]
    items = np.random.default_rng(0).permutation(index.num_items)
    has = index.langs_of(items)[:, columns] if len(items) else np.zeros((0, len(langs)), bool)
    order = np.argsort(-has.sum(axis=1), kind="stable")[:CENTROID_ITEMS]  # of items in many languages, some
    items, has = items[order], has[order]
    there = np.asarray(has.any(axis=0))
    if absent := [code for code, known in zip(langs, there, strict=True) if not known]:
        raise PlanError(
            f"plan.clusters=centroids: the dev items have no passage in {', '.join(absent)}; hold out more items "
            "(corpus.dev_share, corpus.dev_ids), or take another plan.clusters"
        )
    rows, langs_of_rows = np.nonzero(has)
    reader = RowReader(corpus, index, "dev")
    values, lengths = reader.tokens(items[rows], np.array(columns)[langs_of_rows], "passage")
    encoder: Encoder = load_encoder(recipe, base).eval()
    texts = np.split(values, np.cumsum(lengths)[:-1])
    vectors = encoder.encode_tokens(texts, token_budget=recipe.evaluation.token_budget).astype(np.float64)
    means = np.zeros((len(items), vectors.shape[1]))
    np.add.at(means, rows, vectors)
    vectors -= (means / has.sum(axis=1, keepdims=True).clip(1))[rows]
    centroids = np.zeros((len(langs), vectors.shape[1]))
    np.add.at(centroids, langs_of_rows, vectors)
    centroids /= has.sum(axis=0)[:, None]
    return np.asarray(np.linalg.norm(centroids[:, None] - centroids, axis=2))
