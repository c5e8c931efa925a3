"""Scoring during and after training: every worker encodes its share, rank 0 scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed as dist

from hbt_ray.batches.index import ItemIndex
from hbt_ray.batches.row_reader import RowReader
from hbt_ray.config import EvaluationConfig
from hbt_ray.corpus.manifest import Corpus
from hbt_ray.errors import EvaluationError
from hbt_ray.languages import canonical_lang
from hbt_ray.model.encoder import Encoder
from hbt_ray.model.gather import world
from hbt_ray.model.precision import autocast
from hbt_ray.model.roles import ROLES, Role
from hbt_ray.retrieval.scoring.score import Scores, score
from hbt_ray.retrieval.sets.catalog import load_set
from hbt_ray.retrieval.sets.parallel import parallel_set
from hbt_ray.retrieval.sets.retrieval_set import RetrievalSet


@dataclass(frozen=True)
class ScoredSet:
    """A retrieval set with its tokens: one array of ids a query and a passage."""

    retrieval_set: RetrievalSet
    queries: Sequence[np.ndarray]
    passages: Sequence[np.ndarray]


def dev_set(corpus: Corpus, config: EvaluationConfig) -> ScoredSet | None:
    """The corpus's dev items (at most `max_dev_items`, in `dev_langs`) as a parallel set; None where there are none."""
    index = ItemIndex.of(corpus, "dev")
    if not index.num_items:
        return None
    reader = RowReader(corpus, index, "dev")
    wanted = [canonical_lang(code) for code in config.dev_langs] or list(index.langs)
    kept = [lang for lang, code in enumerate(index.langs) if code in wanted]
    items = np.random.default_rng(0).permutation(index.num_items)
    items = items[index.langs_of(items)[:, kept].any(axis=1)]
    items = np.sort(items[: config.max_dev_items or None])
    has = index.langs_of(items)[:, kept]
    if not has.any():
        return None
    used = np.flatnonzero(has.any(axis=0))
    has, kept = has[:, used], [kept[lang] for lang in used]
    groups = np.zeros(has.shape, np.int64)
    rows, columns = np.nonzero(has)
    groups[rows, columns] = reader.hashes(items[rows], np.asarray(kept)[columns])
    dev = parallel_set("dev", tuple(index.langs[lang] for lang in kept), has, groups)
    row_items, row_langs = items[np.asarray(dev.query_keys)], np.asarray(kept)[dev.query_langs]
    texts = {}
    for role in ROLES:
        values, lengths = reader.tokens(row_items, row_langs, role)
        texts[role] = np.split(values, np.cumsum(lengths)[:-1])
    return ScoredSet(dev, texts["query"], texts["passage"])


def text_set(name: str, encoder: Encoder) -> ScoredSet:
    """The set that `KIND:DIRECTORY` names, tokenised for `encoder`."""
    retrieval_set = load_set(name)
    assert retrieval_set.queries is not None
    assert retrieval_set.passages is not None
    texts: dict[Role, Sequence[str]] = {"query": retrieval_set.queries, "passage": retrieval_set.passages}
    queries, passages = ([np.asarray(ids, np.int32) for ids in encoder.tokenize(texts[role], role)] for role in ROLES)
    return ScoredSet(retrieval_set, queries, passages)


def score_set(encoder: Encoder, scored: ScoredSet, *, token_budget: int, precision: str) -> Scores | None:
    """Scores of `encoder` on rank 0, None on the others; every rank has to call it."""
    queries = _encode_share(encoder, scored.queries, token_budget, precision)
    passages = _encode_share(encoder, scored.passages, token_budget, precision)
    # every rank has all vectors and stops here alike; rank 0 alone stopping would leave the others waiting
    if not (np.isfinite(queries).all() and np.isfinite(passages).all()):
        raise EvaluationError("vectors are NaN or infinite: the training diverged; lower train.lr, or warm up longer")
    return score(scored.retrieval_set, queries, passages) if world()[0] == 0 else None


def _encode_share(encoder: Encoder, texts: Sequence[np.ndarray], token_budget: int, precision: str) -> np.ndarray:
    """[n, dim] on every rank: rank r encodes rows r, r + W, ... of the rows sorted by length."""
    rank, world_size = world()
    order = np.argsort([len(text) for text in texts], kind="stable")
    share = order[rank::world_size]
    with autocast(encoder.device, precision):
        vectors = encoder.encode_tokens([texts[text] for text in share], token_budget=token_budget)
    if world_size == 1:
        out = np.empty_like(vectors)
        out[share] = vectors
        return out
    most = -(-len(texts) // world_size)
    padded = torch.zeros(most, vectors.shape[1], device=encoder.device)
    padded[: len(share)] = torch.from_numpy(vectors).to(encoder.device)
    parts = [torch.empty_like(padded) for _ in range(world_size)]
    dist.all_gather(parts, padded)
    out = np.empty((len(texts), vectors.shape[1]), np.float32)
    for other, part in enumerate(parts):
        rows = order[other::world_size]
        out[rows] = part[: len(rows)].cpu().numpy()
    return out
