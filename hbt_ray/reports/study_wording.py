"""The decision of a study in plain words."""

from __future__ import annotations

from collections.abc import Iterable

from hbt_ray.config.headline import METRICS
from hbt_ray.kit.prose import Level, Statement, capital, listed, lower, number, signed, some
from hbt_ray.languages import code_and_name
from hbt_ray.stats.compare import Difference
from hbt_ray.study.analysis import Control, StudyAnalysis
from hbt_ray.study.decision import GUARD, MAX_SEEDS, Decision

MORE_SEEDS = "train at least 3 seeds per point (tune.seeds)"
ENDS = {
    "failed": "failed",
    "killed": "were killed",
    "running": "have not ended",
    "stopped": "were stopped early as weak, and are not compared",
}
"""Status of trials that readers should know of -> its words."""
PLACES = {"pool_map": "in the pool", "mono_map": "inside the language"}


def title(analysis: StudyAnalysis) -> str:
    """`Recommended: alpha = 0.5`."""
    decision, point = analysis.decision, analysis.recommended
    if decision is None or point is None:
        return "No recommendation"
    if analysis.winners:
        return f"No point beats {_titles(analysis.winners)}; best of the search: {point.label}"
    if decision.left_out:
        return f"Not complete: {point.label} leads the points whose trials all finished"
    if decision.state == "unknown":
        return f"Best of single runs: {point.label}"
    if decision.state == "noise":
        return f"Not settled: {point.label} leads" + (" within the noise" if _all_noise(decision) else "")
    return f"Recommended: {point.label}"


def recommendation_line(analysis: StudyAnalysis) -> str:
    """The decision as the last line that a job prints."""
    decision, point, name = analysis.decision, analysis.recommended, analysis.main.on_set.name
    if decision is None or point is None:
        return f"no recommendation: no trial ran to the end with a score for {name}/{analysis.target}"
    target, num_allowed = f"{name}/{decision.target}", len(decision.rivals) + 1
    best = "best " if num_allowed > 1 or not decision.excluded else ""
    line = f"recommended {point.label}: {best}mean {target} = {_value(analysis, decision.recommended, decision.target)}"
    if num_allowed > 1:
        line += f" of {num_allowed} points whose {name}/{GUARD} is not significantly below the best"
    line += f", {_seeds(decision)}; {_how_sure(analysis, decision)}"
    for at, row in list(decision.forgone.items())[:1]:
        line += f" ({_label(analysis, at)}: {signed(row.metric, row.difference)} in {target})"
    if analysis.unbeaten and decision.state != "unknown":
        line += f"; NOT AHEAD of the controls: {_titles(analysis.unbeaten)}"
    if decision.left_out:
        line += f"; NOT COMPLETE: {_incomplete(analysis, decision)}"
    return line


def _how_sure(analysis: StudyAnalysis, decision: Decision) -> str:
    taking_part = " that takes part" if decision.left_out else ""
    if decision.state == "alone" and decision.excluded:
        return f"every other point{taking_part} is significantly worse inside a language"
    if decision.state == "alone":
        return f"the only point{taking_part}"
    if decision.state == "unknown":
        return f"single runs do not show how sure that is: {MORE_SEEDS}"
    if decision.state == "clear":
        return "significantly better than each of them" + ("" if decision.seeds_known else " (other seeds not tested)")
    return f"not significantly better than {_labels(analysis, decision.open_rivals)}: {_to_settle(analysis, decision)}"


def reason(analysis: StudyAnalysis) -> str:
    """Why this point, in one or two sentences."""
    decision, name = analysis.decision, analysis.main.on_set.name
    if decision is None:
        return f"No trial ran to the end with a score for {METRICS[analysis.target][0]} on {name}."
    label, value = lower(METRICS[decision.target][0]), _value(analysis, decision.recommended, decision.target)
    if not decision.rivals and not decision.excluded:
        which = "whose trials all finished" if decision.left_out else "of the study"
        return f"It is the only point {which}, with {_seeds(decision)}: {label} {value} on {name}."
    if decision.rivals:
        text = f"It has the best {label} on {name}, {value}, of the {len(decision.rivals) + 1} points whose"
    else:
        text = f"Its {label} on {name} is {value}. It is the only point whose"
    have = "is not significantly" if decision.state != "unknown" else "is not shown to be"
    best = f"{_value(analysis, decision.best_mono, GUARD)}, {_label(analysis, decision.best_mono)}"
    text += f" {METRICS[GUARD][0]} {have} below the best ({best})."
    if decision.excluded:
        verb = "is" if len(decision.excluded) == 1 else "are"
        text += f" {_labels(analysis, decision.excluded)} {verb} significantly below it and cannot be chosen."
    return text


def findings(analysis: StudyAnalysis) -> list[Statement]:
    """The summary, the certainty first."""
    decision = analysis.decision
    if decision is None:
        return []
    statements = (
        _sure(analysis, decision),
        _not_beaten(analysis, decision),
        _price_of_rule(analysis, decision),
        _outlook(analysis, decision),
        *(_against(analysis, control) for control in analysis.controls),
        _xx_missing(analysis, decision),
        _languages(analysis, decision),
    )
    return [statement for statement in statements if statement]


def _sure(analysis: StudyAnalysis, decision: Decision) -> Statement:
    level, text = _certainty(analysis, decision)
    if decision.left_out:
        level, text = "poor", f"Not complete: {_incomplete(analysis, decision)}. Of the others: {lower(text)}"
    return Statement("How sure", level, text)


def _certainty(analysis: StudyAnalysis, decision: Decision) -> tuple[Level, str]:
    """How sure the recommendation is among the points that take part."""
    if decision.state == "unknown":
        return "poor", (
            "Nobody can say: each point was trained with one seed and recorded without scores by question, so no "
            "difference can be tested. This is the best of single runs."
        )
    limits = "" if decision.seeds_known else f" That holds for these models, not for other seeds; {MORE_SEEDS}."
    if decision.state == "alone" and decision.excluded:
        return "good", f"Sure, by the rule: every other point is significantly worse inside a language.{limits}"
    if decision.state == "alone":
        return "plain", "There is nothing to choose from: no other point takes part."
    at, row = next(iter(decision.rivals.items()))
    nearest, ends = _label(analysis, at), f"{signed(row.metric, row.low)} to {signed(row.metric, row.high)}"
    difference = f"{nearest}, is {signed(row.metric, row.difference)} (95% interval {ends})"
    if decision.state == "clear":
        num = len(decision.rivals)
        others = "the other point" if num == 1 else f"each of the {num} other points"
        text = f"Sure: it is significantly better than {others} that can be chosen"
        text += f"; the difference to the nearest, {difference}.{limits}"
        return "good" if decision.seeds_known else "fair", text
    scope = "No difference between the points is significant" if _all_noise(decision) else "Not sure"
    drawn = listed(["seeds"] * decision.seeds_known + ["questions"] * analysis.main.on_set.by_question)
    text = f"{scope}: it is not significantly better than {_labels(analysis, decision.open_rivals)}. "
    text += f"The difference to the nearest, {difference}; with other {drawn} it would lead in {decision.lead:.0%} of "
    return "fair", f"{text}the cases.{limits}"


def _not_beaten(analysis: StudyAnalysis, decision: Decision) -> Statement | None:
    """The controls outside of the choice that the recommended point is not ahead of."""
    label, ahead = METRICS[decision.target][0], analysis.winners
    level = [c for c in analysis.unbeaten if c.differences[decision.target].verdict == "not significant"]
    parts = []
    if ahead:
        parts.append(f"{_titles(ahead)} {'is' if len(ahead) == 1 else 'are'} significantly better in {label}")
    if level:
        parts.append(f"it is not significantly better than {_titles(level)} in {label}")
    if not parts:
        return None
    advice = " Controls are never recommended. Ship this model only if you value its other gains." if ahead else ""
    text = f"The best point of the search does not beat every control: {'; '.join(parts)}.{advice}"
    return Statement("Not beaten", "poor" if ahead else "fair", text)


def _price_of_rule(analysis: StudyAnalysis, decision: Decision) -> Statement | None:
    """The point that would be best in the target but for the rule, and what it loses."""
    for at, row in decision.forgone.items():
        text = (
            f"{_label(analysis, at)} is better in {_named(row)}, but cannot be chosen for its loss in "
            f"{_named(decision.mono_tests[at])} against the best. If that trade suits you, take it instead."
        )
        return Statement("Left by the rule", "fair", text)
    return None


def _outlook(analysis: StudyAnalysis, decision: Decision) -> Statement | None:
    """What would settle the decision, and what the estimate rests on."""
    if decision.state not in ("noise", "unknown"):
        return None
    text = capital(_to_settle(analysis, decision))
    if decision.outlook:
        at, row = next(iter(decision.open_rivals.items()))
        text += (
            ": an estimate for 80% power at the 5% level, if the true difference to "
            f"{_label(analysis, at)} is the {number(row.metric, abs(row.difference))} seen here; the standard "
            f"deviation between seeds of a point is {number(decision.target, decision.seed_sd)}"
        )
    return Statement("To settle it", "plain", f"{text}.")


def _to_settle(analysis: StudyAnalysis, decision: Decision) -> str:
    """What would make the nearest open comparison significant."""
    if not decision.outlook:
        return f"one seed does not show how many would decide it; {MORE_SEEDS}"
    nearest, num = decision.outlook[0], analysis.main.on_set.num_questions
    if nearest.seeds is not None:
        more = max(nearest.seeds - decision.num_seeds, 1)
        return f"about {more} more seed{'s' * (more > 1)} per point would decide it"
    if nearest.questions is not None and nearest.questions > num > 0:
        return f"more seeds alone would not decide it, about {nearest.questions:,} questions might ({num:,} now)"
    return f"it would take more than {MAX_SEEDS} seeds per point to decide it, so take either"


def _against(analysis: StudyAnalysis, control: Control) -> Statement:
    """The recommended point against one baseline."""
    rows, label, topic = control.differences.values(), _label(analysis, control.at), f"Against {control.name}"
    better, worse = ([_named(row) for row in rows if row.verdict == verdict] for verdict in ("better", "worse"))
    others = [_named(row) for row in rows if not row.significant]
    rest = f": {listed(others)}" if others else ""
    if all(row.verdict == "unknown" for row in rows):
        return Statement(topic, "plain", f"Not tested against {label}; seen in single runs{rest}.")
    if not better and not worse:
        return Statement(topic, "plain", f"No difference to {label} is significant{rest}.")
    parts = [f"better than {label} in {listed(better)}"] if better else []
    parts += [f"worse {'' if better else f'than {label} '}in {listed(worse)}"] if worse else []
    parts += [f"not significant{rest}"] if others else []
    text = capital("; ".join(parts)) + "."
    return Statement(topic, "fair" if better and worse else "good" if better else "poor", text)


def _xx_missing(analysis: StudyAnalysis, decision: Decision) -> Statement | None:
    if analysis.base == decision.recommended:
        gained = "" if decision.forgone else ": mixing gained nothing"
        return Statement("Against X-X", "plain", f"The recommended point is the X-X baseline itself{gained}.")
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
    seen = "Seen, not tested," if "unknown" in verdicts else "Significant changes"
    level: Level = "fair" if "worse" in verdicts else "good" if "better" in verdicts else "plain"
    return Statement("Languages", level, f"{seen} against X-X: {'; '.join(parts)}.")


def caveats(analysis: StudyAnalysis) -> list[str]:
    """What a reader should know before they rely on the report."""
    decision, study = analysis.decision, analysis.study
    notes = [*study.notes, *dict.fromkeys(note for scored in analysis.sets for note in scored.on_set.notes)]
    if decision is not None and not decision.seeds_known:
        notes.insert(0, "Each point was trained with one seed: how other seeds would score is not known.")
    elif decision is not None and decision.num_seeds == 2:
        notes.insert(0, "Two seeds per point say little of the spread between seeds; the intervals allow for that.")
    if decision is not None and decision.num_seeds < decision.most_seeds:
        notes.append(f"The points have {_seeds(decision)} so far; the intervals allow for that.")
    for status, what in ENDS.items():
        if num := sum(trial.status == status for trial in study.trials):
            notes.append(f"{num} of {len(study.trials)} trials {what}.")
    return notes


def _incomplete(analysis: StudyAnalysis, decision: Decision) -> str:
    names = _labels(analysis, decision.left_out)
    return f"left out, because trials failed or were stopped: {names} (the study's command retries failed trials)"


def _all_noise(decision: Decision) -> bool:
    """Whether nothing that the choice rests on is significant."""
    return not decision.excluded and len(decision.rivals) > 1 and len(decision.open_rivals) == len(decision.rivals)


def _seeds(decision: Decision) -> str:
    if decision.num_seeds < decision.most_seeds:
        return f"{decision.num_seeds} to {decision.most_seeds} seeds"
    return f"{decision.num_seeds} seed{'s' * (decision.num_seeds > 1)}"


def _named(row: Difference) -> str:
    return f"{lower(METRICS[row.metric][0])} ({signed(row.metric, row.difference)})"


def _value(analysis: StudyAnalysis, at: int, metric: str) -> str:
    on_set = analysis.main.on_set
    return number(metric, float(on_set.points[at].means[on_set.at(metric)]))


def _label(analysis: StudyAnalysis, at: int) -> str:
    return analysis.main.on_set.points[at].label


def _labels(analysis: StudyAnalysis, places: Iterable[int]) -> str:
    return some([_label(analysis, at) for at in places])


def _titles(controls: list[Control]) -> str:
    return listed([control.title for control in controls])
