"""What a run learned from and was scored on, for MLflow's column of datasets: each by name and digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from hbt_ray.config import EvaluationConfig
from hbt_ray.corpus.manifest import Corpus
from hbt_ray.retrieval.sets.retrieval_set import RetrievalSet
from hbt_ray.retrieval.sets.set_digest import set_digest

DIGEST_CHARS = 12
NOT_OF_ITEMS = ("tokenizer", "hard negatives")
"""Parts of a corpus's fingerprint that do not decide what its dev items are."""


@dataclass(frozen=True, kw_only=True)
class DatasetInfo:
    """One dataset of a run."""

    name: str
    """Of an evaluation set, as its scores are filed."""
    digest: str
    """Identifies the contents."""
    context: Literal["training", "evaluation"]
    source: str
    """Directory, URL, or the name of a set on the hub."""
    profile: Mapping[str, Any]
    """Sizes, for people."""


def corpus_datasets(corpus: Corpus, config: EvaluationConfig) -> list[DatasetInfo]:
    """The training part of a prepared corpus, and its dev items as `config` has them scored."""
    manifest = corpus.manifest
    train, dev = manifest.splits["train"], manifest.splits["dev"]
    name = corpus.directory.rstrip("/").rsplit("/", 1)[-1].removesuffix(f"-{manifest.fingerprint[:DIGEST_CHARS]}")
    datasets = [
        DatasetInfo(
            name=name,
            digest=manifest.fingerprint[:DIGEST_CHARS],
            context="training",
            source=corpus.directory,
            profile={"num_items": train.num_items, "num_rows": train.num_rows, "langs": list(manifest.langs)},
        )
    ]
    if dev.num_items:
        num_items = min(dev.num_items, config.max_dev_items or dev.num_items)
        datasets.append(
            DatasetInfo(
                name="dev",
                digest=dev_digest(corpus, config),
                context="evaluation",
                source=corpus.directory,
                profile={"num_items": num_items, "langs": list(config.dev_langs or manifest.langs)},
            )
        )
    return datasets


def dev_digest(corpus: Corpus, config: EvaluationConfig) -> str:
    """Identifies the dev items that are scored: the same for models of two tokenizers, unlike the corpus's own."""
    of_items = {name: value for name, value in corpus.manifest.made_from.items() if name not in NOT_OF_ITEMS}
    identity = [sorted(of_items.items()), list(config.dev_langs), config.max_dev_items]
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:DIGEST_CHARS]


def set_dataset(rs: RetrievalSet, source: str) -> DatasetInfo:
    """A retrieval set, by its texts and judgements; `source` as in `evaluation.sets`."""
    return DatasetInfo(
        name=rs.name,
        digest=set_digest(rs),
        context="evaluation",
        source=source,
        profile={"num_queries": rs.num_queries, "num_passages": rs.num_passages, "langs": list(rs.langs)},
    )
