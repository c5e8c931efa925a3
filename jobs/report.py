"""The decision report of a study, at any time, from its workspace alone: HTML, Markdown and JSON.

python jobs/report.py STUDY [--workspace build] [--set dev] [--out DIR] [--mirror]
python jobs/report.py --from-mlflow RUN_ID [--tracking-uri http://host:5000] [--workspace elsewhere]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from mlflow.exceptions import MlflowException

from hbt_ray.cluster.connect import resolve_workspace
from hbt_ray.config import Recipe, TrackingConfig
from hbt_ray.errors import ConfigError
from hbt_ray.reports.study_output import report_study
from hbt_ray.reports.study_wording import recommendation_line
from hbt_ray.study.directory import StudyDirectory
from hbt_ray.terminal import run_job, say
from hbt_ray.tracking.fetch import fetch_study
from hbt_ray.tracking.mirror import mirror_now
from hbt_ray.tracking.runs import RunStore
from hbt_ray.tracking.uri import check_tracking, resolve_tracking_uri, store_error, ui_command


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", nargs="?", default="", help="name of the study (name: of its recipe)")
    parser.add_argument("--workspace", default=Recipe().workspace, help="of the study's recipe")
    parser.add_argument("--set", default="", help="set to decide on instead of the one that the study ranks points by")
    parser.add_argument("--out", default="", help="directory of the report; empty: WORKSPACE/runs/STUDY")
    parser.add_argument("--mirror", action="store_true", help="bring all records of the study into the MLflow store")
    parser.add_argument(
        "--from-mlflow",
        default="",
        metavar="RUN_ID",
        help="fetch the study of this MLflow run first",
    )
    parser.add_argument(
        "--tracking-uri", default="", help="MLflow store; empty: MLFLOW_TRACKING_URI, else the workspace's"
    )
    parser.add_argument("--experiment", default=TrackingConfig().experiment, help="MLflow experiment")
    return parser


def main(argv: Sequence[str]) -> int:
    """Write the report, print where it is and what it recommends."""
    args = parser().parse_args(argv)
    if bool(args.study) == bool(args.from_mlflow):
        raise ConfigError("name either a study, or with --from-mlflow RUN_ID a run of one")
    workspace = resolve_workspace(args.workspace)
    uri = resolve_tracking_uri(args.tracking_uri, Path(workspace) / "mlflow")
    if args.mirror or args.from_mlflow:
        check_tracking(uri)
    store = RunStore(uri, args.experiment)
    try:
        name = args.study or fetch_study(store, args.from_mlflow, workspace, say)
        directory = StudyDirectory(f"{workspace}/runs/{name}")
        analysis, written = report_study(directory, args.set, args.out)
        for note in analysis.study.notes:
            say(f"note: {note}")
        for file in written:
            say(f"report {file}")
        say(recommendation_line(analysis))
        if args.mirror:
            whole = mirror_now(uri, args.experiment, directory.path, workspace)
            say(f"MLflow {'has all records' if whole else 'refused some records'}: {ui_command(uri)}")
    except MlflowException as error:
        raise store_error(uri, error) from error
    return 0


if __name__ == "__main__":
    run_job(main)
