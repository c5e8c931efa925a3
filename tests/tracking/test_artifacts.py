"""What ends up beside a run, read back through the writer and a real store."""

import json
from pathlib import Path
from types import SimpleNamespace

import yaml
from mlflow import MlflowClient

from hbt_ray.storage import json_text
from hbt_ray.tracking.artifacts import log_config, log_matrix
from hbt_ray.tracking.runs import RunStore
from hbt_ray.tracking.writer import RunWriter
from tests.mlflow_store import fresh_store


def test_config_and_matrix_can_be_read_back(tmp_path, matrix):
    uri = fresh_store(tmp_path)
    writer = RunWriter(RunStore(uri, "x"))
    writer.start_run("k", "k")
    config = {"mix": {"alpha": 0.5, "langs": ["de", "hi"]}, "title": "हिन्दी"}
    log_config(writer, "k", config)
    log_matrix(writer, "k", SimpleNamespace(name="dev", langs=("de", "hi"), map_matrix=matrix), "m")
    config["mix"]["alpha"] = 0.9  # what was handed in counts, not what becomes of it
    assert writer.flush(30)
    client, run_id = MlflowClient(tracking_uri=uri), writer.run_id("k")

    def fetch(path):
        return Path(client.download_artifacts(run_id, path))

    expected = {"mix": {"alpha": 0.5, "langs": ["de", "hi"]}, "title": "हिन्दी"}
    assert yaml.safe_load(fetch("config/resolved.yaml").read_text(encoding="utf-8")) == expected
    assert json.loads(fetch("config/resolved.json").read_text(encoding="utf-8")) == expected
    assert client.get_run(run_id).data.params["mix.alpha"] == "0.5"
    table = json.loads(fetch("dev/map_matrix.json").read_text())
    assert table["langs"] == ["de", "hi"]
    assert table["values"] == [[0.9, 0.4], [None, 0.8]]
    assert fetch("dev/map_matrix.png").read_bytes().startswith(b"\x89PNG")
    assert writer.close(10)


def test_json_has_null_for_what_json_cannot_say():
    text = json_text({"a": [float("nan"), 1.0, (float("inf"),)], 2: None})
    assert json.loads(text, parse_constant=lambda _: 1 / 0) == {"a": [None, 1.0, [None]], "2": None}
