"""What ends up beside a run."""

import json
from types import SimpleNamespace

import numpy as np
import yaml

from hbt_ray.records import RecordReader, RunRecords
from hbt_ray.storage import json_text
from hbt_ray.training.artifacts import record_config, record_matrix


def test_config_and_matrix_can_be_read_back(tmp_path):
    records = RunRecords(str(tmp_path))
    config = {"mix": {"alpha": 0.5, "langs": ["de", "hi"]}, "title": "हिन्दी"}
    record_config(records, config)
    matrix = np.array([[0.9, 0.4], [np.nan, 0.8]])
    record_matrix(records, SimpleNamespace(name="dev", langs=("de", "hi"), map_matrix=matrix), "m")
    assert yaml.safe_load((tmp_path / "config/resolved.yaml").read_text(encoding="utf-8")) == config
    assert json.loads((tmp_path / "config/resolved.json").read_text(encoding="utf-8")) == config
    table = json.loads((tmp_path / "dev/map_matrix.json").read_text())
    assert table["langs"] == ["de", "hi"]
    assert table["values"] == [[0.9, 0.4], [None, 0.8]]
    assert (tmp_path / "dev/map_matrix.png").read_bytes().startswith(b"\x89PNG")
    files = [record["path"] for record in RecordReader(str(tmp_path)).new()]
    assert files == ["config/resolved.json", "config/resolved.yaml", "dev/map_matrix.json", "dev/map_matrix.png"]


def test_json_has_null_for_what_json_cannot_say():
    text = json_text({"a": [float("nan"), 1.0, (float("inf"),)], 2: None})
    assert json.loads(text, parse_constant=lambda _: 1 / 0) == {"a": [None, 1.0, [None]], "2": None}
