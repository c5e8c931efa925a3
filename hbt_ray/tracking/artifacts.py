"""The files that a study attaches to its runs: the resolved settings, the scores of a set, and its language matrix.

Figures are drawn by the caller, not by the writer's thread, which has every trial's records to send.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml
from numpy.typing import NDArray

from hbt_ray.storage import json_text
from hbt_ray.tracking.handle import RunLog

if TYPE_CHECKING:
    from hbt_ray.retrieval.scoring.score import Scores

LOCATION = "model.txt"
"""Artifact of a run: directory or URL of its model."""


def log_config(log: RunLog, key: str, config: Mapping[str, Any]) -> None:
    """The resolved settings, nested as in a recipe: as parameters and as `config/resolved.yaml`, `.json`."""
    plain = dict(config)
    log.log_params(key, plain)
    log.log_artifact_text(key, "config/resolved.json", json_text(plain))
    log.log_artifact_text(key, "config/resolved.yaml", yaml.safe_dump(plain, allow_unicode=True, sort_keys=False))


def log_scores(log: RunLog, key: str, scores: Scores, label: str) -> None:
    """The last scores of a run on one set, in its folder: for people, by question for comparisons, and the matrix."""
    from hbt_ray.retrieval.scoring.saved import FILE_NAME, scores_to_bytes  # trial drivers score nothing

    log.log_artifact_text(key, f"{scores.name}/scores.json", json.dumps(scores.to_json(), indent=1))
    log.log_artifact_bytes(key, f"{scores.name}/{FILE_NAME}", scores_to_bytes(scores))
    title = f"{scores.name}: mAP of {label}"
    log_matrix(log, key, scores.langs, scores.map_matrix, title, name=f"{scores.name}/map_matrix")


def log_matrix(
    log: RunLog, key: str, langs: Sequence[str], values: NDArray[Any], title: str, name: str = "map_matrix"
) -> None:
    """mAP of every query language (row) on every passage language (column), as `name`.json and `name`.png.

    Args:
        log: where the run is recorded.
        key: of the run.
        langs: the L language codes.
        values: [L, L]; NaN where a pair has no queries (null in the JSON).
        title: of the figure.
        name: path inside the run's artifacts, without ending.
    """
    # Trial drivers draw nothing.
    from hbt_ray.kit.figures import figure_png
    from hbt_ray.kit.matrix import matrix_figure

    table = {
        "rows": "query language",
        "columns": "passage language",
        "langs": list(langs),
        "values": np.asarray(values, dtype=float).tolist(),
    }
    log.log_artifact_text(key, f"{name}.json", json_text(table))
    log.log_artifact_bytes(key, f"{name}.png", figure_png(matrix_figure(langs, values, title)))
