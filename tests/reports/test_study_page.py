"""The decision report from real workspaces, on studies whose truth is known."""

import html
import json
import math
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hbt_ray.config.rule import RuleConfig
from hbt_ray.errors import HbtError
from hbt_ray.records import read_run
from hbt_ray.reports.study_charts import apart, charts
from hbt_ray.reports.study_findings import findings
from hbt_ray.reports.study_page import report_files
from hbt_ray.reports.study_surface import surface_figure
from hbt_ray.reports.study_wording import caveats, reason, recommendation_line, title
from hbt_ray.retrieval.scoring.significance import compare
from hbt_ray.study.analysis import analyse
from hbt_ray.study.directory import StudyDirectory
from tests.reports.test_evaluation_page import Page
from tests.study.stores import ALPHAS, LANGS, made_study, made_up_scores, trade_scores, write_study

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "jobs"))
import report

SEEDS = (0, 1, 2)


@pytest.fixture(scope="module")
def trade(tmp_path_factory):
    """A study with planted differences on two sets, and one failed trial of alpha 0.25."""
    directory = tmp_path_factory.mktemp("trade")

    def scores(point, seed):
        return [*trade_scores(point, seed), *trade_scores(point, seed, name="xquad_r")]

    return write_study(directory, "trade", ALPHAS, scores=scores, seeds=SEEDS, statuses={(1, 2): "failed"})


def analysed(directory, set_name=""):
    return analyse(directory.read(), directory.scores, set_name)


def levels(analysis):
    """Topic -> level of the findings."""
    return {statement.topic: statement.level for statement in findings(analysis)}


def test_a_study_is_read_from_its_workspace_alone(trade):
    study = trade.read()
    assert len(study.trials) == 15
    assert [trial.point for trial in study.trials[:5]] == ALPHAS
    assert {trial.seed for trial in study.trials} == set(SEEDS)
    (failed,) = [trial for trial in study.trials if trial.status == "failed"]
    assert failed.label == "alpha=0.25 seed=2"
    assert failed.error == "the loss is NaN"
    assert study.metric == "dev/pool_map"
    scores = trade_scores(study.trials[0].point, 0)[0]
    assert study.trials[0].metrics["dev/mono_map"] == pytest.approx(scores.headline()["mono_map"], abs=1e-12)
    (loaded,) = trade.scores(study.trials[:1], "dev").values()
    assert compare(scores, loaded, num_resamples=50)[0].difference == 0


def test_planted_differences_are_found(trade):
    analysis = analysed(trade)
    decision, points = analysis.decision, analysis.main.on_set.points
    alphas = [point.values["plan.alpha"] for point in points]
    assert analysis.recommended.values == {"plan.alpha": 0.5}
    assert title(analysis).startswith("Not complete: alpha = 0.5")
    assert levels(analysis) == {"How sure": "poor", "Against X-X": "good", "Against X-Y": "good", "Languages": "good"}
    assert "NOT COMPLETE" in recommendation_line(analysis)
    assert [alphas[at] for at in decision.confidence_set] == [0.5]
    assert [alphas[at] for at in decision.left_out] == [0.25]
    assert decision.state == "clear"
    assert [control.name for control in analysis.controls] == ["X-X", "X-Y"]
    against = analysis.control("X-X").differences
    assert against["pool_map"].better
    assert against["rank_distance"].better
    assert against["rank_distance"].difference < 0
    assert against["mono_map"].verdict == "not significant"
    assert analysis.main.front[alphas.index(0.5)]
    assert not analysis.main.front[alphas.index(0.0)]
    gains = analysis.gains[decision.recommended]
    assert set(gains["pool_map"]) == set(LANGS)
    assert {row.verdict for row in gains["pool_map"].values()} == {"better"}
    assert {row.verdict for row in gains["mono_map"].values()} == {"not significant"}
    assert recommendation_line(analysis).startswith("recommended alpha = 0.5")


def test_the_numbers_are_means_over_seeds_inside_their_intervals(trade):
    analysis = analysed(trade)
    on_set = analysis.main.on_set
    for at, point in enumerate(on_set.points):
        scored = [trade_scores(point.values, trial.seed)[0].headline() for trial in point.trials]
        for column, metric in enumerate(on_set.metrics):
            expected = sum(found[metric] for found in scored) / len(scored)
            assert point.means[column] == pytest.approx(expected, abs=1e-9)
            low, high = analysis.main.intervals[metric][at]
            assert low < expected < high


def test_models_that_are_alike_are_called_noise(tmp_path):
    def alike(point, seed):
        return [made_up_scores(1000 * seed + round(100 * point["plan.alpha"]), noise=0.8, bias=0.1, num_items=60)]

    analysis = analysed(write_study(tmp_path, "alike", ALPHAS, scores=alike, seeds=SEEDS))
    assert analysis.decision.state == "open"
    assert len(analysis.decision.confidence_set) == 5
    assert title(analysis).startswith("Not settled")
    assert levels(analysis)["How sure"] == "fair"
    assert "To settle it" in levels(analysis)
    verdicts = [row.verdict for kinds in analysis.gains.values() for rows in kinds.values() for row in rows.values()]
    assert set(verdicts) == {"not significant"}


def test_a_small_difference_asks_for_more_seeds(tmp_path):
    """A lead of one standard deviation between seeds, of which two seeds cannot be sure."""
    shift = {(0.0, 0): 0.80, (0.0, 1): 0.84, (1.0, 0): 0.76, (1.0, 1): 0.80}

    def close(point, seed):
        return [made_up_scores(1, noise=shift[point["plan.alpha"], seed], bias=0.1)]

    points = [ALPHAS[0], ALPHAS[-1]]
    analysis = analysed(write_study(tmp_path, "close", points, scores=close, seeds=(0, 1)))
    assert analysis.decision.state == "open"
    needed = analysis.decision.seeds_needed
    assert 3 <= needed <= 100
    (text,) = [statement.text for statement in findings(analysis) if statement.topic == "To settle it"]
    assert f"bout {needed - 2} more seed" in text
    assert f"bout {needed - 2} more seed" in recommendation_line(analysis)


def test_with_one_seed_questions_are_tested_and_seeds_are_said_to_be_unknown(tmp_path):
    analysis = analysed(write_study(tmp_path, "one", ALPHAS, scores=trade_scores))
    assert not analysis.decision.seeds_known
    assert analysis.recommended.values == {"plan.alpha": 0.5}
    assert len(analysis.decision.confidence_set) == 1  # as far as questions tell
    assert analysis.decision.state == "unknown"
    assert title(analysis) == "Best of single runs: alpha = 0.5"
    assert "good" not in levels(analysis).values()
    assert "tune.seeds" in recommendation_line(analysis)
    page = report_files(analysis)["report.html"]
    assert caveats(analysis)[0] in html.unescape(page)
    assert 'class="tag good">better' not in page
    assert "<dt>seeds</dt><dd>1 (named 0)</dd>" in page


def test_without_scores_by_question_seeds_alone_are_tested(tmp_path):
    directory = write_study(tmp_path, "old", ALPHAS, scores=trade_scores, seeds=SEEDS, by_question=False)
    analysis = analysed(directory)
    assert not analysis.main.on_set.by_question
    assert analysis.decision.state == "clear"
    assert analysis.recommended.values == {"plan.alpha": 0.5}
    assert analysis.gains == {}
    assert "recorded without scores by question" in report_files(analysis)["report.md"]


def test_single_runs_without_scores_by_question_are_not_called_sure(tmp_path):
    analysis = analysed(write_study(tmp_path, "bare", ALPHAS, scores=trade_scores, by_question=False))
    assert title(analysis).startswith("Best of single runs")
    assert levels(analysis)["How sure"] == "poor"
    assert {row.verdict for control in analysis.controls for row in control.differences.values()} == {"unknown"}
    files = report_files(analysis)
    assert "nan" not in re.sub(r"<style>.*?</style>|<script>.*?</script>", "", files["report.html"], flags=re.DOTALL)
    json.loads(files["decision.json"])


def test_other_spaces_and_studies_without_a_baseline(tmp_path):
    grid = [{"plan.alpha": alpha, "train.lr": lr} for alpha in (0.0, 0.5, 1.0) for lr in (1e-4, 5e-4)]
    analysis = analysed(write_study(tmp_path, "grid", grid, scores=trade_scores, seeds=(0, 1)))
    assert analysis.recommended.values["plan.alpha"] == 0.5
    base = analysis.main.on_set.points[analysis.base].values
    assert base == {"plan.alpha": 1.0, "train.lr": analysis.recommended.values["train.lr"]}
    assert "alpha = 0.5, lr = " in recommendation_line(analysis)

    def same(point, seed):
        return [made_up_scores(seed, noise=0.8, bias=0.1)]

    rates = [{"train.lr": lr} for lr in (1e-4, 5e-4)]
    analysis = analysed(write_study(tmp_path, "rates", rates, scores=same, seeds=(0, 1)))
    assert analysis.base is None
    assert levels(analysis)["Against X-X"] == "plain"
    assert analysis.control("X-X") is None
    assert analysis.main.front == (True, True)
    assert "point, see the table" in report_files(analysis)["report.html"]


OUTSIDE = {
    "xx": {"plan.alpha": 1.0},
    "source": {"plan.alpha": 1.0, "plan.langs": ["en"]},
    "untrained": {"train.steps": 0},
}


def with_controls(source):
    """A study of three alphas with controls outside of its space; `source`: (noise, bias) of the source language."""
    levels = {"source": source, "untrained": (2.5, 0.8)}

    def scores(point, seed):
        control = "untrained" if "train.steps" in point else "source" if "plan.langs" in point else ""
        if not control:
            return trade_scores(point, seed)
        noise, bias = levels[control]
        return [made_up_scores(7000 + seed, noise=noise, bias=bias)]

    points = [{"plan.alpha": alpha} for alpha in (0.0, 0.5, 0.75)]
    return analyse(*made_study("controls", points, scores=scores, seeds=SEEDS, controls=OUTSIDE))


def test_controls_are_compared_with_and_not_chosen():
    analysis = with_controls(source=(0.75, 0.9))
    on_set, decision = analysis.main.on_set, analysis.decision
    assert [point.label for point in on_set.points] == [
        "alpha = 0",
        "alpha = 0.5",
        "alpha = 0.75",
        "X-X",
        "source language only",
        "no fine-tuning",
    ]
    assert analysis.recommended.values == {"plan.alpha": 0.5}
    assert decision.left_out == ()  # that the base has one seed is no fault of it
    assert set(decision.candidates) == {0, 1, 2, 3}  # X-X, though it lies outside of the space
    assert [control.name for control in analysis.controls] == ["X-X", "X-Y", "source language only", "no fine-tuning"]
    assert analysis.unbeaten == []
    assert analysis.base == 3  # the X-X control, and never training in one language
    files = report_files(analysis)
    for text in files.values():
        assert "no fine-tuning" in text
    drawn = charts(analysis.main, decision.recommended)
    titles = {name: [line.get_gid() for line in chart.figure.axes[0].lines] for name, chart in drawn.items()}
    assert all(any(str(title).startswith("X-X: ") for title in chart) for chart in titles.values())
    assert not any("no fine-tuning" in str(title) for chart in titles.values() for title in chart)
    assert "no fine-tuning" in drawn["mono_map"].note  # far below the others
    assert [text.get_text() for text in drawn["mono_map"].figure.axes[0].texts] == ["source"]
    assert files["report.html"].count("<title>X-X: ") == 9  # six charts, and three losses
    tree = json.loads(files["decision.json"])
    assert [point["control"] for point in tree["sets"]["dev"]["points"]] == ["", "", "", *OUTSIDE]
    assert tree["not_beaten"] == []


def test_where_x_x_is_recommended_what_mixing_gains_is_said():
    def scores(point, seed):  # X-X is best inside a language, the mix has the smaller rank distance
        mixed = point["plan.alpha"] < 1
        return [made_up_scores(100 + seed, noise=0.9 if mixed else 0.6, bias=0.0 if mixed else 0.6)]

    points = [{"plan.alpha": alpha} for alpha in (0.5, 1.0)]
    study, read = made_study("price", points, scores=scores, seeds=SEEDS, controls={})
    analysis = analyse(replace(study, rule=RuleConfig(weights={"pool_map": 0, "cross_map": 0})), read)
    assert analysis.recommended.values == {"plan.alpha": 1.0}
    assert analysis.base == analysis.decision.recommended
    assert [control.name for control in analysis.controls] == ["alpha = 0.5"]
    assert analysis.controls[0].differences["rank_distance"].worse
    by_topic = {statement.topic: statement for statement in findings(analysis)}
    assert "better than alpha = 0.5 in mAP inside" in by_topic["Against alpha = 0.5"].text.lower().replace("map", "mAP")
    assert "rank distance (+" in by_topic["Against alpha = 0.5"].text
    assert "gained nothing" not in "".join(report_files(analysis).values())


def test_guards_are_said_where_they_stop_one_and_where_they_stop_all():
    study, read = made_study("guards", ALPHAS[::2], scores=trade_scores, seeds=(0, 1))
    some = analyse(replace(study, rule=RuleConfig(guards={"pool_map": 0.4})), read)
    assert [some.main.on_set.points[at].values["plan.alpha"] for at in some.decision.guarded] == [1.0]
    assert levels(some)["Guards"] == "fair"
    assert "stopped by a guard" in report_files(some)["report.html"]
    untrained = {"untrained": {"train.steps": 0}}

    def worse(point, seed):
        return [made_up_scores(seed, noise=0.5 if "train.steps" in point else 0.9 + point["plan.alpha"] / 4, bias=0.1)]

    every = analyse(*made_study("worse", ALPHAS[::4], scores=worse, seeds=(0, 1), controls=untrained))
    assert every.decision.none_passes
    assert title(every).startswith("No configuration passes the guards")
    assert levels(every)["Guards"] == "poor"
    assert "NO CONFIGURATION PASSES" in recommendation_line(every)


def test_two_fields_have_a_surface_with_the_decision_along_the_second(tmp_path):
    def scores(point, seed):  # larger batches want more monolingual ones
        best = 0.25 if point["plan.batch_size"] == 64 else 0.75
        return [made_up_scores(seed + 1, noise=0.7 + 0.4 * abs(point["plan.alpha"] - best), bias=0.1, num_items=30)]

    grid = [{"plan.alpha": alpha, "plan.batch_size": size} for size in (64, 4096) for alpha in (0.0, 0.25, 0.75, 1.0)]
    analysis = analyse(*made_study("grid", grid, scores=scores, seeds=(0, 1)))
    figure = surface_figure(analysis.main, analysis.decision)
    panels = [axes for axes in figure.axes if axes.get_title(loc="left")]
    assert len(panels) == 4
    for axes in panels:
        path = next(line for line in axes.lines if len(line.get_xdata()) == 2)
        assert list(path.get_xdata()) == [0.25, 0.75]
        assert list(path.get_ydata()) == pytest.approx([math.log10(64), math.log10(4096)])
        assert sum(len(line.get_xdata()) == 1 for line in axes.lines) == 8
        assert [label.get_text() for label in axes.get_yticklabels()] == ["64", "4096"]
    assert "Over both fields" in report_files(analysis)["report.html"]
    diagonal = [{"plan.alpha": alpha, "plan.batch_size": 64 + int(64 * alpha)} for alpha in (0.0, 0.25, 1.0)]
    analysis = analyse(*made_study("line", diagonal, scores=scores, seeds=(0,)))
    assert surface_figure(analysis.main, analysis.decision) is None


def test_labels_of_lines_stand_apart_in_their_order():
    assert apart(np.array([0.1, 0.5]), 0.1).tolist() == [0.1, 0.5]
    np.testing.assert_allclose(apart(np.array([0.30, 0.31, 0.32, 0.9]), 0.1), [0.21, 0.31, 0.41, 0.9])
    assert apart(np.array([]), 0.1).tolist() == []


def test_traffic_joins_the_losses_and_is_reported():
    study, read = made_study("traffic", ALPHAS[::2], scores=trade_scores, seeds=(0, 1))
    analysis = analyse(replace(study, rule=RuleConfig(traffic={"en": {"de": 1.0}, "zh": {"en": 3.0}})), read)
    assert set(analysis.decision.weights) == {"mono_map", "cross_map", "pool_map", "traffic_map"}
    assert analysis.main.draws.known
    assert "mAP of the traffic" in report_files(analysis)["report.md"]
    assert "mono, cross or pool mAP or mAP of the traffic" in recommendation_line(analysis)
    assert not any("tune.traffic" in note for note in caveats(analysis))
    some = analyse(replace(study, rule=RuleConfig(traffic={"en": {"xx": 1.0, "de": 1.0}})), read)
    assert any("does not have xx of tune.traffic" in note for note in caveats(some))
    none = analyse(replace(study, rule=RuleConfig(traffic={"en": {"xx": 1.0}})), read)
    assert "traffic_map" not in none.decision.weights
    assert any("tune.traffic takes no part" in note for note in caveats(none))


def test_words(same_words):
    """All sentences of the page of one study, and of the decisions of others."""

    def alike(point, seed):
        return [made_up_scores(1000 * seed + round(100 * point["plan.alpha"]), noise=0.8, bias=0.1, num_items=60)]

    studies = [
        with_controls(source=(0.6, 0.05)),
        with_controls(source=(0.75, 0.1)),
        analyse(*made_study("alike", ALPHAS, scores=alike, seeds=SEEDS)),
        analyse(*made_study("one", ALPHAS, scores=trade_scores)),
        analyse(*made_study("alone", ALPHAS[2:3], scores=trade_scores)),
    ]
    lines = []
    for analysis in studies:
        texts = [statement.text for statement in findings(analysis)]
        lines += [title(analysis), recommendation_line(analysis), reason(analysis), *texts, *caveats(analysis)]
    same_words("study.txt", [*lines, *Page(report_files(studies[0])["report.html"]).text])


def test_a_control_that_gives_up_less_is_said_to_and_is_still_not_recommended():
    analysis = with_controls(source=(0.6, 0.05))
    assert analysis.recommended.values == {"plan.alpha": 0.5}
    assert [control.name for control in analysis.unbeaten] == ["source language only"]
    assert levels(analysis)["Not beaten"] == levels(analysis)["Against source language only"] == "poor"
    assert recommendation_line(analysis).endswith("NOT AHEAD of source language only")


def test_a_control_that_has_come_into_the_space_takes_part(tmp_path):
    directory = write_study(tmp_path, "grown", ALPHAS[:1], scores=trade_scores, controls={"xx": OUTSIDE["xx"]})
    first = directory.read()
    assert [(trial.baseline, trial.is_control) for trial in first.trials] == [("", False), ("xx", True)]
    settings = read_run(directory.path).start["settings"]
    settings["tune"]["space"]["plan.alpha"] = [0.0, 1.0]
    directory.records.start(first.key, "grown", tags={}, settings=settings)
    second = directory.read()
    assert [trial.is_control for trial in second.trials] == [False, False]
    assert second.trials[1].point == {"plan.alpha": 1.0}


def test_in_one_language_the_numbers_that_there_are_decide(tmp_path):
    def one_language(point, seed):
        return [made_up_scores(seed, noise=0.8 - 0.3 * point["plan.alpha"], bias=0.1, langs=("en",))]

    directory = write_study(tmp_path, "en", ALPHAS[:2], scores=one_language, metric="dev/rank_distance")
    analysis = analysed(directory)
    assert set(analysis.decision.weights) == {"mono_map", "pool_map"}
    assert analysis.recommended.values == {"plan.alpha": 0.25}


def test_a_study_of_controls_alone_recommends_nothing():
    def scores(point, seed):
        return [made_up_scores(seed, noise=0.8, bias=0.1)]

    study, read = made_study("none", ALPHAS[:1], scores=scores, controls={"untrained": {"train.steps": 0}})
    analysis = analyse(replace(study, trials=study.trials[1:]), read)
    assert analysis.decision is None
    assert title(analysis) == "No recommendation"
    assert recommendation_line(analysis).startswith(
        "no recommendation: no trial ran to the end with mono, cross or pool"
    )
    for text in report_files(analysis).values():
        assert "recommended alpha" not in text


def test_the_page_needs_nothing_from_elsewhere_and_says_what_the_json_says(trade):
    analysis = analysed(trade)
    files = report_files(analysis)
    page = files["report.html"]
    assert not re.search(r"(src|href)=\"(?!data:|#)|https?://(?!www\.w3\.org)|@import|url\((?!#)", page)
    assert page.count("<svg") == 13  # the losses, and six charts a set
    tree = json.loads(files["decision.json"])
    assert tree["recommended"]["label"] == "alpha = 0.5"
    assert tree["said"]["line"] == recommendation_line(analysis)
    for point in tree["sets"]["dev"]["points"]:
        shown = f"{point['means']['pool_map']:.4f}"
        assert shown in page
        assert shown in files["report.md"]
    assert "the loss is NaN" in page
    tables = re.findall(r"(?m)(?:^\|.*\|\n)+", files["report.md"])
    assert len(tables) == 7  # two sets, losses, two baselines, languages, trials
    for table in tables:
        assert len({row.count("|") for row in table.splitlines()}) == 1
        assert set(table.splitlines()[1]) <= set("|-:")
        assert len(table.splitlines()) > 5


def test_texts_from_the_records_are_escaped(tmp_path):
    bad = "<script>alert(1)</script>"
    statuses = {(1, 0): "failed"}
    directory = write_study(tmp_path, "odd", ALPHAS[:2], scores=trade_scores, statuses=statuses, error=bad)
    assert "<script>alert(1)" not in report_files(analysed(directory))["report.html"]


def test_the_job_writes_the_report_into_the_study_or_elsewhere(trade, tmp_path, capsys):
    workspace = Path(trade.path).parents[1]
    assert report.main(["trade", "--workspace", str(workspace)]) == 0
    printed = capsys.readouterr().out
    assert "recommended alpha = 0.5" in printed
    own = {}
    for file in ("report.html", "report.md", "decision.json", "dev/pool_map.png"):
        own[file] = (Path(trade.path) / file).read_bytes()
        assert (f"{trade.path}/{file}" in printed) == (file != "dev/pool_map.png")
    assert own["report.md"].decode() == report_files(analysed(trade))["report.md"]
    report.main(["trade", "--workspace", str(workspace), "--set", "xquad_r"])
    assert "pool mAP on xquad_r" in capsys.readouterr().out
    assert (Path(trade.path) / "on-xquad_r" / "report.html").is_file()
    report.main(["trade", "--workspace", str(workspace), "--out", str(tmp_path / "out")])
    for file, content in own.items():
        assert (Path(trade.path) / file).read_bytes() == content
    assert (tmp_path / "out" / "report.html").read_bytes() == own["report.html"]


def test_a_study_that_was_moved_is_decided_alike(trade, tmp_path):
    before = report_files(analysed(trade))
    copied = tmp_path / "elsewhere" / "runs" / "trade"
    shutil.copytree(trade.path, copied)
    other = StudyDirectory(str(copied)).read()
    assert all(trial.directory.startswith(str(copied)) for trial in other.trials)
    assert all(trial.model.startswith(str(copied)) for trial in other.finished)
    assert report_files(analysed(StudyDirectory(str(copied)))) == before


def test_what_cannot_be_reported_is_said_in_one_line(trade, tmp_path):
    def error_of(*arguments, workspace=Path(trade.path).parents[1]):
        with pytest.raises(HbtError) as caught:
            report.main([*arguments, "--workspace", str(workspace), "--out", str(tmp_path)])
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "there is no study in" in error_of("tarde")
    assert "its trials have dev, xquad_r" in error_of("trade", "--set", "mlqa_r")
    assert "no answer" in error_of("--from-mlflow", "abc", "--tracking-uri", "http://127.0.0.1:9")
    assert "name either a study" in error_of()
    missing = tmp_path / "missing"
    assert "there is no study in" in error_of("trade", workspace=missing)
    assert not missing.exists()
    failed = {(at, 0): "failed" for at in range(2)}
    write_study(tmp_path, "empty", ALPHAS[:2], scores=trade_scores, statuses=failed)
    assert "no finished trial with scores (2 failed)" in error_of("empty", workspace=tmp_path)
