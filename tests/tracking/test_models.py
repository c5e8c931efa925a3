"""A trained encoder as an MLflow model: loaded again by MLflow, it gives the vectors that it gives here."""

import json
import shutil
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from hbt_ray.errors import ConfigError
from hbt_ray.model.encoder import Encoder
from hbt_ray.release.gates import GateResult
from hbt_ray.release.registry import Champion, crown, find_champion, register
from hbt_ray.tracking.models import README, RunModel, log_model, log_run_models, logged_models, replace_card
from hbt_ray.tracking.runs import RunStore
from tests.mlflow_store import fresh_store

TEXTS = ["What is the currency of Japan?", "Ποιο είναι το νόμισμα;", "货币是什么?", "", "What is the currency? " * 40]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory, small_base):
    """Saved with prefixes, so that the roles differ."""
    directory = tmp_path_factory.mktemp("encoder") / "model"
    Encoder.load(small_base, query_prefix="Query: ", passage_prefix="Passage: ", max_query_tokens=40).save(directory)
    return directory


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return RunStore(fresh_store(tmp_path_factory.mktemp("store")), "models")


@pytest.fixture(params=["sqlite", pytest.param("server", marks=pytest.mark.slow)])
def place(request, store):
    """A tracking URI: a database with artifacts beside it, or a server that passes artifacts on."""
    uri = request.getfixturevalue("server").uri if request.param == "server" else store.tracking_uri
    mlflow.set_tracking_uri(uri)  # for the loaders, which take no other
    yield uri
    mlflow.set_tracking_uri(None)  # and not back to what it was by default, which would become the environment's


def test_mlflow_loads_it_and_gives_the_same_vectors(place, encoder, monkeypatch):
    monkeypatch.setattr("subprocess.Popen.__init__", lambda *_, **__: pytest.fail("a process was started"))
    store = RunStore(place, "models")
    client, run_id = store.client, store.get_or_create("k", "k", {})
    model = log_model(client, run_id, str(encoder), step=20)
    monkeypatch.undo()
    ours = Encoder.load(encoder)
    uri = f"models:/{model.model_id}"
    loaded = mlflow.pyfunc.load_model(uri)
    theirs = mlflow.sentence_transformers.load_model(uri)
    for role in ("query", "passage"):
        expected = ours.encode(TEXTS, role)
        by_pyfunc = loaded.predict(TEXTS, params={"prompt_name": role})
        np.testing.assert_allclose(by_pyfunc, expected, rtol=0, atol=1e-5)
        by_role = theirs.encode_query if role == "query" else theirs.encode_document
        np.testing.assert_allclose(by_role(TEXTS), expected, rtol=0, atol=1e-5)
        for texts in (pd.DataFrame({"text": TEXTS}), pd.Series(TEXTS)):
            np.testing.assert_allclose(loaded.predict(texts, params={"prompt_name": role}), expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(loaded.predict(TEXTS), ours.encode(TEXTS, "query"), rtol=0, atol=1e-5)
    assert np.abs(ours.encode(TEXTS, "query") - ours.encode(TEXTS, "passage")).max() > 0.01

    assert loaded.metadata.run_id == run_id
    assert loaded.metadata.signature.outputs.inputs[0].shape == (-1, ours.dim)
    example = json.loads((Path(mlflow.artifacts.download_artifacts(uri)) / "input_example.json").read_text())
    assert example == {"inputs": ["What is the capital of France?"], "params": {"prompt_name": "query"}}
    local = Path(mlflow.artifacts.download_artifacts(uri))
    files = {path.relative_to(local).as_posix() for path in local.rglob("*") if path.is_file()}
    assert not {name for name in files if name.endswith((".pkl", ".pickle", ".bin", ".pt"))}
    assert "sentence-transformers==" in (local / "requirements.txt").read_text()
    for path in encoder.rglob("*"):
        if path.is_file():
            copy = local / "model.sentence_transformer" / path.relative_to(encoder)
            assert copy.read_bytes() == path.read_bytes()
    (output,) = client.get_run(run_id).outputs.model_outputs
    assert (output.model_id, output.step) == (model.model_id, 20)

    assert log_model(client, run_id, str(encoder)).model_id == model.model_id  # once
    assert [each.model_id for each in logged_models(client, run_id)] == [model.model_id]
    replace_card(client, model, "# a card हिन्दी")
    gate = GateResult(gate="max_rank_distance", on_set="dev", passed=True, reason="rank distance is 5.0")
    assert find_champion(client, "retriever") is None
    version = register(client, "retriever", model, [gate], "passed", tags={"hbt.study": "s"}, description="passed")
    crown(client, "retriever", version)
    assert find_champion(client, "retriever") == Champion(version=version, run_id=run_id)
    crowned = mlflow.pyfunc.load_model("models:/retriever@champion")
    np.testing.assert_allclose(crowned.predict(TEXTS), ours.encode(TEXTS, "query"), rtol=0, atol=1e-5)
    tags = client.get_model_version("retriever", version).tags
    assert tags["hbt.gate.dev.max_rank_distance"] == "passed: rank distance is 5.0"
    again = Path(mlflow.artifacts.download_artifacts(uri)) / "model.sentence_transformer" / README
    assert again.read_text(encoding="utf-8") == "# a card हिन्दी"


def test_what_cannot_be_logged_is_named(tmp_path, store, encoder):
    client, run_id = store.client, store.get_or_create("named", "named", {})
    with pytest.raises(ConfigError, match=r"is not there \(no modules.json\)"):
        log_model(client, run_id, str(tmp_path / "nowhere"))
    with_code = tmp_path / "with_code"
    shutil.copytree(encoder, with_code)
    config = json.loads((with_code / "config.json").read_text())
    (with_code / "config.json").write_text(json.dumps({**config, "auto_map": {"AutoModel": "own.Model"}}))
    with pytest.raises(ConfigError, match="auto_map"):
        log_model(client, run_id, str(with_code))
    assert logged_models(client, run_id) == []


def test_a_model_that_did_not_arrive_whole_is_not_taken_for_one(store, encoder, monkeypatch):
    client, run_id = store.client, store.get_or_create("whole", "whole", {})

    def lose(*_):
        raise OSError("no space left")

    with monkeypatch.context() as broken:
        broken.setattr(MlflowClient, "log_model_artifacts", lose)
        with pytest.raises(OSError, match="no space left"):
            log_model(client, run_id, str(encoder))
    assert logged_models(client, run_id) == []
    whole = log_model(client, run_id, str(encoder))
    assert [model.model_id for model in logged_models(client, run_id)] == [whole.model_id]


def test_models_of_runs_are_logged_and_one_that_cannot_be_is_named(store, encoder):
    trained, _ = (store.get_or_create(key, key, {}) for key in ("trained", "other"))
    said = []
    places = {"trained": str(encoder), "other": "/nowhere", "absent": str(encoder)}
    models = [RunModel(key, place, 5, "alpha=0.5 seed=0") for key, place in places.items()]
    store.log_metrics(trained, [{"step": at, "time_ms": at, "values": {"dev/pool_map": at / 10}} for at in (4, 5)])
    info = {"name": "dev", "digest": "abc", "context": "evaluation", "source": "/x", "profile": {}}
    store.log_datasets(trained, [info])
    log_run_models(store.tracking_uri, store.experiment, models, said.append)
    assert [output.step for output in store.client.get_run(trained).outputs.model_outputs] == [5]
    (model,) = logged_models(store.client, trained)
    assert said[0].startswith("note: the model of other is not in MLflow: model '/nowhere' is not there")
    assert said[1] == "note: the model of absent is not in MLflow: its run is not in MLflow"
    assert said[2:] == [f"models in MLflow: {model.model_uri}"]
    assert model.name == "alpha_0_5-seed_0"
    (score,) = model.metrics
    assert (score.key, score.value, score.dataset_name, score.dataset_digest) == ("dev/pool_map", 0.5, "dev", "abc")
    assert [point.step for point in store.client.get_metric_history(trained, "dev/pool_map")] == [4, 5]
