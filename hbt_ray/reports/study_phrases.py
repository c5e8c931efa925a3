"""What is said of controls and of what would settle a decision, and the pieces of its other sentences."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hbt_ray.config.headline import METRICS
from hbt_ray.kit.prose import listed, number
from hbt_ray.stats.compare import Difference
from hbt_ray.study.analysis import Control, SetAnalysis, StudyAnalysis
from hbt_ray.study.decision import MAX_SEEDS, Decision, Outlook

MORE_SEEDS = "train at least 3 seeds a point (tune.seeds)"


class Finding(NamedTuple):
    """One line of the summary; `level` is good, fair, poor or plain."""

    topic: str
    level: str
    text: str


def signed(metric: str, value: float) -> str:
    """A difference with its sign; a dash for NaN."""
    return number(metric, value) if np.isnan(value) else f"{'+' if value > 0 else ''}{number(metric, value)}"


def named(row: Difference) -> str:
    """`mAP in the pool (+0.0130)`."""
    return f"{in_sentence(row.metric)} ({signed(row.metric, row.difference)})"


def in_sentence(metric: str) -> str:
    """A number's name in the middle of a sentence."""
    name = METRICS[metric][0]
    return name if name.startswith("mAP") else name[0].lower() + name[1:]


def label_of(main: SetAnalysis, at: int) -> str:
    """A point for readers."""
    return main.on_set.points[at].label


def price_of_rule(analysis: StudyAnalysis) -> Finding | None:
    """The point that would be best in the target but for the rule, and what it loses; None where there is none."""
    decision = analysis.decision
    if decision is None or not decision.forgone:
        return None
    at, best = next(iter(decision.forgone.items()))
    loss = decision.mono_tests[at]
    return Finding(
        "Left by the rule",
        "fair",
        f"{label_of(analysis.main, at)} is better in {named(best)}, and out of the choice for "
        f"{named(loss)} against the best. Where that trade suits you, take it instead.",
    )


def not_beaten(analysis: StudyAnalysis) -> Finding | None:
    """The controls outside of the choice that the recommended point is not ahead of; None where there are none."""
    decision = analysis.decision
    tested = [control for control in analysis.unbeaten if _verdict(analysis, control) != "unknown"]
    if decision is None or not tested:
        return None
    label = METRICS[decision.target][0]
    won = [control.title for control in tested if control in analysis.winners]
    level = [control.title for control in tested if control not in analysis.winners]
    parts = [f"{listed(won)} {'is' if len(won) == 1 else 'are'} ahead of it in {label}, beyond chance"] if won else []
    if level:
        parts.append(f"it cannot be told from {listed(level)} in {label}")
    text = f"The best point of the search does not beat every control: {'; '.join(parts)}."
    if won:
        text += (
            " Ship it only for what it gains elsewhere: a control is no point of this search, and is not recommended."
        )
    return Finding("Not beaten", "poor" if won else "fair", text)


def _verdict(analysis: StudyAnalysis, control: Control) -> str:
    row = control.differences.get(analysis.target)
    return "unknown" if row is None else row.verdict


def against(analysis: StudyAnalysis, control: Control) -> Finding:
    """The recommended point against one baseline."""
    rows = list(control.differences.values())
    better = [named(row) for row in rows if row.better]
    worse = [named(row) for row in rows if row.worse]
    open_rows = [named(row) for row in rows if not row.significant]
    label = label_of(analysis.main, control.at)
    topic = f"Against {control.name}"
    if rows[0].verdict == "unknown":
        return Finding(topic, "plain", f"Seen, not tested, against {label}: {listed(open_rows)}.")
    parts = []
    if better:
        parts.append(f"better than {label} in {listed(better)}")
    if worse:
        parts.append(f"worse{'' if better else f' than {label}'} in {listed(worse)}")
    text = f"It is {'; '.join(parts)}" if parts else f"Nothing is more than chance against {label}"
    if open_rows:
        text += f"; the rest is noise: {listed(open_rows)}" if parts else f": {listed(open_rows)}"
    level = "good" if better and not worse else "poor" if worse and not better else "fair" if better else "plain"
    return Finding(topic, level, text + ".")


def settles(analysis: StudyAnalysis) -> str:
    """What would tell the recommended point from the nearest that it cannot be told from."""
    decision = analysis.decision
    assert decision is not None
    if not decision.outlook:
        return f"how many seeds would settle it cannot be told from one seed; {MORE_SEEDS}"
    return _settles_one(analysis, decision, decision.outlook[0])


def _settles_one(analysis: StudyAnalysis, decision: Decision, outlook: Outlook) -> str:
    if outlook.seeds is not None:
        more = max(outlook.seeds - decision.num_seeds, 1)
        return f"about {more} more seed{'s' * (more > 1)} a point would settle it"
    num = analysis.main.on_set.num_questions
    if outlook.questions is not None and outlook.questions > num > 0:
        return f"more seeds alone would not settle it, about {outlook.questions:,} questions might ({num:,} now)"
    return f"more than {MAX_SEEDS} seeds a point would be needed, so take either"


def outlook_text(analysis: StudyAnalysis) -> str:
    """`settles` as sentences, with what the estimate rests on."""
    decision = analysis.decision
    assert decision is not None
    said = settles(analysis)
    if not decision.outlook:
        return f"{said[0].upper()}{said[1:]}."
    at, nearest = next(iter(decision.open_rivals.items()))
    sd = number(decision.target, decision.seed_sd)
    return (
        f"{said[0].upper()}{said[1:]}: an estimate for 80% power at the 5% level, if the true difference to "
        f"{label_of(analysis.main, at)} is the {number(decision.target, abs(nearest.difference))} seen "
        f"here; the standard deviation between seeds of a point is {sd}."
    )
