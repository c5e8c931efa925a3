"""The arguments of jobs/evaluate.py."""

import argparse
from pathlib import Path

from hbt_ray.model.pooling import POOLINGS
from hbt_ray.model.precision import PRECISIONS
from hbt_ray.retrieval.scoring.searches import SEARCHES
from hbt_ray.retrieval.sets.catalog import sets_help

PLACES = ("auto", "here", "cluster")


def parser(description: str) -> argparse.ArgumentParser:
    """Reads the command line; `description` is the first part of its help."""
    raw = argparse.RawDescriptionHelpFormatter
    args = argparse.ArgumentParser(description=description, epilog=sets_help(), formatter_class=raw)
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
        help="exact ranks all passages; sharded and ivf list the first --depth",
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
