"""The rule, the draws and the tests behind it, on numbers of known truth; and the table of trials."""

import io
import math

import numpy as np
import pytest
from rich.console import Console
from scipy import stats

from hbt_ray.reports.study_table import study_table
from hbt_ray.stats.compare import percentiles, two_sided
from hbt_ray.stats.crossed import draw_numbers, seed_spread
from hbt_ray.stats.resample import Cells
from hbt_ray.study.analysis import beaten_by, draw, pareto_front
from hbt_ray.study.decision import decide, questions_needed, seeds_needed
from hbt_ray.study.points import TrialSpec
from hbt_ray.study.trials import Trial, points_on_set, scored_sets

METRIC = "dev/pool_map"


def trials_of(points, sd=0.0, seeds=(0, 1, 2)):
    """Trials of alpha -> (mono, pool) that differ between seeds by `sd`, exactly in the sample."""
    steps = np.linspace(-1, 1, len(seeds))
    steps = sd * steps / steps.std(ddof=1) if len(seeds) > 1 else np.zeros(1)
    return [
        Trial(
            TrialSpec.of({"plan.alpha": alpha}, seed),
            "finished",
            step=10,
            key=f"{alpha}-{seed}",
            metrics={
                "dev/mono_map": mono + step,
                "dev/cross_map": 0.5,
                "dev/pool_map": pool - step,
                "dev/rank_distance": 100.0,
            },
            config={"plan.alpha": alpha},
        )
        for alpha, (mono, pool) in points.items()
        for seed, step in zip(seeds, steps, strict=True)
    ]


def decided(trials, target="pool_map", lost=()):
    on_set = points_on_set(trials, {}, "dev", [target], lost)
    decision = decide(on_set, draw(on_set), target)
    return on_set, decision


def alpha_of(on_set, at):
    return on_set.points[at].values["plan.alpha"]


TRADE = {0.0: (0.60, 0.50), 0.5: (0.70, 0.45), 1.0: (0.71, 0.30)}


def test_the_best_in_the_mix_that_does_not_lose_inside_a_language():
    on_set, decision = decided(trials_of(TRADE, sd=0.01))
    assert alpha_of(on_set, decision.recommended) == 0.5
    assert alpha_of(on_set, decision.best_mono) == 1.0
    assert [alpha_of(on_set, at) for at in decision.excluded] == [0.0]
    assert decision.state == "clear"
    assert [rival.verdict for rival in decision.rivals.values()] == ["better"]
    assert decision.lead > 0.999
    ((at, forgone),) = decision.forgone.items()
    assert alpha_of(on_set, at) == 0.0
    assert forgone.difference == pytest.approx(0.05)


def test_what_is_shut_out_and_no_better_is_not_forgone():
    on_set, decision = decided(trials_of({0.0: (0.60, 0.30), 1.0: (0.71, 0.30)}, sd=0.01))
    assert alpha_of(on_set, decision.recommended) == 1.0
    assert [alpha_of(on_set, at) for at in decision.excluded] == [0.0]
    assert decision.forgone == {}


def test_with_a_wide_spread_between_seeds_the_loss_is_not_significant_and_the_lead_is_noise():
    on_set, decision = decided(trials_of(TRADE, sd=0.2))
    assert alpha_of(on_set, decision.recommended) == 0.0
    assert decision.excluded == ()
    assert decision.state == "noise"
    assert [found.other for found in decision.outlook] == [1, 2]
    assert decision.outlook[0].seeds is None or decision.outlook[0].seeds > 3


def test_single_runs_decide_nothing():
    on_set, decision = decided(trials_of(TRADE, seeds=(0,)))
    assert alpha_of(on_set, decision.recommended) == 0.0  # none is shown to be below the best
    assert decision.state == "unknown"
    assert not decision.seeds_known
    assert decision.outlook == ()
    assert {rival.verdict for rival in decision.rivals.values()} == {"unknown"}
    assert math.isnan(decision.lead)


def test_a_point_of_which_trials_failed_takes_no_part():
    trials = trials_of({**TRADE, 0.25: (0.9, 0.9)}, sd=0.01)
    gone = [trial for trial in trials if trial.point["plan.alpha"] == 0.25 and trial.seed == 1]
    on_set, decision = decided([trial for trial in trials if trial not in gone], lost=gone)
    assert alpha_of(on_set, decision.recommended) == 0.5
    assert [alpha_of(on_set, at) for at in decision.left_out] == [0.25]
    every = [trial for trial in trials if trial.seed == 2]
    on_set, decision = decided([trial for trial in trials if trial not in every], lost=every)
    assert decision.left_out == ()  # none is at a disadvantage
    assert alpha_of(on_set, decision.recommended) == 0.25


def test_points_that_only_have_fewer_seeds_so_far_take_part():
    trials = [t for t in trials_of(TRADE, sd=0.01) if t.point["plan.alpha"] == 1.0 or t.seed < 2]
    on_set, decision = decided(trials)
    assert alpha_of(on_set, decision.recommended) == 0.5
    assert decision.left_out == ()
    assert (decision.num_seeds, decision.most_seeds) == (2, 3)


def test_a_hundred_comparisons_hide_no_difference_that_is_large():
    points = {alpha / 1000: (0.4, 0.9) for alpha in range(120)} | {1.0: (0.9, 0.3)}
    on_set, decision = decided(trials_of(points, sd=0.005))
    assert alpha_of(on_set, decision.recommended) == 1.0
    assert len(decision.excluded) == 120


@pytest.mark.parametrize("df", [0, 4])
def test_p_values_beyond_what_is_drawn_are_those_of_the_distribution(df):
    rng = np.random.default_rng(0)
    draws = rng.standard_t(df, 200_000) if df else rng.standard_normal(200_000)
    exact = (lambda z: 2 * stats.t(df).sf(z)) if df else (lambda z: 2 * stats.norm.sf(z))
    for shift in (1.0, 3.0, 5.0, 40.0):
        assert two_sided(draws + shift, df) == pytest.approx(exact(shift), rel=0.35)
    assert two_sided(np.full(100, 0.5), df) == pytest.approx(2 / 101)


def test_of_rank_distance_less_is_better():
    trials = trials_of({0.0: (0.7, 0.5), 1.0: (0.7, 0.5)}, sd=0.001)
    for trial in trials:
        trial.metrics["dev/rank_distance"] = 50.0 + 100 * trial.point["plan.alpha"] + trial.seed
    on_set, decision = decided(trials, "rank_distance")
    assert alpha_of(on_set, decision.recommended) == 0.0
    assert decision.state == "clear"
    assert decision.rivals[1].better


def test_a_trial_without_one_of_the_numbers_is_left_out_with_a_note():
    trials = trials_of(TRADE, seeds=(0,))
    del trials[0].metrics["dev/pool_map"]
    on_set, _ = decided(trials)
    assert [alpha_of(on_set, at) for at in range(len(on_set.points))] == [0.5, 1.0]
    assert "alpha=0 seed=0" in on_set.notes[0]


def test_points_are_in_order_of_their_values_as_numbers():
    trials = trials_of(dict.fromkeys((128, 64, 8), (0.5, 0.5)), seeds=(0,))
    assert [alpha_of(decided(trials)[0], at) for at in range(3)] == [8, 64, 128]


def test_the_spread_between_seeds_is_that_of_an_analysis_of_variance():
    groups = [np.random.default_rng(at).normal(at, 2, (size, 3)) for at, size in enumerate((2, 3, 5))]
    spread = seed_spread(groups)
    within = sum(((group - group.mean(axis=0)) ** 2).sum(axis=0) for group in groups) / 7
    assert spread.df == 7
    np.testing.assert_allclose(spread.sd, np.sqrt(within), rtol=1e-12)
    untrained = np.ones((4, 3))
    assert seed_spread([*groups, untrained]).df == 7


def test_with_seeds_alone_intervals_and_p_values_are_those_of_students_t():
    numbers = [np.array([[0.50], [0.52], [0.55]]), np.array([[0.58], [0.55], [0.56]])]
    draws = draw_numbers(numbers, [], num_draws=200_000)
    sd, df = seed_spread(numbers).sd[0], 4
    half = stats.t.ppf(0.975, df) * sd / np.sqrt(3)
    mean = numbers[0].mean()
    assert percentiles(draws.total[0, :, 0]) == pytest.approx((mean - half, mean + half), abs=0.002)


def crossed(rng, *, num_points, num_seeds, num_questions, of_question, of_seed, of_both):
    """Values [P, S, K] of points that are alike: parts of the question, of the trial, and of both."""
    question = rng.normal(0, of_question, num_questions)
    seed = rng.normal(0, of_seed, (num_points, num_seeds, 1))
    return question + seed + rng.normal(0, of_both, (num_points, num_seeds, num_questions))


def drawn(values, num_draws, seed):
    num_questions = values.shape[2]
    ones = np.ones((num_questions, 1))
    cells = [[[Cells(of_seed[:, None], ones) for of_seed in of_point]] for of_point in values]
    return draw_numbers(list(values.mean(axis=2, keepdims=True)), cells, num_draws=num_draws, seed=seed)


@pytest.mark.parametrize(("of_seed", "of_both"), [(0.05, 0.0), (0.0, 0.3), (0.03, 0.3)])
def test_intervals_cover_the_truth_and_false_alarms_are_rare(of_seed, of_both):
    rng = np.random.default_rng(0)
    covered = covered_difference = alarms = 0
    num = 200
    for at in range(num):
        values = crossed(
            rng, num_points=3, num_seeds=3, num_questions=60, of_question=0.3, of_seed=of_seed, of_both=of_both
        )
        total = drawn(values, 400, at).total[:, :, 0]
        low, high = percentiles(total[0])
        covered += low <= 0 <= high
        low, high = percentiles(total[0] - total[1])
        covered_difference += low <= 0 <= high
        alarms += two_sided(total[0] - total[1]) < 0.05
    allowed = 4 * math.sqrt(0.05 * 0.95 / num)
    assert abs(covered / num - 0.95) < allowed
    assert abs(covered_difference / num - 0.95) < allowed
    assert alarms / num < 0.05 + allowed


def test_what_single_questions_make_of_seeds_is_told_from_what_seeds_are():
    rng = np.random.default_rng(0)
    of_both = crossed(rng, num_points=6, num_seeds=20, num_questions=50, of_question=1, of_seed=0, of_both=0.5)
    spread = drawn(of_both, 10, 0).spread
    assert spread.interaction[0] == pytest.approx(0.5**2 / 50, rel=0.1)
    assert spread.sd[0] ** 2 == pytest.approx(0.5**2 / 50, rel=0.3)
    of_seed = crossed(rng, num_points=6, num_seeds=20, num_questions=50, of_question=1, of_seed=0.5, of_both=0)
    assert drawn(of_seed, 10, 0).spread.interaction[0] < 1e-20


def brute_front(numbers):
    def beats(a, b):
        return all(x >= y for x, y in zip(a, b, strict=True)) and any(x > y for x, y in zip(a, b, strict=True))

    return [not any(beats(other, mine) for other in numbers) for mine in numbers]


@pytest.mark.parametrize("seed", range(5))
def test_the_front_is_that_of_brute_force(seed):
    numbers = np.random.default_rng(seed).integers(0, 4, (12, 4)).astype(float)  # with ties
    assert pareto_front(numbers).tolist() == brute_front(numbers.tolist())
    for at, on_it in enumerate(pareto_front(numbers)):
        assert bool(beaten_by(numbers, at)) != on_it
    stacked = np.stack([numbers, -numbers])
    assert pareto_front(stacked)[1].tolist() == brute_front((-numbers).tolist())


def test_seeds_needed_have_the_power_that_is_promised():
    difference, sd = 0.02, 0.015
    num = seeds_needed(difference, sd, 0.0, 2)
    rng = np.random.default_rng(0)

    def power(seeds):
        a, b = rng.normal(0, sd, (4000, seeds)), rng.normal(difference, sd, (4000, seeds))
        return (stats.ttest_ind(a, b, axis=1).pvalue < 0.05).mean()

    assert power(num) > 0.78
    assert power(num - 2) < 0.78


def test_where_questions_hide_a_difference_no_number_of_seeds_helps():
    assert seeds_needed(0.01, 0.001, 0.01**2, 3) is None
    assert questions_needed(0.01, 0.01**2, 100) == math.ceil(100 * (stats.norm.ppf(0.975) + stats.norm.ppf(0.8)) ** 2)
    assert seeds_needed(0.0, 0.001, 0.0, 3) is None
    assert questions_needed(0.0, 0.1, 100) is None


def result(point, score, seed=0, status="finished", **more):
    metrics = {} if score is None else {METRIC: score, **more}
    return Trial(TrialSpec.of(point, seed), status, 10, metrics)


def alphas(scores, **more):
    return [result({"plan.alpha": alpha}, score, **more) for alpha, score in scores.items()]


def test_values_may_be_lists_and_mappings_and_none():
    values = [[[0, 1.0]], [[0, 0.5], [0.5, 1.0]], {"a": 1.0}, None]
    results = [result({"plan.x": value}, 0.5, seed=seed) for value in values for seed in (0, 1)]
    assert study_table("dev", results).row_count == 8


def test_sets_are_named_dev_first():
    results = alphas({0.0: 0.5}, **{"xquad_r/pool_map": 0.1, "mlqa_r/pool_map": 0.2, "dev/cross_map": 0.3})
    assert scored_sets(results) == ["dev", "mlqa_r", "xquad_r"]
    assert scored_sets([]) == []


def text_of(table):
    console = Console(file=io.StringIO(), width=200)
    console.print(table)
    return console.file.getvalue()


def test_the_table_has_a_row_a_trial_in_order():
    scores = {"dev/mono_map": 0.61234, "dev/cross_map": math.nan, "dev/rank_distance": 1234.56}
    results = [
        *alphas({1.0: 0.3}, status="stopped"),
        *alphas({0.5: 0.4}, **scores),
        *alphas({0.5: 0.2}, seed=10),
        *alphas({0.5: 0.2}, seed=9),
    ]
    table = study_table("dev", results)
    columns = {column.header: list(column.cells) for column in table.columns}
    assert columns == {
        "alpha": ["0.5", "0.5", "0.5", "1.0"],
        "seed": ["0", "9", "10", "0"],
        "mono mAP": ["0.6123", "-", "-", "-"],
        "cross mAP": ["-", "-", "-", "-"],
        "pool mAP": ["0.4000", "0.2000", "0.2000", "0.3000"],
        "rank distance": ["1,234.6", "-", "-", "-"],
        "trial": [results[at].spec.name + (" (stopped)" if at == 0 else "") for at in (1, 3, 2, 0)],
    }
    assert "scores on dev" in text_of(table)
