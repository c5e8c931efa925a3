import json

import numpy as np
import pytest

from benchmarks import decisions
from benchmarks.decisions import HYBRID, NEAR, RULE, TRUTHS, XX, XY, decided, main

PAPER_SMALL = np.array([XY, HYBRID, XX])


def test_with_much_evidence_the_rule_is_right_and_sure_and_its_rivals_have_their_own_ends(monkeypatch):
    for name in ("OF_QUESTION", "OF_POINT", "OF_SEED", "OF_BOTH"):
        monkeypatch.setattr(decisions, name, 0.001)
    results, holds_best = decided(PAPER_SMALL, 100, 3, np.random.default_rng(0))
    assert results[RULE] == (pytest.approx(0.0225 / 0.4670), True, True, False)
    assert results["mono first"].loss == pytest.approx((0.4670 - 0.3842) / 0.4670)  # X-X
    assert results["mono first"].is_wrong
    assert results["mean of three"].is_sure
    assert holds_best
    results, holds_all = decided(np.array([HYBRID, HYBRID, XX]), 100, 3, np.random.default_rng(0))
    assert not results[RULE].is_sure
    assert holds_all


def test_the_near_rival_gives_up_two_points_more():
    assert (HYBRID[1] - NEAR[1]) / XY[1] == pytest.approx(0.02, abs=2e-4)


def test_page_and_json_have_a_row_a_size_and_a_table_a_truth(tmp_path, monkeypatch):
    monkeypatch.setattr(decisions, "SIZES", ((20, 1), (20, 2)))
    monkeypatch.setattr(decisions, "NUM_DRAWS", 50)
    assert main(["--studies", "2", "--json", str(tmp_path / "d.json"), "--page", str(tmp_path / "d.md")]) == 0
    result = json.loads((tmp_path / "d.json").read_text())
    page = (tmp_path / "d.md").read_text()
    assert page.count("### ") == len(TRUTHS)
    for at in range(len(TRUTHS)):
        assert [row["seeds"] for row in result[f"truth {at}"]["rows"]] == [1, 2]
        assert result[f"truth {at}"]["rows"][0]["sure, right"] == "0%"  # one seed
    assert "2 simulated studies a row, of 50 draws each" in page
