"""The files of an evaluation: where they go, whether they can be written, and writing them."""

import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hbt_ray.errors import ConfigError
from hbt_ray.evaluation.evaluate import Comparison, Evaluation
from hbt_ray.retrieval.scoring.distinct import repeated
from hbt_ray.storage import json_text, plain
from hbt_ray.terminal import say


def new_directory(workspace: Path, models: Sequence[str]) -> Path:
    """A directory below `workspace`, named by the time and the models."""
    slug = "-vs-".join(re.sub(r"[^A-Za-z0-9]+", "-", Path(name).name)[-40:].strip("-") for name in models)
    return workspace / "evaluations" / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{slug}"


def check_outputs(out: Path, also: Path | None) -> None:
    """ConfigError where the results could not be written in the end."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "report.html").touch()
        if also:
            also.parent.mkdir(parents=True, exist_ok=True)
            also.touch()
    except OSError as error:
        raise ConfigError(f"results cannot be written to {error.filename} ({error.strerror}); give another") from error


@contextmanager
def vector_directory(workspace: Path, temporary: bool) -> Iterator[Path]:
    """Where vectors are kept: in the workspace, or in a directory that is deleted afterwards."""
    if not temporary:
        yield workspace / "vectors"
        return
    with tempfile.TemporaryDirectory(prefix="hbt-vectors-") as directory:
        yield Path(directory)


def to_json(evaluation: Evaluation) -> dict[str, Any]:
    """Everything of an evaluation that a program may want, in plain types; NaN becomes None."""
    tree: dict[str, Any] = plain(
        {
            "model": evaluation.model,
            "settings": evaluation.settings,
            "notes": evaluation.notes,
            **evaluation.scores.to_json(),
            "repeated": repeated(evaluation.scores),
            "intervals": {row.metric: [row.low, row.high] for row in evaluation.intervals},
            "worst_queries": [asdict(query) for query in evaluation.worst],
        }
    )
    return tree


def write_outputs(
    out: Path, page: str, evaluations: Sequence[Evaluation], comparisons: Sequence[Comparison], also: Path | None
) -> None:
    """`report.html` and `scores.json` in `out`, and the scores in the file `also`."""
    tree = {
        "evaluations": [to_json(evaluation) for evaluation in evaluations],
        "comparisons": [
            {"set": pair.set_name, "a": pair.a, "b": pair.b, "differences": [asdict(row) for row in pair.differences]}
            for pair in comparisons
        ],
    }
    text = json_text(tree, indent=1)
    out.mkdir(parents=True, exist_ok=True)
    (out / "report.html").write_text(page, encoding="utf-8")
    (out / "scores.json").write_text(text, encoding="utf-8")
    say(f"report  {out / 'report.html'}")
    say(f"scores  {out / 'scores.json'}")
    if also:
        also.parent.mkdir(parents=True, exist_ok=True)
        also.write_text(text, encoding="utf-8")
