"""From studies in a real store to the champion, as a user runs it; and what the model's card says."""

import json
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import mlflow
import numpy as np
import pytest
from huggingface_hub import ModelCard
from mlflow import MlflowClient

from hbt_ray.corpus.dataset_info import DatasetInfo
from hbt_ray.errors import ConfigError, EvaluationError
from hbt_ray.model.encoder import Encoder
from hbt_ray.records import RunRecords
from hbt_ray.release.model_card import Facts, base_licence, trained_langs
from hbt_ray.study.points import TrialSpec
from hbt_ray.tracking.mirror import mirror_now
from hbt_ray.tracking.models import logged_models
from hbt_ray.tracking.runs import RunStore
from jobs import promote
from tests.mlflow_store import fresh_store
from tests.study.stores import EXPERIMENT, made_up_scores, write_study

POINTS = [{"plan.alpha": 0.0}, {"plan.alpha": 0.5}]
CORPUS_CARD = {
    "title": "mine",
    "items": 1234,
    "rows": 2345,
    "facts": {"fingerprint": "abcdef012345"},
    "langs": [{"lang": "de", "rows": 1111}, {"lang": "en", "rows": 1234}, {"lang": "fr", "rows": 0}],
    "sources": [{"source": "docs", "items": 1234, "licence": "CC BY 4.0", "citation": ""}],
}


class Studies:
    """Studies of one point worth shipping (alpha 0.5) and one that is not, all in one store."""

    def __init__(self, directory, base):
        self.directory, self.base = directory, base
        self.uri = fresh_store(directory / "mlflow")
        self.store = RunStore(self.uri, EXPERIMENT)
        self.client = MlflowClient(self.uri)
        (directory / "corpus").mkdir()
        (directory / "corpus" / "card.json").write_text(json.dumps(CORPUS_CARD))

    def write(self, name, *, seed=0, digest="d1", **level):
        def scores(point, of_seed):
            bad = {"noise": 1.3, "bias": 0.8} if point["plan.alpha"] == 0.0 else {}
            return [made_up_scores(seed + of_seed, **{"noise": 0.75, "bias": 0.1, **level, **bad})]

        study = write_study(self.directory, name, POINTS, scores=scores, settings={"model": {"base": "tiny"}})
        trial = study.of_trial(TrialSpec.of(POINTS[1], 0))
        Encoder.load(self.base, query_prefix="Q: " + name).save(Path(trial) / "model")
        dev = DatasetInfo(name="dev", digest=digest, context="evaluation", source="/x", profile={})
        corpus = DatasetInfo(name="mine", digest="abc", context="training", source="corpus", profile={})
        RunRecords(trial).append("datasets", datasets=[asdict(dev), asdict(corpus)])
        mirror_now(self.uri, EXPERIMENT, study.path, str(self.directory))
        return self.store.find(f"{name}-0/{trial.rsplit('/', 1)[-1]}"), Path(trial) / "model"

    def champion(self):
        return str(self.client.get_registered_model(EXPERIMENT).aliases["champion"])

    def versions(self):
        return {str(found.version) for found in self.client.search_model_versions(f"name='{EXPERIMENT}'")}


@pytest.fixture(scope="module")
def studies(tmp_path_factory, small_base):
    return Studies(tmp_path_factory.mktemp("studies"), small_base)


@pytest.fixture
def run(studies, capsys):
    def run_it(*arguments):
        status = promote.main([*arguments, "--workspace", str(studies.directory)])
        return status, " ".join(capsys.readouterr().out.split())

    return run_it


def test_the_champion_changes_only_for_a_model_that_passes_every_gate(studies, run, monkeypatch):
    client = studies.client
    first, first_model = studies.write("first")
    status, printed = run("first", "--dry-run")
    assert status == 0
    assert "champion of hbt_ray: none yet" in printed
    assert "decision recommended alpha = 0.5: gives up at most" in printed
    assert "verdict nothing was checked (no champion yet, and no threshold" in printed
    assert "every gate is passed" not in printed
    assert "dry run: nothing was written" in printed
    assert client.search_registered_models() == []
    assert logged_models(client, first) == []
    assert "promotion.json" not in {item.path for item in client.list_artifacts(first)}

    status, printed = run("first", "gates.min_scores=['mono_map>=0.2']")
    assert status == 0
    assert "alpha=0.5 seed=0 of first: of the recommended point" in printed
    assert "version 1 of hbt_ray is the champion: models:/hbt_ray@champion" in printed
    assert studies.champion() == "1"
    version = client.get_model_version(EXPERIMENT, "1")
    assert version.tags["hbt.verdict"] == "passed"
    assert version.tags["hbt.gate.dev.min_scores: mono_map"].startswith("passed: mAP inside a language is 0.")
    assert "Every gate is passed" in version.description
    assert "The study's decision: recommended alpha = 0.5" in version.description
    assert version.run_id == first
    with monkeypatch.context() as loading:
        loading.setenv("MLFLOW_TRACKING_URI", studies.uri)  # for the loader, which takes no other
        loaded = mlflow.pyfunc.load_model(f"models:/{EXPERIMENT}@champion")
    texts = ["What is the currency of Japan?", "货币是什么?"]
    ours = Encoder.load(first_model).encode(texts, "query")
    np.testing.assert_allclose(loaded.predict(texts), ours, rtol=0, atol=1e-5)

    status, printed = run("first", "gates.max_rank_distance=0")
    assert status == 1
    assert "version 1, run" in printed
    assert "the same model" in printed
    assert "at most 0.0 is allowed" in printed
    assert "nothing is registered" in printed
    assert (studies.champion(), studies.versions()) == ("1", {"1"})
    verdict = json.loads(Path(client.download_artifacts(first, "promotion.json")).read_text())
    assert verdict["passed"] is False
    assert {gate["gate"]: gate["passed"] for gate in verdict["gates"]}["max_rank_distance"] is False

    worse, _ = studies.write("worse", weak_lang="ar", noise=0.8)
    status, printed = run("worse", "--register-failed")
    assert status == 1
    assert "version 2 of hbt_ray is registered with the reasons, without the alias" in printed
    assert (studies.champion(), studies.versions()) == ("1", {"1", "2"})
    failed = client.get_model_version(EXPERIMENT, "2")
    assert failed.tags["hbt.verdict"] == "failed"
    assert failed.tags["hbt.gate.dev.max_loss_per_language"].startswith("FAILED: below the champion beyond chance")
    assert "Arabic [ar] in the pool" in failed.description
    assert "hbt.replaces" not in failed.tags  # it replaced nothing
    assert failed.run_id == worse

    studies.write("better", noise=0.6)
    status, printed = run("better")
    assert status == 0
    assert "version 3 of hbt_ray is the champion (before: version 1)" in printed
    assert studies.champion() == "3"
    assert client.get_model_version(EXPERIMENT, "3").tags["hbt.replaces"] == "1"
    status, printed = run("first")  # the old champion does not come back by itself
    assert status == 1
    assert studies.champion() == "3"
    before = client.get_model_version(EXPERIMENT, "3")
    status, printed = run("better")  # and the new one gets no second version, and is not held against itself
    assert status == 0
    assert "verdict nothing was checked (it is the champion itself" in printed
    assert "version 3 of hbt_ray is the champion already" in printed
    assert "every gate is passed" not in printed
    assert studies.versions() == {"1", "2", "3"}
    after = client.get_model_version(EXPERIMENT, "3")
    assert (after.tags, after.description) == (before.tags, before.description)

    text = (first_model / "README.md").read_text(encoding="utf-8")
    card = ModelCard(text)
    assert card.data.language == ["de", "en"]
    assert card.data.license == "unknown"
    assert card.data.library_name == "sentence-transformers"
    scores = made_up_scores(0, noise=0.75, bias=0.1)
    found = {result.metric_type: result.metric_value for result in card.data.eval_results}
    assert found["pool_map"] == round(scores.headline()["pool_map"], 4)
    assert "\nIts decision: recommended alpha = 0.5: gives up at most " in text
    assert f"| German [de] | 80 | {scores.map_matrix[1, 1]:.4f} | {scores.pool_map[1]:.4f} |" in text
    assert "alpha = 0.5 | 1 | 0." in text
    assert "| docs | 1,234 | CC BY 4.0 |" in text
    assert "Nobody has stated a licence for this model." in text
    assert "| max_loss_per_language | dev | not checked | no champion yet |" in text
    assert "\nEvery gate is passed.\n" in text  # the threshold is
    assert "tiny encoder" in text
    local = mlflow.artifacts.download_artifacts(
        artifact_uri=logged_models(client, first)[0].artifact_location, tracking_uri=studies.uri
    )
    assert text.endswith(".\n")
    assert (Path(local) / "model.sentence_transformer" / "README.md").read_text(encoding="utf-8") == text


def test_what_cannot_be_compared_or_found_is_said(studies, run):
    with pytest.raises(ConfigError, match=r"'abc' is no finished trial of study 'first'; these are: alpha_0"):
        run("first", "--trial", "abc")
    with pytest.raises(ConfigError, match="only fields of gates can be set here"):
        run("first", "train.lr=1")
    with pytest.raises(ConfigError, match=r"has no scores by question on 'xquad_r'.*it was scored on dev"):
        run("first", "--set", "xquad_r")
    studies.write("renewed", digest="d2")
    with pytest.raises(ConfigError, match=r"dev is not the same set for the candidate \(digest d2\) and the champion"):
        run("renewed")
    studies.write("smaller", num_items=60)
    with pytest.raises(EvaluationError, match="the scores are of different sets"):
        run("smaller")
    status, printed = run("renewed", "gates.model=renewed")
    assert status == 0
    assert "version 1 of renewed is the champion" in printed
    status, _ = run(
        "smaller",
        "--dry-run",
        "gates.max_loss_per_language=null",
        "gates.no_loss_in=[]",
        "gates.min_scores=['mono_map>=0.1']",
        "gates.model=renewed",
    )
    assert status == 0


def test_that_a_control_is_not_beaten_is_said_by_the_job_and_by_the_card(studies, capsys, tmp_path, small_base):
    def scores(point, seed):
        good = {"noise": 0.5, "bias": 0.02} if "train.steps" in point else {"noise": 0.9, "bias": 0.3}
        return [made_up_scores(seed, **good)]

    study = write_study(tmp_path, "level", POINTS, scores=scores, controls={"untrained": {"train.steps": 0}})
    fresh_store(tmp_path / "mlflow")
    trial = TrialSpec.of(POINTS[1], 0).name
    model = Path(study.path) / trial / "model"
    Encoder.load(small_base).save(model)
    arguments = ["level", "--workspace", str(tmp_path), "--trial", trial]
    assert promote.main([*arguments, "gates.min_scores=['mono_map>=0.01']"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "NOT AHEAD of no fine-tuning" in printed
    assert "every gate is passed" in printed
    assert "NOT AHEAD of no fine-tuning" in (model / "README.md").read_text()
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow/mlflow.db")
    assert "NOT AHEAD" in client.get_model_version(EXPERIMENT, "1").description
    assert promote.main(["level", "--workspace", str(tmp_path), "--dry-run"]) in (0, 1)
    assert "of the recommended point" in " ".join(capsys.readouterr().out.split())


def test_what_was_not_checked_is_not_said_to_be_passed(studies, run):
    run_id, model = studies.write("alone")
    status, printed = run("alone", "gates.model=alone")
    assert status == 0
    assert "verdict nothing was checked (no champion yet" in printed
    assert "version 1 of alone is the champion" in printed
    for _ in range(2):
        version = studies.client.get_model_version("alone", "1")
        assert version.tags["hbt.verdict"] == "not_checked"
        assert version.tags["hbt.gate.dev.max_loss_per_language"] == "not checked: no champion yet"
        assert version.description.startswith("Nothing was checked")
        card = (model / "README.md").read_text(encoding="utf-8")
        assert "\nNothing was checked (no champion yet" in card
        for text in (version.description, card):
            assert "passed" not in text
        status, printed = run("alone", "gates.model=alone")
        assert status == 0
        assert "passed" not in printed
    tree = json.loads(Path(studies.client.download_artifacts(run_id, "promotion.json")).read_text())
    assert tree["verdict"] == "not_checked"


def test_the_languages_of_a_card_are_those_of_the_training():
    scored = SimpleNamespace(scores={"dev": made_up_scores(0, noise=1, bias=0, num_items=3)})
    for config, corpus, expected in (
        ({"plan.langs": ["en"], "corpus.langs": ["de", "en"]}, CORPUS_CARD, ["en"]),
        ({"plan.langs": []}, CORPUS_CARD, ["de", "en"]),
        ({"corpus.langs": ["de", "hi"]}, None, ["de", "hi"]),
        ({}, None, ["ar", "de", "en", "zh"]),
    ):
        assert trained_langs(SimpleNamespace(config=config), Facts(name="m", corpus=corpus), scored) == expected


def test_the_licence_of_a_base_model_is_what_its_card_states(tmp_path):
    assert base_licence(str(tmp_path)) == ""
    (tmp_path / "README.md").write_text("# no front matter\n")
    assert base_licence(str(tmp_path)) == ""
    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\n# base\n")
    assert base_licence(str(tmp_path)) == "mit"
