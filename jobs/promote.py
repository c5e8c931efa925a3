"""Make a study's model the champion, where it passes the gates; says why, or why not.

python jobs/promote.py STUDY [--dry-run] [--trial NAME] [--set SET] [gates.field=value ...]
The gates are those of the study's recipe (section `gates`, hbt_ray/config/gates.py), with what is given here on top.
Exit status: 0 no gate failed, 1 one failed, 2 nothing could be decided.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from hbt_ray.cluster.connect import resolve_workspace
from hbt_ray.config import Recipe, TrackingConfig
from hbt_ray.config.load import build_recipe, load_recipe, parse_override
from hbt_ray.errors import ConfigError
from hbt_ray.release.promote import Promotion, carry_out, judge, recorded_gates, verdict
from hbt_ray.reports.study_wording import recommendation_line
from hbt_ray.study.directory import StudyDirectory
from hbt_ray.terminal import quiet_transformers, run_job, say, show
from hbt_ray.tracking.runs import RunStore
from hbt_ray.tracking.uri import check_tracking, resolve_tracking_uri


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", help="name of the study (name: of its recipe)")
    parser.add_argument("overrides", nargs="*", metavar="gates.field=value", help="gates to change")
    parser.add_argument(
        "--trial", default="", help="trial to promote, by the name of its directory; empty: the recommended"
    )
    parser.add_argument("--set", action="append", help="set to decide on, may be repeated; as gates.sets")
    parser.add_argument("--dry-run", action="store_true", help="say the verdict, and write nothing")
    parser.add_argument(
        "--register-failed", action="store_true", help="register a model that failed too, without the alias"
    )
    parser.add_argument("--licence", default="", help="of the model, for its card, e.g. apache-2.0; empty: not stated")
    parser.add_argument("--recipe", help="recipe whose gates count instead of those that the study was run with")
    parser.add_argument("--tracking-uri", default="", help="MLflow store; empty: MLFLOW_TRACKING_URI, else SQLite")
    parser.add_argument("--workspace", default=Recipe().workspace, help="of the study's recipe")
    parser.add_argument("--experiment", default=TrackingConfig().experiment, help="MLflow experiment")
    return parser


def main(argv: Sequence[str]) -> int:
    """Judge, show the table, and carry it out."""
    args = parser().parse_intermixed_args(argv)
    quiet_transformers()
    for name, value in (("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false"), ("MLFLOW_LOGGING_LEVEL", "WARNING")):
        os.environ.setdefault(name, value)
    overrides = dict(map(parse_override, args.overrides))
    if foreign := [name for name in overrides if not name.startswith("gates.")]:
        raise ConfigError(f"{foreign[0]}: only fields of gates can be set here, as gates.max_rank_distance=300")
    if args.set:
        overrides["gates.sets"] = args.set
    workspace = resolve_workspace(args.workspace)
    directory = StudyDirectory(f"{workspace}/runs/{args.study}")
    store = RunStore(resolve_tracking_uri(args.tracking_uri, Path(workspace) / "mlflow"), args.experiment)
    check_tracking(store.tracking_uri)
    settings = load_recipe(args.recipe).resolved()["gates"] if args.recipe else recorded_gates(directory)
    gates = build_recipe({"gates": settings}, overrides).gates
    promotion = judge(store, directory, gates, args.trial)
    for note in promotion.analysis.study.notes:
        say(f"note: {note}")
    say(f"decision   {recommendation_line(promotion.analysis)}")
    say(f"candidate  {promotion.trial.label} of {args.study}: {promotion.why}")
    champion = promotion.champion
    current = f"version {champion.version}, run {champion.run_id}" if champion else "none yet"
    say(f"champion   of {promotion.model}: {current}{', the same model' if promotion.is_champion else ''}")
    show(table(promotion))
    say(f"verdict    {verdict(promotion)}")
    if args.dry_run:
        say("dry run: nothing was written")
    else:
        say(carry_out(store, promotion, licence=args.licence, register_failed=args.register_failed))
    return 0 if promotion.passed else 1


def table(promotion: Promotion) -> Table:
    """A row a gate."""
    table = Table(title="gates", title_justify="left")
    for name in ("gate", "set", "verdict", "why"):
        table.add_column(name, no_wrap=name != "why")
    for result in promotion.results:
        table.add_row(result.gate, result.on_set, result.verdict, result.reason)
    return table


if __name__ == "__main__":
    run_job(main)
