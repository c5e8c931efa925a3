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
from hbt_ray.evaluation.evaluate import Comparison, Evaluation, compare_evaluations
from hbt_ray.evaluation.models import Reading, evaluate_model
from hbt_ray.evaluation.outputs import check_outputs, new_directory, vector_directory, write_outputs
from hbt_ray.evaluation.tracked import record_evaluations
from hbt_ray.model.find import find_source, resolve_model
from hbt_ray.model.layout import read_layout
from hbt_ray.reports.evaluation_page import render_report
from hbt_ray.reports.evaluation_table import print_comparison, print_scores
from hbt_ray.retrieval.scoring.searches import SearchSettings
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
    search = SearchSettings(kind=args.search, depth=args.depth, num_shards=args.shards)
    if "://" in args.workspace:
        raise ConfigError(f"--workspace {args.workspace!r} is a URL; give a directory, which nodes of a cluster share")
    workspace = Path(resolve_workspace(args.workspace))
    out = args.out or new_directory(workspace, names)
    check_outputs(out, args.json)
    for name in names:
        read_layout(find_source(resolve_model(name)))  # before hours of encoding with the first
    uri = resolve_tracking_uri(args.tracking_uri, workspace / "mlflow")
    if not args.no_mlflow:
        check_tracking(uri)
    reading = Reading(
        pooling=args.pooling,
        query_prefix=args.query_prefix,
        passage_prefix=args.passage_prefix,
        max_query_tokens=args.max_query_tokens,
        max_passage_tokens=args.max_passage_tokens,
        trust_remote_code=args.trust_remote_code,
        precision=args.precision,
        on_cluster=args.encode == "cluster" or (args.encode == "auto" and names_cluster()),
        cpus_per_actor=args.cpus_per_actor,
    )
    if reading.on_cluster or search.kind == "sharded":
        join(os.cpu_count() or 1)
    sets = load_sets(args.set, args.langs)
    for rs in sets:
        langs = f"{rs.num_langs} language{'s' if rs.num_langs > 1 else ''}"
        say(f"{rs.name}: {rs.num_queries:,} queries, {rs.num_passages:,} passages, {langs}")
        for note in rs.notes:
            say(f"note: {rs.name}: {note}")
    evaluations: list[Evaluation] = []
    with vector_directory(workspace, args.no_cache) as store:
        for name in names:
            for evaluation in evaluate_model(name, sets, reading, store, search):
                print_scores(evaluation.scores, console, evaluation.intervals)
                known = next(rs for rs in sets if rs.name == evaluation.scores.name).notes
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
        record_evaluations(uri, args.experiment, names, evaluations, page, str(out))
    return 0


if __name__ == "__main__":
    run_job(main)
