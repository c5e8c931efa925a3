"""The paper's claims on a study as Markdown with plots and as JSON, to be kept with the documentation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hbt_ray.kit.figures import figure_png
from hbt_ray.kit.prose import number, p_text
from hbt_ray.reports.study_phrases import signed
from hbt_ray.retrieval.scoring.wording import METRICS
from hbt_ray.study.analysis import SetAnalysis, StudyAnalysis
from hbt_ray.study.claims import OVERALL, Claims, Part, judge
from hbt_ray.study.trials import FOUR, NO_MIX, shown
from hbt_ray.tracking.naming import json_text

MARKDOWN, JSON = "claims.md", "claims.json"
SETTINGS = {
    "model.base": "base model",
    "train.steps": "steps",
    "plan.batch_size": "pairs a batch",
    "train.lr": "learning rate",
    "model.temperature": "temperature",
    "corpus.max_query_tokens": "tokens of a question",
    "corpus.max_passage_tokens": "tokens of a passage",
}
COLOURS = {"X-X": "#3b6fb6", "X-Y": "#d9822b", "hybrid": "#3a923a"}
OTHER = "#777777"


def claims_files(analysis: StudyAnalysis) -> dict[str, bytes]:
    """File name -> contents: `claims.md`, `claims.json`, and a figure a set."""
    judged = [(found, judge(found)) for found in analysis.sets]
    files = {
        MARKDOWN: _markdown(analysis, judged).encode(),
        JSON: json_text({claims.name: _tree(found, claims) for found, claims in judged}).encode(),
    }
    return files | {_figure_name(claims): figure_png(claims_figure(found, claims)) for found, claims in judged}


def _figure_name(claims: Claims) -> str:
    return f"claims-{claims.name}.png"


def _tree(found: SetAnalysis, claims: Claims) -> dict[str, Any]:
    points = found.on_set.points
    return {
        "trainings": {role: points[at].label for role, at in claims.places.items()},
        "claims": [asdict(claim) for claim in claims.claims],
        "notes": list(claims.notes),
    }


def _markdown(analysis: StudyAnalysis, judged: list[tuple[SetAnalysis, Claims]]) -> str:
    lines = [f"# {analysis.study.name}: the claims of arXiv 2408.10536", ""]
    lines += _table(["setting", "value"], [[name, value] for name, value in _settings(analysis).items()])
    names = [claims.name for _, claims in judged]
    rows = [
        [claim.text, *(f"**{claims.claims[at].verdict}**" for _, claims in judged)]
        for at, claim in enumerate(judged[0][1].claims)
    ]
    lines += ["", "## Verdicts", "", *_table(["claim", *(f"on {name}" for name in names)], rows)]
    for found, claims in judged:
        lines += ["", f"## {claims.name}", "", *_points(found, claims), ""]
        lines += [f"![the trainings on {claims.name}]({_figure_name(claims)})", ""]
        lines += [*_table(["claim", "comparison", "difference", "95% interval", "p (Holm)", "verdict"], _parts(claims))]
        if claims.notes:
            lines += ["", *(f"- {note}" for note in claims.notes)]
    return "\n".join([*lines, "", HOW])


HOW = """\
## How this was judged

A claim holds where each of its comparisons comes out as claimed beyond chance, it does not hold where one comes out the
other way beyond chance, and is not resolved in between. Chance is other questions (drawn again with replacement, the
same for all trials) and other seeds (a deviation from Student's t with the spread between seeds, pooled over the
trainings); p values are corrected by Holm for all comparisons on a set. Overall mAP is the mean of mAP inside a
language, across languages and in the pool. The hybrid is the one with alpha nearest to 0.5, not the one that came out
best. That a model is best *only* in one respect is read as: there it is better than its opposite, and elsewhere worse,
by the comparisons that the table names.
"""


def _settings(analysis: StudyAnalysis) -> dict[str, str]:
    study, main = analysis.study, analysis.main
    varied = {name for trial in study.trials for name in trial.point}
    found = {
        label: shown(study.config[name])
        for name, label in SETTINGS.items()
        if name in study.config and name not in varied
    }
    if "base model" in found and found["base model"].startswith(("/", "~", ".")):  # where it lay is nobody's business
        found["base model"] = found["base model"].rstrip("/").rsplit("/", 1)[-1]
    found["languages trained"] = ", ".join(study.config.get("corpus.langs") or ["all of the corpus"])
    seeds = sorted({trial.seed for trial in study.finished})
    return found | {
        "seeds": ", ".join(map(str, seeds)),
        "trials": f"{len(study.finished)} finished of {len(study.trials)}",
        "languages scored": ", ".join(main.on_set.langs) or "not recorded",
        "questions": f"{main.on_set.num_questions:,} on {main.on_set.name}, with their parallel forms"
        if main.on_set.by_question
        else "not recorded by question",
    }


def _points(found: SetAnalysis, claims: Claims) -> list[str]:
    on_set = found.on_set
    metrics = [metric for metric in FOUR if metric in on_set.metrics]
    rows = []
    for at in _shown(found, claims):
        point = on_set.points[at]
        cells = []
        for metric in metrics:
            low, high = found.intervals[metric][at]
            cell = number(metric, float(point.means[on_set.at(metric)]))
            cells.append(cell if np.isnan(low) else f"{cell} ({number(metric, low)} to {number(metric, high)})")
        rows.append([_name(found, claims, at), str(point.num_seeds), *cells])
    return _table(["training", "seeds", *(METRICS[metric][0] for metric in metrics)], rows)


def _shown(found: SetAnalysis, claims: Claims) -> list[int]:
    """The controls of no alpha, then the trainings by alpha."""
    points = found.on_set.points
    controls = [at for at, point in enumerate(points) if point.control in NO_MIX]
    order = [claims.places[role] for role in ("X-Y", "hybrid", "X-X") if role in claims.places]
    return [*reversed(controls), *order]


def _name(found: SetAnalysis, claims: Claims, at: int) -> str:
    point = found.on_set.points[at]
    role = next((role for role, place in claims.places.items() if place == at), "")
    return f"{role} ({point.label})" if role and not point.control else point.label


def _parts(claims: Claims) -> list[list[str]]:
    return [
        [
            claim.text if part is claim.parts[0] else "",
            f"{_label(part.metric)}: {part.better} {_relation(part)} {part.other}",
            _signed(part, part.difference),
            "–" if np.isnan(part.low) else f"{_signed(part, part.low)} to {_signed(part, part.high)}",
            p_text(part.p_holm),
            part.verdict,
        ]
        for claim in claims.claims
        for part in claim.parts
    ]


def _relation(part: Part) -> str:
    return "below" if part.metric == "rank_distance" else "above"


def _label(metric: str) -> str:
    return "mAP overall" if metric == OVERALL else METRICS[metric][0]


def _signed(part: Part, value: float) -> str:
    return signed("pool_map" if part.metric == OVERALL else part.metric, value)


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]


def claims_figure(found: SetAnalysis, claims: Claims) -> Figure:
    """The four numbers of the trainings and the controls, with 95% intervals and a dot a seed."""
    metrics = [metric for metric in FOUR if metric in found.on_set.metrics]
    figure = Figure(figsize=(3.1 * len(metrics), 3.4), layout="constrained")
    roles = {at: role for role, at in claims.places.items()}
    for axes, metric in zip(np.atleast_1d(figure.subplots(1, len(metrics))), metrics, strict=True):
        _panel(axes, found, metric, _shown(found, claims), roles)
    return figure


def _panel(axes: Axes, found: SetAnalysis, metric: str, places: list[int], roles: Mapping[int, str]) -> None:
    on_set = found.on_set
    for x, at in enumerate(places):
        point = on_set.points[at]
        mean, (low, high) = float(point.means[on_set.at(metric)]), found.intervals[metric][at]
        colour = COLOURS.get(roles.get(at, ""), OTHER)
        if not np.isnan(low):
            axes.errorbar(x, mean, [[max(mean - low, 0)], [max(high - mean, 0)]], color=colour, capsize=4, lw=1.5)
        axes.plot(x, mean, "o", color=colour, ms=7)
        if point.num_seeds > 1:
            axes.plot([x - 0.22] * point.num_seeds, point.numbers[:, on_set.at(metric)], ".", color=colour, alpha=0.5)
    names = [roles.get(at) or on_set.points[at].label for at in places]
    axes.set_xticks(range(len(places)), names, rotation=25, ha="right", fontsize=9)
    axes.set_xlim(-0.6, len(places) - 0.4)
    better = "lower is fairer" if metric == "rank_distance" else "higher is better"
    axes.set_title(f"{METRICS[metric][0]}\n{better}", fontsize=10)
    axes.grid(axis="y", alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
