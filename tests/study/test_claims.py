"""The paper's claims on made-up studies of which the truth is known."""

import json
import re

import numpy as np
import pytest

from hbt_ray.reports.claims_report import claims_files
from hbt_ray.study.analysis import analyse, analyse_set
from hbt_ray.study.claims import CLAIMS, find_trainings, judge
from hbt_ray.study.trials import Trial, points_on_set
from tests.study.stores import made_study, made_up_scores

TEXTS = list(CLAIMS)
PAPER = {0.0: (0.755, 0.700, 0.590, 295.0), 0.5: (0.798, 0.705, 0.600, 287.0), 1.0: (0.792, 0.674, 0.548, 410.0)}
"""alpha -> mono, cross, pool, rank distance, much as in the paper."""


def study_of(numbers, sd=0.001, seeds=(0, 1, 2), more=()):
    """An analysed set whose trials differ between seeds by `sd`, a thousand times as much in rank distance."""
    rng = np.random.default_rng(0)
    names = ("mono_map", "cross_map", "pool_map", "rank_distance")
    scale = sd * np.array([1, 1, 1, 1000])
    trials = [
        Trial(
            run_id=f"{alpha}-{seed}",
            label=f"{alpha} {seed}",
            point={"plan.alpha": alpha},
            seed=seed,
            status="finished",
            metrics={
                f"dev/{name}": float(value + noise)
                for name, value, noise in zip(names, values, rng.normal(0, scale), strict=True)
            },
            config={"plan.alpha": alpha, "plan.alpha_schedule": "constant", "train.steps": 10},
        )
        for alpha, values in {**numbers, **dict(more)}.items()
        for seed in seeds
    ]
    return analyse_set(points_on_set(trials, {}, "dev", "pool_map"))


def verdicts(found):
    return [claim.verdict for claim in judge(found).claims]


def test_what_the_paper_found_holds_where_seeds_agree():
    assert verdicts(study_of(PAPER)) == ["holds"] * 4


def test_the_same_differences_are_not_resolved_where_seeds_do_not_agree():
    assert verdicts(study_of(PAPER, sd=0.2)) == ["not resolved"] * 4


def test_what_comes_out_the_other_way_does_not_hold():
    turned = {0.0: PAPER[1.0], 0.5: (0.70, 0.60, 0.50, 500.0), 1.0: PAPER[0.0]}
    assert verdicts(study_of(turned)) == ["does not hold"] * 4


def test_one_comparison_the_other_way_decides_and_one_open_one_leaves_open():
    worse_in_the_mix = {**PAPER, 0.5: (0.798, 0.705, 0.570, 287.0)}
    found = judge(study_of(worse_in_the_mix))
    assert [claim.verdict for claim in found.claims] == ["holds", "does not hold", "does not hold", "holds"]
    against = {(part.metric, part.other): part.verdict for part in found.claims[2].parts}
    assert against == {
        ("overall", "X-X"): "holds",
        ("overall", "X-Y"): "holds",
        ("pool_map", "X-X"): "holds",
        ("pool_map", "X-Y"): "does not hold",
    }
    level_in_the_mix = {**PAPER, 0.5: (0.798, 0.705, 0.590, 287.0)}
    assert verdicts(study_of(level_in_the_mix)) == ["holds", "not resolved", "not resolved", "holds"]


def test_one_seed_resolves_nothing_however_large_the_differences():
    found = judge(study_of(PAPER, seeds=(0,)))
    assert {claim.verdict for claim in found.claims} == {"not resolved"}
    assert any("single seed" in note for note in found.notes)


def test_a_training_that_lost_a_seed_resolves_nothing():
    found = study_of(PAPER)
    lost = found.on_set.points[1].trials[0]
    left = [trial for point in found.on_set.points for trial in point.trials if trial is not lost]
    found = judge(analyse_set(points_on_set(left, {}, "dev", "pool_map", [lost])))
    assert {claim.verdict for claim in found.claims} == {"not resolved"}
    assert any(note.startswith("hybrid lacks seed 0") for note in found.notes)


def test_a_training_that_is_missing_is_named():
    found = judge(study_of({alpha: PAPER[alpha] for alpha in (0.5, 1.0)}))
    assert [claim.verdict for claim in found.claims] == ["not resolved", "not resolved", "not resolved", "holds"]
    assert "The study has no X-Y training." in found.notes


def test_the_hybrid_is_the_papers_and_not_the_one_that_came_out_best():
    best = (0.9, 0.9, 0.9, 1.0)
    found = study_of(PAPER, more={0.75: best, 0.1: best})
    places = find_trainings(found.on_set)
    assert {role: found.on_set.points[at].values["plan.alpha"] for role, at in places.items()} == {
        "hybrid": 0.5,
        "X-X": 1.0,
        "X-Y": 0.0,
    }


def test_false_findings_are_rare():
    """Trainings that are alike, over many studies: any verdict at all is an error, in at most one study of twenty."""
    rng = np.random.default_rng(1)
    num, wrong = 60, 0
    for _ in range(num):
        numbers = dict.fromkeys((0.0, 0.5, 1.0), (0.7, 0.6, 0.5, 300.0))
        found = study_of(numbers, sd=0.0)
        for point in found.on_set.points:
            point.numbers[:] += rng.normal(0, 0.01, point.numbers.shape) * [1, 1, 1, 1000]
        wrong += any(verdict != "not resolved" for verdict in verdicts(analyse_set(found.on_set)))
    assert wrong / num < 0.05 + 3 * np.sqrt(0.05 * 0.95 / num)


@pytest.fixture(scope="module")
def analysis():
    noise = {0.0: 0.95, 0.5: 0.7, 1.0: 0.75}
    bias = {0.0: 0.05, 0.5: 0.1, 1.0: 0.9}

    def scores(point, seed):
        alpha = point.get("plan.alpha", 0.5)
        untrained = "train.steps" in point
        made = {"noise": 1.3, "bias": 0.9} if untrained else {"noise": noise[alpha], "bias": bias[alpha]}
        return [made_up_scores(100 * seed + round(10 * alpha), num_items=60, **made)]

    points = [{"plan.alpha": alpha} for alpha in (0.0, 0.5, 1.0)]
    return analyse(
        *made_study("small", points, scores=scores, seeds=(0, 1, 2), controls={"untrained": {"train.steps": 0}})
    )


def test_planted_differences_by_question_are_found_and_written_down(analysis):
    files = claims_files(analysis)
    assert set(files) == {"claims.md", "claims.json", "claims-dev.png"}
    assert files["claims-dev.png"].startswith(b"\x89PNG")
    tree = json.loads(files["claims.json"])["dev"]
    assert tree["trainings"] == {"hybrid": "alpha = 0.5", "X-X": "alpha = 1", "X-Y": "alpha = 0"}
    found = {claim["text"]: claim["verdict"] for claim in tree["claims"]}
    assert found[TEXTS[3]] == "holds"
    assert found[TEXTS[2]] == "holds"
    text = files["claims.md"].decode()
    for claim, verdict in found.items():
        assert f"| {claim} | **{verdict}** |" in text
    assert "![the trainings on dev](claims-dev.png)" in text
    assert "| no fine-tuning | 1 |" in text
    assert "| languages trained | all of the corpus |" in text
    assert "| hybrid (alpha = 0.5) | 3 |" in text
    tables = re.findall(r"(?m)(?:^\|.*\|\n)+", text)
    assert len(tables) == 4
    for table in tables:
        assert len({row.count("|") for row in table.splitlines()}) == 1


def test_where_a_base_model_lay_is_not_written_down(analysis):
    analysis.study.config["model.base"] = "/private/mini"
    text = claims_files(analysis)["claims.md"].decode()
    assert "| base model | mini |" in text
    assert "/private" not in text
