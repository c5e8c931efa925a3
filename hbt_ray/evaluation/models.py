"""A model by name on sets: loaded, encoding here or on the cluster, scored set by set."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from hbt_ray.evaluation.evaluate import Search, evaluate, vectors_here, vectors_on_cluster
from hbt_ray.evaluation.record import Evaluation
from hbt_ray.model.encoder import Encoder
from hbt_ray.model.find import resolve_model
from hbt_ray.model.precision import resolve_precision
from hbt_ray.retrieval.encoding.cluster_precision import cluster_precision
from hbt_ray.retrieval.encoding.ray_encode import EncoderSpec
from hbt_ray.retrieval.sets.retrieval_set import RetrievalSet
from hbt_ray.terminal import counting, say


def evaluate_model(
    name: str,
    sets: Sequence[RetrievalSet],
    args: argparse.Namespace,
    store: Path,
    on_cluster: bool,
    search: Search,
) -> Iterator[Evaluation]:
    """Evaluations of one model on all sets, one at a time; `args` as `arguments.parser` reads them."""
    device = torch.device("cuda" if torch.cuda.is_available() and not on_cluster else "cpu")
    torch.set_num_threads(os.cpu_count() or 1)
    encoder = Encoder.load(
        resolve_model(name),
        pooling=args.pooling,
        query_prefix=args.query_prefix,
        passage_prefix=args.passage_prefix,
        trust_remote_code=args.trust_remote_code,
        max_query_tokens=args.max_query_tokens,
        max_passage_tokens=args.max_passage_tokens,
        device=device,
    )
    if on_cluster:
        precision = cluster_precision(args.precision, args.cpus_per_actor)
    else:
        precision = resolve_precision(device, args.precision)
    spec = EncoderSpec.of(encoder, resolve_model(name), precision.name, trust_remote_code=args.trust_remote_code)
    say(f"{name} on {'the cluster' if on_cluster else device}: {precision.reason}")
    settings: dict[str, Any] = {
        "precision": precision.name,
        "pooling": spec.pooling,
        "query prefix": spec.query_prefix or "none",
        "passage prefix": spec.passage_prefix or "none",
        "query tokens": spec.max_query_tokens,
        "passage tokens": spec.max_passage_tokens,
    }
    for found in sets:
        with counting("texts") as progress:
            if on_cluster:
                encode = vectors_on_cluster(encoder, spec, store, progress, args.cpus_per_actor)
            else:
                encode = vectors_here(encoder, spec, store, progress)
            evaluation = evaluate(name, found, encode, settings=settings, search=search)
        yield evaluation
