"""What is said of controls, and the pieces that other sentences of a decision are made of."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hbt_ray.evaluation.wording import METRICS, listed, number
from hbt_ray.tuning.analysis import Control, SetAnalysis, StudyAnalysis
from hbt_ray.tuning.decision import Versus


class Finding(NamedTuple):
    """One line of the summary; `level` is good, fair, poor or plain."""

    topic: str
    level: str
    text: str


def signed(metric: str, value: float) -> str:
    """A difference with its sign; a dash for NaN."""
    return number(metric, value) if np.isnan(value) else f"{'+' if value > 0 else ''}{number(metric, value)}"


def named(row: Versus) -> str:
    """`mAP in the mix (+0.0130)`."""
    name = METRICS[row.metric][0]
    name = name if name.startswith("mAP") else name[0].lower() + name[1:]
    return f"{name} ({signed(row.metric, row.difference)})"


def label_of(main: SetAnalysis, at: int) -> str:
    """A point for readers."""
    return main.on_set.points[at].label


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
    row = control.versus(analysis.target)
    return "unknown" if row is None else row.verdict


def against(analysis: StudyAnalysis, control: Control) -> Finding:
    """The recommended point against one baseline."""
    better = [named(row) for row in control.differences if row.better]
    worse = [named(row) for row in control.differences if row.worse]
    open_rows = [named(row) for row in control.differences if row.verdict != "real"]
    label = label_of(analysis.main, control.at)
    topic = f"Against {control.name}"
    if control.differences[0].verdict == "unknown":
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
