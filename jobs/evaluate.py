"""Score encoders on retrieval sets: inside each language, across languages and in the pool, and who is preferred.

python jobs/evaluate.py --model DIRECTORY_OR_NAME --set xquad_r:DIRECTORY [--langs en de ...]
python jobs/evaluate.py --compare A B --set xquad_r:DIRECTORY      # which differences are real, which are noise
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from hbt_ray.cluster.connect import join, names_cluster, resolve_workspace
from hbt_ray.errors import ConfigError
from hbt_ray.evaluation.arguments import parser
from hbt_ray.evaluation.evaluate import Search, compare_evaluations
from hbt_ray.evaluation.models import evaluate_model
from hbt_ray.evaluation.outputs import check_outputs, new_directory, vector_directory, write_outputs
from hbt_ray.evaluation.record import Comparison, Evaluation
from hbt_ray.evaluation.tracked import record_evaluations
from hbt_ray.model.find import resolve_model
from hbt_ray.model.layout import find_source, read_layout
from hbt_ray.reports.evaluation_page import render_report
from hbt_ray.reports.evaluation_table import print_comparison, print_scores
from hbt_ray.retrieval.sets.catalog import load_sets
from hbt_ray.terminal import console, quiet_transformers, run_job, say
from hbt_ray.tracking.uri import check_tracking, resolve_tracking_uri


def main(argv: Sequence[str]) -> int:
    """Encode, score, print, and write the report."""
    args = parser(__doc__ or "").parse_args(argv)
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
    out = args.out or new_directory(workspace, names)
    check_outputs(out, args.json)
    for name in names:
        read_layout(find_source(resolve_model(name)))  # before hours of encoding with the first
    uri = resolve_tracking_uri(args.tracking_uri, workspace / "mlflow")
    if not args.no_mlflow:
        check_tracking(uri)
    on_cluster = args.encode == "cluster" or (args.encode == "auto" and names_cluster())
    if on_cluster or search.kind == "sharded":
        join(os.cpu_count() or 1)
    sets = load_sets(args.set, args.langs)
    for found in sets:
        langs = f"{found.num_langs} language{'s' if found.num_langs > 1 else ''}"
        say(f"{found.name}: {found.num_queries:,} queries, {found.num_passages:,} passages, {langs}")
        for note in found.notes:
            say(f"note: {found.name}: {note}")
    evaluations: list[Evaluation] = []
    with vector_directory(workspace, args.no_cache) as store:
        for name in names:
            for evaluation in evaluate_model(name, sets, args, store, on_cluster, search):
                print_scores(evaluation.scores, console, evaluation.intervals)
                known = next(found for found in sets if found.name == evaluation.scores.name).notes
                for note in evaluation.notes[len(known) :]:
                    say(f"note: {evaluation.scores.name}: {note}")
                evaluations.append(evaluation)
    comparisons: list[Comparison] = []
    if args.compare:
        for a, b in zip(evaluations[: len(sets)], evaluations[len(sets) :], strict=True):
            comparisons.append(compare_evaluations(a, b))
            print_comparison(comparisons[-1], console)
    page = render_report(evaluations, comparisons)
    write_outputs(out, page, evaluations, comparisons, args.json)
    if not args.no_mlflow:
        record_evaluations(uri, args.experiment, names, evaluations, page)
    return 0


if __name__ == "__main__":
    run_job(main)
