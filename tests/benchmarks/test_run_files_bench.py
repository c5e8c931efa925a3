"""The command that holds scores against ir-measures: that it agrees, and that it tells where it would not."""

import json
from dataclasses import replace

import numpy as np
import pytest

from benchmarks import run_files
from hbt_ray.errors import EvaluationError
from hbt_ray.evaluation.evaluate import evaluate
from hbt_ray.evaluation.outputs import to_json
from hbt_ray.retrieval.scoring.searches import SearchSettings
from tests.retrieval.conftest import random_set


@pytest.fixture
def evaluated(monkeypatch, tmp_path):
    """A set whose vectors are those of a stand-in for the store, and the file of its scores."""
    rng = np.random.default_rng(0)
    rs = random_set(rng, 3, 40, 400)
    queries, passages = rng.standard_normal((40, 8)).astype("f4"), rng.standard_normal((500, 8)).astype("f4")
    rs = replace(
        rs,
        queries=[f"q{row}" for row in range(40)],
        passages=[f"p{row}" for row in range(500)],
        text_passages=np.sort(np.concatenate([np.arange(400), rng.integers(0, 400, 100)])),
        gold_grades=rng.integers(1, 4, len(rs.gold_passages)),
        lost_queries=np.array([0, 0, 7]),
        lost_grades=np.array([1, 2, 1]),
    )
    vectors = {"query": queries, "passage": passages}
    found = evaluate("m", rs, lambda texts, role: vectors[role], settings={}, search=SearchSettings())
    path = tmp_path / "scores.json"
    path.write_text(json.dumps({"evaluations": [to_json(found)]}))
    monkeypatch.setattr(run_files, "load_set", lambda name, langs: rs)
    monkeypatch.setattr(run_files, "kept_vectors", lambda evaluation, rs, role, store: vectors[role])
    return path


def test_numbers_agree_and_a_wrong_one_is_told(evaluated, tmp_path, capsys):
    arguments = ["--scores", str(evaluated), "--set", "random", "--out", str(tmp_path / "runs")]
    assert run_files.main(arguments) == 0
    assert "12 numbers" in capsys.readouterr().out  # three languages, alone and in the pool, two measures
    assert sorted(path.name for path in (tmp_path / "runs" / "random").iterdir()) == sorted(
        f"{stem}.{kind}" for stem in ("l0", "l1", "l2", "pool") for kind in ("run", "qrels")
    )
    content = json.loads(evaluated.read_text())
    content["evaluations"][0]["standard"]["pool_ndcg10"][1] += 1e-6
    evaluated.write_text(json.dumps(content))
    assert run_files.main(arguments) == 1
    with pytest.raises(EvaluationError, match="1 evaluations and --set names 2 sets"):
        run_files.main([*arguments, "--set", "a", "b"])
