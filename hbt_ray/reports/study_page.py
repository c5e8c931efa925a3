"""The decision report: one HTML page that needs nothing but a browser, the same as Markdown and as JSON."""

from __future__ import annotations

from typing import Any

import numpy as np

from hbt_ray.config.headline import ABOUT
from hbt_ray.kit.figures import figure_png, figure_svg
from hbt_ray.kit.page import render
from hbt_ray.reports.study_charts import Chart, charts, losses_figure
from hbt_ray.reports.study_findings import findings
from hbt_ray.reports.study_json import report_tree
from hbt_ray.reports.study_surface import surface_figure
from hbt_ray.reports.study_wording import caveats, numbers, reason, recommendation_line, title
from hbt_ray.storage import json_text
from hbt_ray.study.analysis import SetAnalysis, StudyAnalysis
from hbt_ray.study.trials import FOUR, shown

HTML, MARKDOWN, JSON = "report.html", "report.md", "decision.json"
"""Names of the artifacts of a study's run."""
PICTURE = "What each configuration gives up of the best, by number"


def report_files(analysis: StudyAnalysis) -> dict[str, str]:
    """File name -> text of the three forms of the report."""
    context = _context(analysis)
    return {
        HTML: render("hbt_ray.reports", "study.html.j2", **context),
        MARKDOWN: render("hbt_ray.reports", "study.md.j2", **context),
        JSON: json_text(report_tree(analysis)),
    }


def _context(analysis: StudyAnalysis) -> dict[str, Any]:
    decision = analysis.decision
    chosen = None if decision is None else decision.recommended
    return {
        "study": analysis.study,
        "analysis": analysis,
        "decision": decision,
        "chosen": chosen,
        "main": analysis.main,
        "title": title(analysis),
        "line": recommendation_line(analysis),
        "reason": reason(analysis),
        "findings": findings(analysis),
        "caveats": caveats(analysis),
        "facts": _facts(analysis),
        "metrics": ABOUT,
        "four": [metric for metric in FOUR if metric in analysis.main.on_set.metrics],
        "picture": figure_svg(losses_figure(analysis.main, decision), PICTURE) if decision else "",
        "surface": _surface(analysis),
        "charts": [(scored, _charts(analysis, scored)) for scored in analysis.sets],
        "chosen_in": {scored.on_set.name: chosen_on(analysis, scored) for scored in analysis.sets},
        "shown": shown,
        "numbers": numbers(decision.weights) if decision else "",
        "rule": analysis.study.rule,
        "places": _places(analysis),
        "by_loss": np.argsort(decision.worst, kind="stable").tolist() if decision else [],
        "gain_scale": _gain_scale(analysis),
        "has_known": analysis.main.draws.known,
    }


def _surface(analysis: StudyAnalysis) -> str:
    """The surface of a study of two fields; empty for any other."""
    figure = surface_figure(analysis.main, analysis.decision) if analysis.decision else None
    return figure_svg(figure, "Each number over the two fields that were varied") if figure else ""


def _charts(analysis: StudyAnalysis, scored: SetAnalysis) -> list[tuple[Chart, str]]:
    """Each chart with its drawing for a page."""
    drawn = charts(scored, chosen_on(analysis, scored)).values()
    return [(chart, figure_svg(chart.figure, f"{chart.heading}, {chart.note}")) for chart in drawn]


def chart_files(analysis: StudyAnalysis) -> dict[str, bytes]:
    """`SET/CHART.png` -> the chart, with its heading."""
    files = {}
    for scored in analysis.sets:
        for name, chart in charts(scored, chosen_on(analysis, scored)).items():
            chart.figure.suptitle(f"{chart.heading} ({chart.note})", fontsize=10)
            files[f"{scored.on_set.name}/{name}.png"] = figure_png(chart.figure)
    main, decision = analysis.main, analysis.decision
    if decision is not None:
        files[f"{main.on_set.name}/losses.png"] = figure_png(losses_figure(main, decision))
        if surface := surface_figure(main, decision):
            files[f"{main.on_set.name}/surface.png"] = figure_png(surface)
    return files


def chosen_on(analysis: StudyAnalysis, scored: SetAnalysis) -> int | None:
    """Position of the recommended point among those of another set; None where it is not scored there."""
    point = analysis.recommended
    if point is None:
        return None
    same = [point.control, point.values]
    return next((at for at, other in enumerate(scored.on_set.points) if [other.control, other.values] == same), None)


def _places(analysis: StudyAnalysis) -> dict[int, str]:
    """Point -> what became of it in the choice."""
    decision = analysis.decision
    if decision is None:
        return {}
    places = {at: "compared only" for at, point in enumerate(analysis.main.on_set.points) if not point.eligible}
    places |= dict.fromkeys(decision.left_out, "trials failed or were stopped")
    places |= dict.fromkeys([*decision.guarded, *decision.below_base], "stopped by a guard")
    unknown = decision.state == "unknown"
    for at in decision.others:
        places[at] = "not tested" if unknown else "may be as good" if at in decision.confidence_set else "behind"
    return places | {decision.recommended: "recommended"}


def _facts(analysis: StudyAnalysis) -> dict[str, str]:
    study, on_set = analysis.study, analysis.main.on_set
    varied = {name for trial in study.trials for name in trial.point if not trial.is_control}
    seeds = sorted({trial.seed for trial in study.finished})
    facts = {
        "study": study.name,
        "varied": ", ".join(sorted(varied)) or "nothing",
        "configurations": f"{sum(point.eligible for point in on_set.points)}",
        "compared only": ", ".join(point.label for point in on_set.points if not point.eligible) or "none",
        "seeds": f"{len(seeds)} (named {', '.join(map(str, seeds))})",
        "trials": f"{len(study.finished)} finished of {len(study.trials)}",
        "decided on": on_set.name,
        "languages": f"{len(on_set.langs)}" if on_set.langs else "not recorded",
        "questions": f"{on_set.num_questions:,}" if on_set.by_question else "not recorded one by one",
    }
    names = {
        "model.base": "base model",
        "train.steps": "steps",
        "plan.batch_size": "batch",
        "train.lr": "learning rate",
    }
    fixed = [name for name in names if name not in varied and name in study.config]
    return facts | {names[name]: shown(study.config[name]) for name in fixed}


def _gain_scale(analysis: StudyAnalysis) -> float:
    """The largest gain or end of an interval of the recommended point, at least a thousandth."""
    decision = analysis.decision
    gains = {} if decision is None else analysis.gains.get(decision.recommended, {})
    ends = [abs(end) for rows in gains.values() for row in rows.values() for end in (row.difference, row.low, row.high)]
    return max([end for end in ends if not np.isnan(end)], default=1e-3) or 1e-3
