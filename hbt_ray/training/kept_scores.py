"""The last scores of a run, kept beside its checkpoints, from which its tracking run can be made whole again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hbt_ray.storage import open_fs, write_whole

if TYPE_CHECKING:  # imports the search, which trial drivers do without
    from hbt_ray.retrieval.scoring.score import Scores

FOLDER = "scores"


def keep_scores(directory: str, scores: Scores) -> None:
    """Write the scores on one set, by question, into the directory (or URL) of their run."""
    from hbt_ray.retrieval.scoring.saved import scores_to_bytes

    write_whole(_place(directory, scores.name), scores_to_bytes(scores))


def kept_scores(directory: str, name: str) -> Scores | None:
    """The scores that a run's directory keeps of set `name`; None where it keeps none.

    Raises:
        EvaluationError: the file is damaged, or of another version.
    """
    from hbt_ray.retrieval.scoring.saved import scores_from_bytes

    place = _place(directory, name)
    fs, path = open_fs(place)
    return scores_from_bytes(fs.cat_file(path), place) if fs.exists(path) else None


def has_scores(directory: str, name: str) -> bool:
    """Whether a run's directory keeps scores of set `name`."""
    fs, path = open_fs(_place(directory, name))
    return bool(fs.exists(path))


def _place(directory: str, name: str) -> str:
    return f"{directory}/{FOLDER}/{name}.npz"
