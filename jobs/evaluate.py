"""Score encoders on retrieval sets: inside each language, across languages and in the pool, and who is preferred.

python jobs/evaluate.py --model DIRECTORY_OR_NAME --set xquad_r:DIRECTORY [--langs en de ...]
python jobs/evaluate.py --compare A B --set xquad_r:DIRECTORY      # which differences are real, which are noise
"""

from __future__ import annotations

import argparse
import json
import os
import re
import tempfile
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from hbt_ray.cli import console, counting, quiet_transformers, run_job, say
from hbt_ray.cluster import join, names_cluster, resolve_workspace
from hbt_ray.errors import ConfigError
from hbt_ray.evaluation.benchmarks import load_set, parse_name, sets_help
from hbt_ray.evaluation.cluster_precision import cluster_precision
from hbt_ray.evaluation.evaluate import (
    SEARCHES,
    Search,
    compare_evaluations,
    comparison_json,
    evaluate,
    to_json,
    vectors_here,
    vectors_on_cluster,
)
from hbt_ray.evaluation.ray_encode import EncoderSpec
from hbt_ray.evaluation.record import Comparison, Evaluation
from hbt_ray.evaluation.report import render_report
from hbt_ray.evaluation.sets import RetrievalSet
from hbt_ray.evaluation.table import print_comparison, print_scores
from hbt_ray.experiment import resolve_model
from hbt_ray.model.encoder import Encoder
from hbt_ray.model.layout import find_source, read_layout
from hbt_ray.model.pooling import POOLINGS
from hbt_ray.model.precision import PRECISIONS, resolve_precision
from hbt_ray.tracking.uri import check_tracking, resolve_tracking_uri, ui_command

PLACES = ("auto", "here", "cluster")


def parser() -> argparse.ArgumentParser:
    """The arguments of the job."""
    raw = argparse.RawDescriptionHelpFormatter
    args = argparse.ArgumentParser(description=__doc__, epilog=sets_help(), formatter_class=raw)
    which = args.add_mutually_exclusive_group(required=True)
    which.add_argument("--model", nargs="+", metavar="MODEL", help="model directory, Hugging Face name, package:NAME")
    which.add_argument("--compare", nargs=2, metavar=("A", "B"), help="two models; B is held against A")
    args.add_argument("--set", nargs="+", required=True, help="KIND:DIRECTORY[?option=value] or KIND:hub, see below")
    args.add_argument("--langs", nargs="*", default=(), help="languages of the sets (default: all they have)")

    reading = args.add_argument_group("how texts are read (default: as the model's directory says)")
    reading.add_argument("--max-query-tokens", type=int, help="else what the model was made for")
    reading.add_argument("--max-passage-tokens", type=int, help="else what the model was made for")
    reading.add_argument("--pooling", default="auto", choices=("auto", *POOLINGS))
    reading.add_argument("--query-prefix", help="else the model's, or none")
    reading.add_argument("--passage-prefix", help="else the model's, or none")
    reading.add_argument("--trust-remote-code", action="store_true", help="let the model run code of its own")
    reading.add_argument(
        "--precision", default="fp32", choices=PRECISIONS, help="default fp32: scores agree between machines"
    )

    work = args.add_argument_group("where and how it is computed")
    work.add_argument(
        "--encode", default="auto", choices=PLACES, help="auto: on the cluster that RAY_ADDRESS names, else here"
    )
    work.add_argument("--cpus-per-actor", type=int, default=2, help="cores of an encoding actor without a GPU")
    work.add_argument(
        "--search",
        default="exact",
        choices=SEARCHES,
        help="exact ranks all passages; sharded, ivf and hnsw list the first --depth",
    )
    work.add_argument("--depth", type=int, default=1000, help="length of these lists")
    work.add_argument("--shards", type=int, default=2, help="of the sharded search")

    out = args.add_argument_group("what is kept")
    out.add_argument("--workspace", default="build", help="where vectors, reports and the MLflow store go")
    out.add_argument("--out", type=Path, help="directory of report.html and scores.json (default: in the workspace)")
    out.add_argument("--json", type=Path, help="write all scores to this file as well")
    out.add_argument("--no-cache", action="store_true", help="neither use vectors of earlier evaluations nor keep any")
    out.add_argument("--no-mlflow", action="store_true", help="record nothing in MLflow")
    out.add_argument("--tracking-uri", default="", help="else MLFLOW_TRACKING_URI, else SQLite in the workspace")
    out.add_argument("--experiment", default="hbt_ray", help="of MLflow")
    return args


def main(argv: Sequence[str]) -> int:
    """Encode, score, print, and write the report."""
    args = parser().parse_args(argv)
    quiet_transformers()
    names = args.compare or args.model
    if len(set(names)) < len(names):
        raise ConfigError(f"model {names[0]!r} is given twice; give each model once")
    search = Search(kind=args.search, depth=args.depth, num_shards=args.shards)
    if "://" in args.workspace:
        raise ConfigError(f"--workspace {args.workspace!r} is a URL; give a directory, which nodes of a cluster share")
    if args.cpus_per_actor < 1:
        raise ConfigError(f"--cpus-per-actor is {args.cpus_per_actor}; it must be 1 or more")
    workspace = Path(resolve_workspace(args.workspace))
    out = args.out or workspace / "evaluations" / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{_slug(names)}"
    _check_outputs(out, args.json)
    for name in names:
        read_layout(find_source(resolve_model(name)))  # before hours of encoding with the first
    uri = resolve_tracking_uri(args.tracking_uri, workspace / "mlflow")
    if not args.no_mlflow:
        check_tracking(uri)
    on_cluster = args.encode == "cluster" or (args.encode == "auto" and names_cluster())
    if on_cluster or search.kind == "sharded":
        join(os.cpu_count() or 1)
    sets = _distinct([_load(name, args.langs) for name in args.set], args.set)
    evaluations: list[Evaluation] = []
    with _store(workspace, args.no_cache) as store:
        for name in names:
            evaluations += _evaluate(name, sets, args, store, on_cluster, search)
    comparisons: list[Comparison] = []
    if args.compare:
        for a, b in zip(evaluations[: len(sets)], evaluations[len(sets) :], strict=True):
            comparisons.append(compare_evaluations(a, b))
            print_comparison(comparisons[-1], console)
    page = render_report(evaluations, comparisons)
    _write(out, page, evaluations, comparisons, args.json)
    if not args.no_mlflow:
        _record(uri, args.experiment, names, evaluations, page)
    return 0


def _check_outputs(out: Path, also: Path | None) -> None:
    """ConfigError where the results could not be written in the end."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "report.html").touch()
        if also:
            also.parent.mkdir(parents=True, exist_ok=True)
            also.touch()
    except OSError as error:
        raise ConfigError(f"results cannot be written to {error.filename} ({error.strerror}); give another") from error


def _load(name: str, langs: Sequence[str]) -> RetrievalSet:
    found = load_set(name, langs)
    langs = f"{found.num_langs} language{'s' if found.num_langs > 1 else ''}"
    say(f"{found.name}: {found.num_queries:,} queries, {found.num_passages:,} passages, {langs}")
    for note in found.notes:
        say(f"note: {found.name}: {note}")
    return found


def _distinct(sets: Sequence[RetrievalSet], names: Sequence[str]) -> list[RetrievalSet]:
    """Sets of one kind are told apart by their directories: scores are filed under the name of the set."""
    kinds = Counter(found.name for found in sets)
    places = [parse_name(name) for name in names]
    titles = [
        found.name if kinds[found.name] == 1 else f"{found.name}-{options.get('name') or Path(place).stem}"
        for found, (_, place, options) in zip(sets, places, strict=True)
    ]
    if twice := [title for title, times in Counter(titles).items() if times > 1]:
        raise ConfigError(f"--set names two sets that would both be called {twice[0]!r}; evaluate them one by one")
    return [replace(found, name=title) for found, title in zip(sets, titles, strict=True)]


def _evaluate(
    name: str,
    sets: Sequence[RetrievalSet],
    args: argparse.Namespace,
    store: Path,
    on_cluster: bool,
    search: Search,
) -> Iterator[Evaluation]:
    """Evaluations of one model on all sets, each printed when it is done."""
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
        print_scores(evaluation.scores, console, evaluation.intervals)
        for note in evaluation.notes[len(found.notes) :]:
            say(f"note: {found.name}: {note}")
        yield evaluation


def _slug(names: Sequence[str]) -> str:
    return "-vs-".join(re.sub(r"[^A-Za-z0-9]+", "-", Path(name).name)[-40:].strip("-") for name in names)


@contextmanager
def _store(workspace: Path, temporary: bool) -> Iterator[Path]:
    if not temporary:
        yield workspace / "vectors"
        return
    with tempfile.TemporaryDirectory(prefix="hbt-vectors-") as directory:
        yield Path(directory)


def _write(
    out: Path, page: str, evaluations: Sequence[Evaluation], comparisons: Sequence[Comparison], also: Path | None
) -> None:
    tree = {
        "evaluations": [to_json(evaluation) for evaluation in evaluations],
        "comparisons": [comparison_json(comparison) for comparison in comparisons],
    }
    text = json.dumps(tree, indent=1, ensure_ascii=False)
    out.mkdir(parents=True, exist_ok=True)
    (out / "report.html").write_text(page, encoding="utf-8")
    (out / "scores.json").write_text(text, encoding="utf-8")
    say(f"report  {out / 'report.html'}")
    say(f"scores  {out / 'scores.json'}")
    if also:
        also.parent.mkdir(parents=True, exist_ok=True)
        also.write_text(text, encoding="utf-8")


def _record(uri: str, experiment: str, names: Sequence[str], evaluations: Sequence[Evaluation], page: str) -> None:
    """One MLflow run a model, with all its sets."""
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")  # read when MLflow is imported
    from hbt_ray.tracking.evaluations import log_evaluation
    from hbt_ray.tracking.runs import RunStore
    from hbt_ray.tracking.writer import RunWriter

    log = RunWriter(RunStore(uri, experiment))
    for name in names:
        key = f"evaluation/{uuid.uuid4().hex[:12]}"
        log.start_run(key, f"evaluation of {name}", {"hbt.kind": "evaluation"})
        for evaluation in evaluations:
            if evaluation.model == name:
                log_evaluation(log, key, evaluation, page)
        log.finish_run(key, "finished")
        say(f"run id  {log.run_id(key)}")
    if not log.close():
        say(f"warning: not everything could be written to {uri}")
    say(f"MLflow  {ui_command(uri)}")


if __name__ == "__main__":
    run_job(main)
