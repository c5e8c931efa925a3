"""jobs/evaluate.py as a user runs it."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mlflow import MlflowClient

from benchmarks.run_files import kept_vectors
from hbt_ray.errors import ClusterError, ConfigError, EvaluationError
from hbt_ray.model.encoder import Encoder
from hbt_ray.retrieval.scoring.score import score
from hbt_ray.retrieval.sets.catalog import load_set
from jobs import evaluate

LANGS = ("en", "de", "el")


@pytest.fixture(scope="module")
def parallel(tmp_path_factory, small_input):
    """A small parallel set in three languages, as KIND:PATH."""
    path = tmp_path_factory.mktemp("set") / "held_out.parquet"
    rows = [
        row
        for lang in LANGS
        for row in pq.read_table(next(small_input.glob(f"{lang}.*parquet"))).slice(0, 40).to_pylist()
    ]
    pq.write_table(pa.Table.from_pylist(rows), path)
    return f"parallel:{path}"


@pytest.fixture(scope="module")
def other_base(tmp_path_factory, small_base):
    """Another model: the small one with noise on its weights."""
    import torch

    encoder = Encoder.load(small_base)
    torch.manual_seed(0)
    with torch.no_grad():
        for weights in encoder.parameters():
            weights.add_(torch.randn_like(weights) * weights.std(correction=0) * 2)
    directory = tmp_path_factory.mktemp("models") / "noisy"
    encoder.save(directory)
    return str(directory)


@pytest.fixture
def run(parallel, tmp_path, capsys):
    """Runs the job; returns (what it printed, what it wrote as JSON)."""

    def run_it(*arguments):
        out = tmp_path / "out"
        sets = [] if "--set" in arguments else ["--set", parallel]
        place = [] if "--workspace" in arguments else ["--workspace", str(tmp_path / "work")]
        fixed = [*place, "--out", str(out)]
        assert evaluate.main([*arguments, *sets, *fixed]) == 0
        return capsys.readouterr().out, json.loads((out / "scores.json").read_text())

    return run_it


def test_scores_are_those_of_the_encoder_and_a_second_time_nothing_is_encoded(
    run, parallel, small_base, tmp_path, monkeypatch
):
    printed, written = run("--model", small_base)
    (found,) = written["evaluations"]
    rs, encoder = load_set(parallel), Encoder.load(small_base)
    vectors = {}
    for role, texts in (("query", rs.queries), ("passage", rs.passages)):
        vectors[role] = kept_vectors(found, rs, role, tmp_path / "work" / "vectors")
        np.testing.assert_allclose(vectors[role], encoder.encode(texts, role), rtol=0, atol=1e-6)
    # of these very vectors: some passages are so near each other that a last bit decides their order
    scores = score(rs, vectors["query"], vectors["passage"])
    for name, value in scores.headline().items():
        assert found["headline"][name] == pytest.approx(value, abs=1e-6), name
        assert name in printed
    assert found["settings"]["precision"] == "fp32"
    low, high = found["intervals"]["mono_map"]
    assert low < found["headline"]["mono_map"] < high
    assert len(found["worst_queries"]) == 20
    page = (tmp_path / "out" / "report.html").read_text()
    assert found["worst_queries"][0]["top"][0]["passage_id"] in page

    client = MlflowClient(f"sqlite:///{tmp_path}/work/mlflow/mlflow.db")
    (recorded,) = client.search_runs([client.get_experiment_by_name("hbt_ray").experiment_id])
    assert recorded.info.status == "FINISHED"
    assert recorded.info.run_id in printed
    assert recorded.data.metrics["parallel/mono_map"] == pytest.approx(found["headline"]["mono_map"])
    artifacts = {item.path for item in client.list_artifacts(recorded.info.run_id)}
    assert {"report.html", "parallel"} <= artifacts

    def never(*_, **__):
        raise AssertionError("encoded again")

    monkeypatch.setattr(Encoder, "encode", never)
    _, again = run("--model", small_base, "--no-mlflow")
    assert again["evaluations"][0]["headline"] == found["headline"]
    assert len(client.search_runs([recorded.info.experiment_id])) == 1
    with pytest.raises(AssertionError, match="encoded again"):
        run("--model", small_base, "--no-mlflow", "--max-passage-tokens", "8")  # other vectors
    with pytest.raises(AssertionError, match="encoded again"):
        run("--model", small_base, "--no-mlflow", "--no-cache")


def test_two_models_are_compared(run, small_base, other_base):
    printed, written = run("--compare", small_base, other_base, "--no-mlflow")
    assert [found["model"] for found in written["evaluations"]] == [small_base, other_base]
    (comparison,) = written["comparisons"]
    row = comparison["differences"][0]
    first, second = (found["headline"][row["metric"]] for found in written["evaluations"])
    assert row["difference"] == pytest.approx(second - first)
    assert "p (Holm)" in printed


def test_an_index_reports_its_recall(run, small_base):
    printed, written = run("--model", small_base, "--no-mlflow", "--search", "ivf", "--depth", "100")
    note = next(note for note in written["evaluations"][0]["notes"] if note.startswith("ivf"))
    assert " ".join(note.split()[:2]) in printed
    assert 0 < float(note.split()[2]) <= 1
    assert np.isfinite(written["evaluations"][0]["headline"]["mono_ndcg10"])


def test_sets_of_one_kind_are_told_apart(run, parallel, small_base, tmp_path):
    other = tmp_path / "dev.parquet"
    other.symlink_to(parallel.removeprefix("parallel:"))
    _, written = run("--model", small_base, "--no-mlflow", "--set", parallel, f"parallel:{other}")
    assert [found["name"] for found in written["evaluations"]] == ["parallel-held_out", "parallel-dev"]
    with pytest.raises(EvaluationError, match="two sets that would both be called 'parallel-held_out'"):
        run("--model", small_base, "--no-mlflow", "--set", parallel, parallel)


def test_wrong_input_is_one_line(run, small_base, tmp_path):
    with pytest.raises(ConfigError, match="is given twice"):
        run("--model", small_base, small_base)
    with pytest.raises(ConfigError):
        run("--model", str(tmp_path))  # a directory that is no model
    with pytest.raises(EvaluationError, match="depth is 99; it must be 100"):
        run("--model", small_base, "--depth", "99")
    with pytest.raises(ConfigError, match="no-such-model"):
        run("--compare", small_base, str(tmp_path / "no-such-model"))
    with pytest.raises(ConfigError, match="is a URL"):
        run("--model", small_base, "--workspace", "s3://bucket/x")
    with pytest.raises(ConfigError, match="cpus-per-actor is 0"):
        run("--model", small_base, "--cpus-per-actor", "0")
    with pytest.raises(ConfigError, match="on a cluster give bf16 or fp32"):
        run("--model", small_base, "--encode", "cluster", "--precision", "auto")
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"results cannot be written to .*file"):
        run("--model", small_base, "--json", str(tmp_path / "file" / "scores.json"))
    with pytest.raises(ClusterError, match="MLflow has no store 's3'"):
        run("--model", small_base, "--tracking-uri", "s3://bucket/mlflow")
    with pytest.raises(EvaluationError, match="no rows in xx"):
        run("--model", small_base, "--langs", "en", "xx")


def test_a_dead_head_is_told_before_anything_is_encoded(run, small_base, monkeypatch):
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(ClusterError, match=r"no Ray head answers at RAY_ADDRESS=127\.0\.0\.1:1"):
        run("--model", small_base, "--no-mlflow")
