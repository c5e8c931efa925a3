"""The benchmark of scoring: that it runs, that its reference is independent and right, and what it writes."""

import json
import subprocess
import sys

import numpy as np
import pytest

from benchmarks import evaluation as bench
from benchmarks.reference import reference_headline, reference_intervals, reference_scores
from benchmarks.synthetic import planted_vectors, synthetic_ntrex, synthetic_xquad_r
from hbt_ray.errors import EvaluationError
from hbt_ray.retrieval.scoring.score import score
from hbt_ray.retrieval.scoring.significance import intervals


def test_small_run_prints_tables_and_writes_json(tmp_path, capsys):
    file = tmp_path / "bench.json"
    assert bench.main(["--small", "--json", str(file)]) == 0
    shown = capsys.readouterr().out
    assert "synthetic sets" in shown
    assert "peak / vectors" in shown
    result = json.loads(file.read_text(encoding="utf-8"))
    assert result["machine"].keys() == {"cpu", "num_cpus", "platform", "date", "python", "numpy", "faiss-cpu"}
    rows = result["scoring"]["rows"]
    names = ("synthetic xquad_r (120 x 130, 3 languages)", "synthetic ntrex128 (120 x 120, 12 languages)")
    measured = [row["measured"] for row in rows]
    assert measured == [f"{name}: {part}" for name in names for part in ("score", "intervals", "sum")]
    assert all(row["ours (s)"] > 0 for row in rows)
    assert rows[2]["ratio"] == pytest.approx(rows[2]["plain NumPy (s)"] / rows[2]["ours (s)"])
    (search,) = result["search"]["rows"]
    assert search["MB of vectors"] == 20_000 * 64 * 4 / 1e6
    assert search["peak MB"] >= search["MB before"] > search["MB of vectors"]
    assert search["peak / vectors"] == pytest.approx(search["peak MB"] / search["MB of vectors"])


def test_the_reference_agrees_with_the_scores_and_their_intervals():
    rs = synthetic_xquad_r(4, 50, 301)
    vectors = planted_vectors(rs, dim=32)
    scores, plain = score(rs, *vectors), reference_scores(rs, *vectors)
    np.testing.assert_allclose(scores.per_query.pair_ap, plain.pair_ap, rtol=0, atol=1e-12)
    np.testing.assert_allclose(scores.per_query.pool_ap, plain.pool_ap, rtol=0, atol=1e-12)
    want = reference_headline(rs, plain)
    limits = reference_intervals(rs, plain, 60, seed=3)
    rows = {row.metric: row for row in intervals(scores, num_resamples=60, seed=3)}
    for metric, value in want.items():
        assert rows[metric].value == pytest.approx(value, abs=1e-12)
        assert (rows[metric].low, rows[metric].high) == pytest.approx(limits[metric], abs=1e-12)


def test_a_reference_that_differs_is_an_error(monkeypatch):
    monkeypatch.setattr(bench, "reference_headline", lambda rs, plain: dict.fromkeys(("mono_map", "cross_map"), 0.0))
    with pytest.raises(EvaluationError, match=r"mono_map is .* and by full sorts 0\.0"):
        bench.measure(None, small=True)


@pytest.mark.parametrize("rs", [synthetic_xquad_r(5, 200, 1000), synthetic_ntrex(5)], ids=lambda rs: rs.name)
def test_planted_vectors_give_ranks_of_a_middling_encoder(rs):
    queries, passages = planted_vectors(rs)
    assert queries.shape == (rs.num_queries, 384)
    assert passages.shape == (rs.num_passages, 384)
    np.testing.assert_allclose(np.linalg.norm(passages, axis=1), 1, rtol=1e-5)
    headline = score(rs, queries, passages).headline()
    assert 0.05 < headline["cross_map"] < headline["mono_map"] + 0.1 < 1.05
    assert 0.05 < headline["pool_map"] < 0.95


@pytest.mark.data
def test_synthetic_sets_have_the_shape_of_the_real_ones(real_data):
    for real, synthetic in zip(bench._sets(real_data, small=False), bench._sets(None, small=False), strict=True):
        for size in ("num_langs", "num_queries", "num_passages"):
            assert getattr(synthetic, size) == getattr(real, size)
        assert len(synthetic.gold_passages) == len(real.gold_passages)


def test_the_peak_holds_what_was_allocated():
    program = (
        "from benchmarks.machine import peak_bytes\n"
        "before = peak_bytes()\n"
        "block = b'1' * before  # twice what the process ever held\n"
        "print(len(block), peak_bytes())"
    )
    block, peak = map(int, subprocess.check_output([sys.executable, "-c", program]).split())
    assert block <= peak < 3 * block
    assert bench.large_search(500, 3, 7, 8)["first"] == 7


def test_real_and_small_exclude_each_other(tmp_path):
    with pytest.raises(EvaluationError, match="give one of them"):
        bench.main(["--small", "--data", str(tmp_path)])
