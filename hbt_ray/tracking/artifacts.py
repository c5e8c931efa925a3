"""The files that a study attaches to its runs: the resolved settings, the scores of a set, and its language matrix.

Figures are drawn by the caller, not by the writer's thread, which has every trial's records to send.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import yaml

from hbt_ray.storage import json_text
from hbt_ray.tracking.handle import RunLog

if TYPE_CHECKING:
    from hbt_ray.retrieval.scoring.score import Scores

LOCATION = "model.txt"
"""Artifact of a run: directory or URL of its model."""


def log_config(log: RunLog, key: str, config: dict[str, Any]) -> None:
    """The resolved settings, nested as in a recipe: as parameters and as `config/resolved.yaml`, `.json`."""
    log.log_params(key, config)
    log.log_artifact_text(key, "config/resolved.json", json_text(config))
    log.log_artifact_text(key, "config/resolved.yaml", yaml.safe_dump(config, allow_unicode=True, sort_keys=False))


def log_scores(log: RunLog, key: str, scores: Scores, label: str) -> None:
    """The last scores of a run on one set, in its folder: for people, by question for comparisons, and the matrix."""
    from hbt_ray.retrieval.scoring.saved import FILE_NAME, scores_to_bytes  # trial drivers score nothing

    log.log_artifact_text(key, f"{scores.name}/scores.json", json.dumps(scores.to_json(), indent=1))
    log.log_artifact_bytes(key, f"{scores.name}/{FILE_NAME}", scores_to_bytes(scores))
    log_matrix(log, key, scores, label)


def log_matrix(log: RunLog, key: str, scores: Scores, label: str) -> None:
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
    log.log_artifact_text(key, f"{name}.json", json_text(table))
    figure = matrix_figure(scores.langs, scores.map_matrix, f"{scores.name}: mAP of {label}")
    log.log_artifact_bytes(key, f"{name}.png", figure_png(figure))
