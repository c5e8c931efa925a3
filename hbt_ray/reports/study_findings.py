"""The summary of a study's decision: statements, each with a level."""

from __future__ import annotations

from hbt_ray.config.headline import ABOUT
from hbt_ray.config.rule import THREE
from hbt_ray.kit.prose import Level, Statement, capital, listed, lower, number, share, signed, some
from hbt_ray.languages import code_and_name
from hbt_ray.reports.study_wording import incomplete, label, labels, numbers, rivals, to_settle
from hbt_ray.stats.compare import Difference
from hbt_ray.study.analysis import Control, StudyAnalysis
from hbt_ray.study.decision import Decision

FEW = 2
"""Configurations that a guard stops, up to which each has a sentence of its own."""
PLACES = {"pool_map": "in the pool", "mono_map": "inside the language"}


def findings(analysis: StudyAnalysis) -> list[Statement]:
    """The summary, the certainty first."""
    decision = analysis.decision
    if decision is None:
        return []
    statements = (
        _sure(analysis, decision),
        _guards(analysis, decision),
        _not_beaten(analysis, decision),
        _outlook(analysis, decision),
        *(_against(analysis, decision, control) for control in analysis.controls),
        _xx_missing(analysis, decision),
        _languages(analysis, decision),
    )
    return [statement for statement in statements if statement]


def _sure(analysis: StudyAnalysis, decision: Decision) -> Statement:
    level, text = _certainty(analysis, decision)
    if decision.left_out:
        level, text = "poor", f"Not complete: {incomplete(analysis, decision)}. Of the others: {lower(text)}"
    return Statement("How sure", level, text)


def _certainty(analysis: StudyAnalysis, decision: Decision) -> tuple[Level, str]:
    """How sure the recommendation is among those that take part."""
    if decision.state == "alone":
        return "plain", "There is nothing to choose from: no other configuration takes part."
    if not analysis.main.draws.known:
        return "poor", (
            "Nobody can say: each configuration was trained with one seed and recorded without scores by question, so "
            "no difference can be tested. This is the best of single runs."
        )
    nearest = decision.others[0]
    gap = max(decision.worst[nearest] - decision.worst[decision.recommended], 0)
    chance = (
        f"the nearest, {label(analysis, nearest)}, gives up {_points(gap)} more, and chance alone makes differences"
    )
    chance += f" of up to {_points(decision.reach)} (95%)"
    drawn = listed(["seeds"] * decision.seeds_known + ["questions"] * analysis.main.on_set.by_question)
    lead = f"With other {drawn} it would give up least in {decision.lead:.0%} of the cases."
    if decision.state == "clear":
        return "good", f"Clear: {chance}. {lead}"
    others = rivals(decision)
    may = f"{labels(analysis, others)} may be as good" if others else "no other may be as good"
    if decision.state == "unknown":
        return "fair", f"Not known: other seeds may come out otherwise. As far as the questions tell, {may}. {lead}"
    return "fair", f"Not settled: {may}; {chance}. {lead}"


def _guards(analysis: StudyAnalysis, decision: Decision) -> Statement | None:
    """What the guards stop, and why."""
    rule, parts = analysis.study.rule, []
    if len(decision.guarded) > FEW:
        parts.append(f"{labels(analysis, decision.guarded)} give up more than tune.guards tolerates")
    else:
        for at, losses in decision.guarded.items():
            lost = [f"{share(loss)} of {lower(ABOUT[name][0])}" for name, loss in losses.items()]
            parts.append(f"{label(analysis, at)} gives up {listed(lost)}, more than tune.guards tolerates")
    below = f"more than {rule.base_guard:.0%} below the untrained base in"
    if len(decision.below_base) > FEW:
        parts.append(f"{labels(analysis, decision.below_base)} are {below} {numbers(THREE)}")
    else:
        for at, rows in decision.below_base.items():
            lost = [f"{lower(ABOUT[name][0])} ({number(name, row.b)})" for name, row in rows.items()]
            parts.append(f"{label(analysis, at)} is {below} {listed(lost)}")
    if not parts:
        return None
    text = f"{capital('; '.join(parts))}."
    if decision.none_passes:
        text += " No configuration passes, so the least worst is named: it is no model to ship."
    return Statement("Guards", "poor" if decision.none_passes else "fair", text)


def _not_beaten(analysis: StudyAnalysis, decision: Decision) -> Statement | None:
    """What is never recommended, and gives up no more than what is."""
    if not analysis.unbeaten:
        return None
    parts = [f"{control.title} gives up {share(max(decision.worst[control.at], 0))}" for control in analysis.unbeaten]
    text = f"{capital(listed(parts))}, no more than the recommended configuration, and is never recommended itself."
    return Statement("Not beaten", "poor", text)


def _outlook(analysis: StudyAnalysis, decision: Decision) -> Statement | None:
    """What would settle the decision, and what the estimate rests on."""
    if decision.state not in ("open", "unknown"):
        return None
    text = capital(to_settle(analysis, decision))
    if decision.seeds_needed or decision.questions_needed:
        text += ": an estimate by which four studies of five would be clear, if the differences are those seen here"
    return Statement("To settle it", "plain", f"{text}.")


def _against(analysis: StudyAnalysis, decision: Decision, control: Control) -> Statement:
    """The recommended configuration against one other."""
    rows, other, topic = control.differences.values(), label(analysis, control.at), f"Against {control.name}"
    better, worse = ([_named(row) for row in rows if row.verdict == verdict] for verdict in ("better", "worse"))
    others = [_named(row) for row in rows if not row.significant]
    rest = f": {listed(others)}" if others else ""
    if all(row.verdict == "unknown" for row in rows):
        return Statement(topic, "plain", f"Not tested against {other}; seen in single runs{rest}.")
    scope = "" if decision.seeds_known else "Over questions, other seeds not tested: "
    if not better and not worse:
        return Statement(
            topic, "plain", f"{scope}{'no' if scope else 'No'} difference to {other} is significant{rest}."
        )
    parts = [f"better than {other} in {listed(better)}"] if better else []
    parts += [f"worse {'' if better else f'than {other} '}in {listed(worse)}"] if worse else []
    parts += [f"not significant{rest}"] if others else []
    text = "; ".join(parts) + "."
    if scope:
        return Statement(topic, "plain", f"{scope}{text}")
    return Statement(topic, "fair" if better and worse else "good" if better else "poor", capital(text))


def _xx_missing(analysis: StudyAnalysis, decision: Decision) -> Statement | None:
    if analysis.base == decision.recommended:
        return Statement("Against X-X", "plain", "The recommended configuration is X-X itself.")
    if analysis.base is None:
        text = "The study has no X-X baseline (plan.alpha = 1), so gains over it are not known."
        return Statement("Against X-X", "plain", text)
    return None


def _languages(analysis: StudyAnalysis, decision: Decision) -> Statement | None:
    """How many languages gain and lose against the X-X baseline."""
    if decision.recommended not in analysis.gains:
        return None
    parts, verdicts = [], set()
    for metric, rows in analysis.gains[decision.recommended].items():
        verdicts |= {row.verdict for row in rows.values()}
        if "unknown" in verdicts:
            higher = sum(row.difference > 0 for row in rows.values())
            parts.append(f"{PLACES[metric]}, {higher} of {len(rows)} are higher")
            continue
        gain = sum(row.better for row in rows.values())
        lose = sorted((lang for lang, row in rows.items() if row.worse), key=lambda lang: rows[lang].difference)
        named = f" ({some([code_and_name(lang) for lang in lose])})" if lose else ""
        parts.append(f"{PLACES[metric]}, {gain or 'none'} of {len(rows)} gain and {len(lose) or 'none'} lose{named}")
    known, seeds = "unknown" not in verdicts, decision.seeds_known
    seen = "Significant changes" if known and seeds else "Over questions, changes" if known else "Seen, not tested,"
    level: Level = "fair" if "worse" in verdicts else "good" if "better" in verdicts else "plain"
    level = level if seeds else "plain"
    return Statement("Languages", level, f"{seen} against X-X: {'; '.join(parts)}.")


def _named(row: Difference) -> str:
    return f"{lower(ABOUT[row.metric][0])} ({signed(row.metric, row.difference)})"


def _points(difference: float) -> str:
    """A difference of losses: `3.0 points`."""
    return f"{100 * difference:.1f} points"
