"""The decision report of a study, at any time, from MLflow alone: HTML, Markdown and JSON.

python jobs/report.py STUDY [--workspace build | --tracking-uri http://host:5000] [--set dev] [--out DIR]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from hbt_ray.cluster.connect import resolve_workspace
from hbt_ray.config import Recipe, TrackingConfig
from hbt_ray.reports.study_output import report_study
from hbt_ray.reports.study_wording import recommendation_line
from hbt_ray.terminal import run_job, say
from hbt_ray.tracking.uri import resolve_tracking_uri


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", help="name of the study (name: of its recipe)")
    parser.add_argument(
        "--tracking-uri", default="", help="MLflow store; empty: MLFLOW_TRACKING_URI, else the workspace's"
    )
    parser.add_argument(
        "--run", default="", help="MLflow run of the study, where several have its name; empty: the newest of them"
    )
    parser.add_argument("--workspace", default=Recipe().workspace, help="of the study's recipe")
    parser.add_argument("--experiment", default=TrackingConfig().experiment, help="MLflow experiment")
    parser.add_argument("--set", default="", help="set to decide on instead of the one that the study ranks points by")
    parser.add_argument("--out", default="", help="directory of the report; empty: WORKSPACE/runs/STUDY")
    return parser


def main(argv: Sequence[str]) -> int:
    """Write the report, print where it is and what it recommends."""
    args = parser().parse_args(argv)
    workspace = resolve_workspace(args.workspace)
    uri = resolve_tracking_uri(args.tracking_uri, Path(workspace) / "mlflow")
    directory = args.out or f"{workspace}/runs/{args.study}"
    analysis, written = report_study(uri, args.experiment, args.study, directory, args.set, args.run)
    for note in analysis.study.notes:
        say(f"note: {note}")
    for file in written:
        say(f"report {file}")
    say(recommendation_line(analysis))
    return 0


if __name__ == "__main__":
    run_job(main)
