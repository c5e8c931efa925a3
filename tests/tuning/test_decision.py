import io
import math

import pytest
from rich.console import Console

from hbt_ray.tuning.decision import recommend, scored_sets, study_table, summarise
from hbt_ray.tuning.points import TrialSpec
from hbt_ray.tuning.results import TrialResult

METRIC = "dev/multi_map"


def result(point, score, seed=0, status="finished", **more):
    metrics = {} if score is None else {METRIC: score, **more}
    return TrialResult(TrialSpec.of(point, seed), status, 10, metrics)


def alphas(scores, **more):
    return [result({"plan.alpha": alpha}, score, **more) for alpha, score in scores.items()]


def test_points_are_means_over_seeds():
    results = [*alphas({0.0: 0.2, 0.5: 0.4}), *alphas({0.0: 0.4, 0.5: 0.1}, seed=1)]
    summaries = summarise(results)
    assert [(summary.point, summary.mean(METRIC)) for summary in summaries] == [
        ({"plan.alpha": 0.0}, pytest.approx(0.3, abs=1e-12)),
        ({"plan.alpha": 0.5}, pytest.approx(0.25, abs=1e-12)),
    ]
    assert recommend(summaries, METRIC, "max").point == {"plan.alpha": 0.0}
    assert recommend(summaries, METRIC, "min").point == {"plan.alpha": 0.5}


def test_only_trials_that_ran_to_the_end_and_have_the_metric_are_recommended():
    results = [
        *alphas({0.0: 0.2}),
        *alphas({0.5: 0.9}, status="stopped"),
        *alphas({0.7: 0.8}, status="failed"),
        *alphas({0.8: math.nan}),
        *alphas({1.0: None}),
    ]
    summaries = summarise(results)
    assert [summary.point["plan.alpha"] for summary in summaries] == [0.0, 0.8, 1.0]
    assert recommend(summaries, METRIC, "max").point == {"plan.alpha": 0.0}
    assert recommend(summarise(results[1:]), METRIC, "max") is None
    assert recommend([], METRIC, "max") is None


def test_points_are_in_order_of_their_values_as_numbers():
    results = [result({"plan.batch_size": size, "plan.pairs": "mixed"}, 0.5) for size in (128, 64, 8)]
    assert [summary.point["plan.batch_size"] for summary in summarise(results)] == [8, 64, 128]


def test_values_may_be_lists_and_mappings_and_none():
    values = [[[0, 1.0]], [[0, 0.5], [0.5, 1.0]], {"a": 1.0}, None]
    results = [result({"plan.x": value}, 0.5, seed=seed) for value in values for seed in (0, 1)]
    assert [len(summary.results) for summary in summarise(results)] == [2] * 4
    assert study_table("dev", results, {}).row_count == 8


def test_sets_are_named_dev_first():
    results = alphas({0.0: 0.5}, **{"xquad_r/multi_map": 0.1, "mlqa_r/multi_map": 0.2, "dev/cross_map": 0.3})
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
    table = study_table("dev", results, {results[1].spec.name: "run1", results[0].spec.name: "run0"})
    columns = {column.header: list(column.cells) for column in table.columns}
    assert columns == {
        "alpha": ["0.5", "0.5", "0.5", "1.0"],
        "seed": ["0", "9", "10", "0"],
        "mono mAP": ["0.6123", "-", "-", "-"],
        "cross mAP": ["-", "-", "-", "-"],
        "multi mAP": ["0.4000", "0.2000", "0.2000", "0.3000"],
        "rank distance": ["1,234.6", "-", "-", "-"],
        "run id": ["run1", "", "", "run0 (stopped)"],
    }
    assert "scores on dev" in text_of(table)
