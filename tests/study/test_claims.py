"""The paper's claims, as its recipes state them, on made-up studies of which the truth is known."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hbt_ray.config.load import build_recipe, load_recipe
from hbt_ray.errors import ConfigError
from hbt_ray.reports.study_page import report_files
from hbt_ray.study import claims
from hbt_ray.study.analysis import analyse, analyse_set
from hbt_ray.study.arms import check_arms, find_arm
from hbt_ray.study.points import TrialSpec
from hbt_ray.study.points_on_set import points_on_set
from hbt_ray.study.trials import Trial
from tests.study.stores import made_study, made_up_scores

RECIPES = Path(__file__).parents[2] / "jobs" / "recipes"
CLAIMS = load_recipe(RECIPES / "paper-small.yaml").tune.claims
TEXTS = list(dict.fromkeys(claim.text for claim in CLAIMS))
PAPER = {0.0: (0.755, 0.700, 0.590, 295.0), 0.5: (0.798, 0.705, 0.600, 287.0), 1.0: (0.792, 0.674, 0.548, 410.0)}
"""alpha -> mono, cross, pool, rank distance, much as in the paper."""


def study_of(numbers, sd=0.001, seeds=(0, 1, 2), more=()):
    """An analysed set whose trials differ between seeds by `sd`, a thousand times as much in rank distance."""
    rng = np.random.default_rng(0)
    names = ("mono_map", "cross_map", "pool_map", "rank_distance")
    scale = sd * np.array([1, 1, 1, 1000])
    trials = [
        Trial(
            TrialSpec.of({"plan.alpha": alpha}, seed),
            "finished",
            step=10,
            key=f"{alpha}-{seed}",
            metrics={
                f"dev/{name}": float(value + noise)
                for name, value, noise in zip(names, values, rng.normal(0, scale), strict=True)
            },
            config={"plan.alpha": alpha, "plan.alpha_schedule": "constant", "train.steps": 10},
        )
        for alpha, values in {**numbers, **dict(more)}.items()
        for seed in seeds
    ]
    return analyse_set(points_on_set(trials, {}, "dev", ()))


def judge(scored):
    return claims.judge(CLAIMS, scored.on_set, scored.draws, None)


def verdicts(scored):
    return list(judge(scored).verdicts.values())


def test_what_the_paper_found_holds_where_seeds_agree():
    assert verdicts(study_of(PAPER)) == ["holds"] * 4


def test_the_same_differences_are_not_resolved_where_seeds_do_not_agree():
    assert verdicts(study_of(PAPER, sd=0.2)) == ["not resolved"] * 4


def test_what_comes_out_the_other_way_does_not_hold():
    turned = {0.0: PAPER[1.0], 0.5: (0.70, 0.60, 0.50, 500.0), 1.0: PAPER[0.0]}
    assert verdicts(study_of(turned)) == ["does not hold"] * 4


def test_one_comparison_the_other_way_decides_and_one_open_one_leaves_open():
    worse_in_the_mix = {**PAPER, 0.5: (0.798, 0.705, 0.570, 287.0)}
    judged = judge(study_of(worse_in_the_mix))
    assert list(judged.verdicts.values()) == ["holds", "does not hold", "does not hold", "holds"]
    parts = [claim for claim in judged.claims if claim.stated.text == TEXTS[2]]
    assert {(claim.stated.metric, claim.stated.below): claim.verdict for claim in parts} == {
        ("overall_map", "X-X"): "holds",
        ("overall_map", "X-Y"): "holds",
        ("pool_map", "X-X"): "holds",
        ("pool_map", "X-Y"): "does not hold",
    }
    level_in_the_mix = {**PAPER, 0.5: (0.798, 0.705, 0.590, 287.0)}
    assert verdicts(study_of(level_in_the_mix)) == ["holds", "not resolved", "not resolved", "holds"]


def test_one_seed_resolves_nothing_however_large_the_differences():
    judged = judge(study_of(PAPER, seeds=(0,)))
    assert {claim.verdict for claim in judged.claims} == {"not resolved"}
    assert any("single seed" in note for note in judged.notes)


def test_a_training_that_lost_a_seed_resolves_nothing():
    points = study_of(PAPER).on_set.points
    lost = points[1].trials[0]
    left = [trial for point in points for trial in point.trials if trial is not lost]
    judged = judge(analyse_set(points_on_set(left, {}, "dev", (), [lost])))
    assert {claim.verdict for claim in judged.claims} == {"not resolved"}
    assert any(note.startswith("alpha=0.5 lacks seed 0") for note in judged.notes)


def test_a_training_that_is_missing_is_named():
    judged = judge(study_of({alpha: PAPER[alpha] for alpha in (0.5, 1.0)}))
    assert list(judged.verdicts.values()) == ["not resolved", "not resolved", "not resolved", "holds"]
    assert "The study has no arm X-Y on dev." in judged.notes


def test_arms_are_found_by_name_and_not_by_how_they_came_out():
    best = (0.9, 0.9, 0.9, 1.0)
    on_set = study_of(PAPER, more={0.75: best, 0.1: best}).on_set
    for name, alpha in {"alpha=0.5": 0.5, "plan.alpha = 0.10": 0.1, "X-X": 1.0, "X-Y": 0.0}.items():
        assert on_set.points[find_arm(on_set, name, None)].values["plan.alpha"] == alpha
    for name in ("alpha=0.3", "untrained", "lr=0.5", "hybrid"):
        assert find_arm(on_set, name, None) is None


@pytest.mark.parametrize("name", ["paper", "paper-small"])
def test_the_recipes_have_the_arms_that_they_name(name):
    recipe = load_recipe(RECIPES / f"{name}.yaml")
    assert recipe.tune.claims == CLAIMS
    check_arms(recipe)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"metric": "bleu"}, "tune.claims.metric"),
        ({"above": "hybrid"}, "'hybrid' is no arm of this study"),
        ({"above": "alpha=0.3"}, "'alpha=0.3' is no arm"),
        ({"above": "lr=0.5"}, "fields: alpha"),
        ({"above": "source"}, "'source' is no arm"),
        ({"above": "X-X"}, "another arm than above"),
    ],
)
def test_a_claim_of_what_the_study_will_not_have_is_refused(change, match):
    claim = {"metric": "pool_map", "above": "alpha=0.5", "below": "X-X", "text": "hybrid is best", **change}
    with pytest.raises(ConfigError, match=match):
        check_arms(build_recipe({"tune": {"claims": [claim], "baselines": ["xx"]}}))


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
    untrained = {"untrained": {"train.steps": 0}}
    study, read = made_study("small", points, scores=scores, seeds=(0, 1, 2), controls=untrained)
    return analyse(replace(study, claims=(*CLAIMS, replace(CLAIMS[0], below="untrained", text="it learns"))), read)


def test_planted_differences_by_question_are_found_and_reported(analysis):
    judged = analysis.claims["dev"]
    assert judged.notes == ()  # that no training has one seed is no obstacle
    assert (judged.verdicts[TEXTS[2]], judged.verdicts[TEXTS[3]], judged.verdicts["it learns"]) == ("holds",) * 3
    files = report_files(analysis)
    tree = json.loads(files["decision.json"])["claims"]["dev"]
    assert tree["verdicts"] == judged.verdicts
    assert [claim["verdict"] for claim in tree["claims"]] == [claim.verdict for claim in judged.claims]
    for text, verdict in judged.verdicts.items():
        assert f"- {text}: **{verdict}**" in files["report.md"]
        assert f"<li>{text}: <strong>{verdict}</strong></li>" in files["report.html"]
