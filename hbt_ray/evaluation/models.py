"""A model by name on sets: loaded, encoding here or on the cluster, scored set by set."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from hbt_ray.arrays import VectorArray
from hbt_ray.errors import ConfigError, asked_by
from hbt_ray.evaluation.evaluate import Encode, Evaluation, evaluate
from hbt_ray.model.encoder import Encoder
from hbt_ray.model.find import resolve_model
from hbt_ray.model.precision import autocast, resolve_precision
from hbt_ray.model.roles import Role
from hbt_ray.retrieval.encoding.ray_encode import EncoderSpec, ray_encode
from hbt_ray.retrieval.encoding.vector_store import VectorStore, encode_cached
from hbt_ray.retrieval.scoring.searches import SearchSettings
from hbt_ray.retrieval.sets.retrieval_set import RetrievalSet
from hbt_ray.terminal import counting, say


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a model reads texts, and where; None is what the model's directory says."""

    pooling: str = "auto"
    query_prefix: str | None = None
    passage_prefix: str | None = None
    max_query_tokens: int | None = None
    max_passage_tokens: int | None = None
    trust_remote_code: bool = False
    precision: str = "fp32"
    on_cluster: bool = False
    """Whether Ray's actors encode; Ray must be connected then."""
    cpus_per_actor: int = 2
    """Cores of an actor without a GPU."""

    def __post_init__(self) -> None:
        if self.cpus_per_actor < 1:
            raise ConfigError(f"--cpus-per-actor is {self.cpus_per_actor}; it must be 1 or more")
        if self.on_cluster and self.precision == "auto":  # one node may have bf16 and the next one not
            raise ConfigError("--precision auto is for this machine alone; on a cluster give bf16 or fp32")


def evaluate_model(
    name: str, sets: Sequence[RetrievalSet], reading: Reading, store: Path, search: SearchSettings
) -> Iterator[Evaluation]:
    """Evaluations of one model on all sets, one at a time; what `store` has vectors of is not encoded again."""
    device = torch.device("cuda" if torch.cuda.is_available() and not reading.on_cluster else "cpu")
    torch.set_num_threads(os.cpu_count() or 1)
    with asked_by(f"--model {name}"):
        encoder = Encoder.load(
            resolve_model(name),
            pooling=reading.pooling,
            query_prefix=reading.query_prefix,
            passage_prefix=reading.passage_prefix,
            trust_remote_code=reading.trust_remote_code,
            max_query_tokens=reading.max_query_tokens,
            max_passage_tokens=reading.max_passage_tokens,
            similarity="auto",
            device=device,
        )
    precision = reading.precision if reading.on_cluster else resolve_precision(device, reading.precision).name
    spec = EncoderSpec.of(encoder, resolve_model(name), precision, trust_remote_code=reading.trust_remote_code)
    say(f"{name} on {'the cluster' if reading.on_cluster else device}: {precision}")
    for note in encoder.notes:
        say(f"note: {note}")
    settings = {
        "precision": precision,
        "pooling": spec.pooling,
        "query prefix": spec.query_prefix or "none",
        "passage prefix": spec.passage_prefix or "none",
        "query tokens": spec.max_query_tokens,
        "passage tokens": spec.max_passage_tokens,
        "similarity": spec.similarity,
    }
    for rs in sets:
        with counting("texts") as progress:
            encode = _encode(encoder, spec, store, reading, progress)
            evaluation = evaluate(name, rs, encode, settings=settings, search=search)
        yield evaluation


def _encode(
    encoder: Encoder, spec: EncoderSpec, store: Path, reading: Reading, progress: Callable[[Role, int, int], object]
) -> Encode:
    """Encoding by Ray's actors, a GPU or some cores each, or in this process."""

    def encode(texts: Sequence[str], role: Role) -> VectorArray:
        vectors, report = VectorStore(store, spec.fingerprint(role), encoder.dim), partial(progress, role)
        if reading.on_cluster:
            return ray_encode(spec, texts, role, vectors, report, num_cpus=reading.cpus_per_actor)
        with autocast(encoder.device, spec.precision):
            return encode_cached(encoder, texts, role, vectors, report)

    return encode
