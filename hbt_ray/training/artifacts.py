"""The files that belong to a run: the resolved settings, the scores of a set, and its language matrix."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import yaml

from hbt_ray.records import RunRecords
from hbt_ray.storage import json_text, open_fs

if TYPE_CHECKING:  # imports the search
    from hbt_ray.retrieval.scoring.score import Scores


def record_config(records: RunRecords, config: dict[str, Any]) -> None:
    """The resolved settings, nested as in a recipe, as `config/resolved.yaml` and `.json`."""
    records.file("config/resolved.json", json_text(config))
    records.file("config/resolved.yaml", yaml.safe_dump(config, allow_unicode=True, sort_keys=False))


def record_scores(records: RunRecords, scores: Scores, label: str) -> None:
    """The last scores of a run on one set, in its folder: for people, by question for comparisons, and the matrix."""
    from hbt_ray.retrieval.scoring.saved import FILE_NAME, scores_to_bytes  # trial drivers score nothing

    records.file(f"{scores.name}/scores.json", json.dumps(scores.to_json(), indent=1))
    records.file(f"{scores.name}/{FILE_NAME}", scores_to_bytes(scores))
    record_matrix(records, scores, label)


def recorded_scores(directory: str, name: str) -> Scores | None:
    """The scores by question that the run in `directory` (or URL) has on set `name`; None where it has none.

    Raises:
        EvaluationError: the file is damaged, or of another version.
    """
    from hbt_ray.retrieval.scoring.saved import FILE_NAME, scores_from_bytes

    place = f"{directory}/{name}/{FILE_NAME}"
    fs, path = open_fs(place)
    return scores_from_bytes(fs.cat_file(path), place) if fs.exists(path) else None


def record_matrix(records: RunRecords, scores: Scores, label: str) -> None:
    """mAP of every query language (row) on every passage language (column), as `map_matrix.json` and `.png` of the set.

    A pair without queries is null in the JSON; `label` names the run in the figure.
    """
    # Trial drivers draw nothing.
    from hbt_ray.kit.figures import figure_png
    from hbt_ray.kit.matrix import matrix_figure

    name = f"{scores.name}/map_matrix"
    table = {
        "rows": "query language",
        "columns": "passage language",
        "langs": list(scores.langs),
        "values": scores.map_matrix.tolist(),
    }
    records.file(f"{name}.json", json_text(table))
    figure = matrix_figure(scores.langs, scores.map_matrix, f"{scores.name}: mAP of {label}")
    records.file(f"{name}.png", figure_png(figure))
