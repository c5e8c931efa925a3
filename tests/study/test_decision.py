"""The rule, the draws and the tests behind it, on numbers of known truth; and the table of trials."""

import io
import math

import numpy as np
import pytest
from rich.console import Console
from scipy import stats

from hbt_ray.config.rule import RuleConfig
from hbt_ray.reports.study_table import study_table
from hbt_ray.retrieval.scoring.cells import traffic_cells
from hbt_ray.stats.compare import percentiles, two_sided
from hbt_ray.stats.crossed import draw_numbers, seed_spread
from hbt_ray.stats.resample import Cells, weighted_number
from hbt_ray.study.analysis import beaten_by, draw, pareto_front
from hbt_ray.study.decision import decide, relative_losses
from hbt_ray.study.points import TrialSpec
from hbt_ray.study.points_on_set import Point, PointsOnSet, points_on_set, with_traffic
from hbt_ray.study.trials import Trial, scored_sets
from tests.study.stores import made_up_scores

METRIC = "dev/pool_map"


def trials_of(points, sd=0.0, seeds=(0, 1, 2), baseline="", **config):
    """Trials of alpha -> (mono, pool, rank distance if not 100) whose sample has exactly `sd` between seeds."""
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
                "dev/rank_distance": distance[0] if distance else 100.0,
            },
            config={"plan.alpha": alpha, **config},
            baseline=baseline,
            is_control=bool(baseline),
        )
        for alpha, (mono, pool, *distance) in points.items()
        for seed, step in zip(seeds, steps, strict=True)
    ]


def decided(trials, target="pool_map", lost=(), num_draws=4000, **rule):
    rule = RuleConfig(**rule)
    on_set = points_on_set(trials, {}, "dev", list(rule.weights_of(target)), lost)
    return on_set, decide(on_set, draw(on_set, num_draws=num_draws), target, rule)


def alpha_of(on_set, at):
    return on_set.points[at].values["plan.alpha"]


def chosen(*args, **more):
    on_set, decision = decided(*args, **more)
    return alpha_of(on_set, decision.recommended)


TRADE = {0.0: (0.60, 0.50), 0.5: (0.70, 0.45), 1.0: (0.71, 0.30)}
"""Losses: 15.5% of mono mAP, 10% of pool mAP, 40% of pool mAP."""
LARGE = {1.0: (0.8715, 0.1447, 1113.0), 0.5: (0.7339, 0.2196, 628.0), 0.0: (0.6176, 0.2761, 383.2)}


def test_the_least_worst_loss_is_recommended():
    on_set, decision = decided(trials_of(TRADE, sd=0.002))
    assert alpha_of(on_set, decision.recommended) == 0.5
    np.testing.assert_allclose(decision.worst, [0.11 / 0.71, 0.1, 0.4])
    np.testing.assert_allclose(decision.losses[0], [0.11 / 0.71, 0, 0], atol=1e-12)  # the target is one of the three
    assert decision.confidence_set == (1,)
    assert decision.state == "clear"
    assert decision.lead > 0.99
    assert [alpha_of(on_set, at) for at in decision.candidates] == [0.5, 0.0, 1.0]


def test_losses_are_those_of_a_plain_loop():
    rng = np.random.default_rng(0)
    numbers, lower, best_of = rng.uniform(0.1, 1, (7, 5, 3)), np.array([False, True, False]), [0, 2, 3]
    losses = relative_losses(numbers, best_of, lower)
    for draw_at in range(7):
        for point in range(5):
            for column in range(3):
                x, among = numbers[draw_at, point, column], numbers[draw_at, best_of, column]
                expected = (x - among.min()) / x if lower[column] else (among.max() - x) / among.max()
                assert losses[draw_at, point, column] == pytest.approx(expected, abs=1e-12)
    nothing = relative_losses(np.array([[0.0, np.nan], [0.0, 0.5]]), [0, 1], np.array([False, True]))
    assert nothing.tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize("sd", [0.2, 0.02, 0.0005])
@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2), tuple(range(8))])
def test_evidence_never_moves_the_choice(sd, seeds):
    assert chosen(trials_of(LARGE, sd=sd, seeds=seeds)) == 0.5


def test_within_the_margin_rank_distance_decides():
    points = {0.0: (0.700, 0.500, 90.0), 0.5: (0.703, 0.500, 120.0), 1.0: (0.703, 0.400, 1.0)}
    on_set, decision = decided(trials_of(points, sd=0.001))
    assert alpha_of(on_set, decision.recommended) == 0.0  # loses 0.4% of mono mAP, and is nearer
    assert decision.state == "open"
    assert chosen(trials_of(points), margin=0.001) == 0.5
    assert chosen(trials_of(points), margin=0.5) == 1.0


def test_weights_and_the_number_of_the_metric_take_part():
    assert chosen(trials_of(TRADE), weights={"pool_map": 0}) == 1.0
    assert chosen(trials_of(TRADE), weights={"pool_map": 2}) == 0.0
    nearer = {0.0: (0.70, 0.45, 100.0), 0.5: (0.71, 0.50, 300.0)}
    assert chosen(trials_of(nearer)) == 0.5
    assert chosen(trials_of(nearer), target="rank_distance") == 0.0  # a loss of two thirds
    assert chosen(trials_of(nearer), weights={"rank_distance": 1}) == 0.0
    assert chosen(trials_of(nearer), target="rank_distance", weights={"rank_distance": 0}) == 0.5


def test_a_guard_shuts_out_and_the_best_stays_the_best():
    on_set, decision = decided(trials_of(TRADE), guards={"pool_map": 0.05})
    assert alpha_of(on_set, decision.recommended) == 0.0
    assert decision.guarded == {1: {"pool_map": pytest.approx(0.1)}, 2: {"pool_map": pytest.approx(0.4)}}
    assert (decision.state, decision.none_passes) == ("alone", False)
    assert decision.worst[0] == pytest.approx(0.11 / 0.71)
    on_set, decision = decided(trials_of(TRADE), guards={"pool_map": 0.05, "mono_map": 0.05})
    assert (alpha_of(on_set, decision.recommended), decision.none_passes) == (0.5, True)


BASE = {None: (0.72, 0.10)}


def test_what_is_significantly_below_the_untrained_base_is_not_recommended():
    base = trials_of(BASE, seeds=(0,), baseline="untrained", **{"train.steps": 0})
    on_set, decision = decided([*trials_of(TRADE, sd=0.005), *base])
    assert {alpha_of(on_set, at) for at in decision.below_base} == {0.0}  # 0.5 is 2.8% below, and that may be chance
    assert decision.below_base[0]["mono_map"].worse
    on_set, decision = decided([*trials_of(TRADE, sd=0.0002), *base])
    assert {alpha_of(on_set, at) for at in decision.below_base} == {0.0, 0.5}
    assert alpha_of(on_set, decision.recommended) == 1.0
    assert chosen([*trials_of(TRADE, sd=0.0002), *base], base_guard=None) == 0.5
    on_set, decision = decided([*trials_of({0.0: TRADE[0.0], 0.5: TRADE[0.5]}, sd=0.0002), *base])
    assert (alpha_of(on_set, decision.recommended), decision.none_passes) == (0.5, True)


def test_what_lies_outside_of_the_space_may_be_recommended_unless_it_is_no_mix():
    best = {1.0: (0.9, 0.9)}
    assert chosen([*trials_of(TRADE), *trials_of(best, baseline="xx")]) == 1.0
    on_set, decision = decided([*trials_of(TRADE), *trials_of(best, baseline="source")])
    assert alpha_of(on_set, decision.recommended) == 0.5
    assert on_set.points[3].control == "source"
    assert 3 not in decision.candidates
    # held against the best of those that may be recommended
    assert decision.losses[3].tolist() == pytest.approx([-0.19 / 0.71, 0, -0.8])
    assert decided(trials_of(best, baseline="source"))[1] is None


def test_the_confidence_set_is_that_of_the_range_over_the_draws():
    on_set, decision = decided(trials_of({**TRADE, 0.25: (0.66, 0.48), 0.75: (0.702, 0.44)}, sd=0.012))
    total = draw(on_set).total[:, :, :3]  # [P, R, numbers]
    drawn = ((total.max(axis=0) - total) / total.max(axis=0)).max(axis=2)
    centred = drawn - drawn.mean(axis=1, keepdims=True)
    pairs = [abs(centred[i] - centred[j]) for i in range(5) for j in range(5)]
    reach = np.quantile(np.max(pairs, axis=0), 0.95)
    assert decision.reach == pytest.approx(reach)
    within = {at for at in range(5) if decision.worst[at] - decision.worst[decision.recommended] <= reach}
    assert set(decision.confidence_set) == within
    assert 1 < len(within) < 5


def test_with_one_seed_nothing_is_called_clear():
    _, decision = decided(trials_of(LARGE, seeds=(0,)))
    assert decision.state == "unknown"
    assert not decision.seeds_known
    assert (decision.seeds_needed, decision.questions_needed) == (None, None)
    assert len(decision.confidence_set) == 3
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


def test_a_hundred_configurations_hide_no_difference_that_is_large():
    points = {alpha / 1000: (0.4, 0.9) for alpha in range(120)} | {1.0: (0.8, 0.85)}
    on_set, decision = decided(trials_of(points, sd=0.005), num_draws=500)
    assert alpha_of(on_set, decision.recommended) == 1.0
    assert decision.state == "clear"


@pytest.mark.parametrize("df", [0, 4])
def test_p_values_beyond_what_is_drawn_are_those_of_the_distribution(df):
    rng = np.random.default_rng(0)
    draws = rng.standard_t(df, 200_000) if df else rng.standard_normal(200_000)
    exact = (lambda z: 2 * stats.t(df).sf(z)) if df else (lambda z: 2 * stats.norm.sf(z))
    for shift in (1.0, 3.0, 5.0, 40.0):
        assert two_sided(draws + shift, df) == pytest.approx(exact(shift), rel=0.35)
    assert two_sided(np.full(100, 0.5), df) == pytest.approx(2 / 101)


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


def on_numbers(numbers, cells=(), num_questions=0, num_draws=2000):
    """The decision on points of one number, [S, 1] each."""
    trial = Trial(TrialSpec.of({}, 0), "finished", 1, {})
    points = tuple(
        Point(values={"x": at}, trials=(trial,) * len(each), numbers=each, scored=()) for at, each in enumerate(numbers)
    )
    on_set = PointsOnSet(
        name="dev",
        metrics=("pool_map",),
        points=points,
        langs=(),
        by_question=bool(cells),
        num_questions=num_questions,
    )
    return decide(on_set, draw_numbers(numbers, cells, num_draws=num_draws), "pool_map", RuleConfig())


def on_questions(values):
    """The same on values by question, [P, S, K]."""
    ones = np.ones((values.shape[2], 1))
    cells = [[[Cells(of_seed[:, None], ones) for of_seed in of_point]] for of_point in values]
    return on_numbers(list(values.mean(axis=2, keepdims=True)), cells, values.shape[2])


def test_seeds_needed_have_the_power_that_is_promised():
    """Studies whose truth is what one open study saw: with the seeds it asks for, four of five are clear."""
    means, sd = np.array([0.50, 0.52, 0.49]), 0.02
    decision = on_numbers([mean + sd * np.array([[-1.0], [0.0], [1.0]]) for mean in means])
    assert decision.state == "open"

    def share(num_seeds):
        rng = np.random.default_rng(1)
        studies = [
            on_numbers(list(rng.normal(means, sd, (num_seeds, 3)).T[..., None]), num_draws=300) for _ in range(100)
        ]
        return sum(study.state == "clear" and study.recommended == 1 for study in studies) / 100

    assert 0.7 < share(decision.seeds_needed) < 0.92
    assert share(decision.seeds_needed // 2) < 0.65


def test_where_questions_hide_a_difference_more_questions_are_asked_for():
    rng = np.random.default_rng(0)
    own = rng.normal(0, 0.3, (2, 1, 100))  # what is easy for one model and hard for the other, whatever the seed
    own -= own.mean(axis=2, keepdims=True)
    values = 0.5 + own + np.array([0.0, 0.05])[:, None, None] + np.array([-0.002, 0, 0.002])[:, None]
    decision = on_questions(values)
    assert decision.state == "open"
    assert decision.seeds_needed is None
    expected = ((1.96 + 0.84) * (own[0] - own[1]).std() / 0.05) ** 2
    assert decision.questions_needed == pytest.approx(expected, rel=0.2)


def test_what_single_questions_make_of_single_seeds_goes_with_more_seeds():
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.3, (2, 6, 300))
    noise -= noise.mean(axis=2, keepdims=True)
    decision = on_questions(0.5 + noise + np.array([0.0, 0.015])[:, None, None])
    assert decision.state == "open"
    expected = 2 * (0.09 / 300) * ((1.96 + 0.84) / 0.015) ** 2  # a difference over n seeds varies by 2 x 0.3² / 300 / n
    assert decision.seeds_needed == pytest.approx(expected, rel=0.35)


def test_nothing_separates_what_is_equal():
    _, decision = decided(trials_of({0.0: (0.6, 0.5), 1.0: (0.6, 0.5)}, sd=0.01))
    assert decision.state == "open"
    assert (decision.seeds_needed, decision.questions_needed) == (None, None)


def test_traffic_is_the_weighted_mean_of_the_matrix():
    found = made_up_scores(1, noise=1.2, bias=0.3, num_items=30)
    traffic = {"en": {"en": 3.0, "de": 1.0}, "zh": {"en": 2.0, "xx": 9.0}, "ar": {"ar": 0.0}}
    matrix, langs = found.map_matrix, list(found.langs)
    en, de, zh = (langs.index(lang) for lang in ("en", "de", "zh"))
    expected = (3 * matrix[en, en] + matrix[en, de] + 2 * matrix[zh, en]) / 6
    cells = traffic_cells(found, traffic)
    number = weighted_number(np.ones((1, len(cells.sums))), cells)
    assert number == pytest.approx(expected)
    assert traffic_cells(found, {"xx": {"en": 1.0}}).counts.size == 0
    trial = Trial(TrialSpec.of({}, 0), "finished", 1, {}, key="a")
    (extended,) = with_traffic([trial], {"a": found}, "dev", traffic)
    assert extended.metrics == {"dev/traffic_map": pytest.approx(expected)}


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
