"""The decision of a study in plain words."""

from __future__ import annotations

from hbt_ray.config.headline import METRICS
from hbt_ray.kit.prose import listed, number
from hbt_ray.languages import code_and_name
from hbt_ray.reports.study_phrases import (
    MORE_SEEDS,
    Finding,
    against,
    in_sentence,
    label_of,
    not_beaten,
    outlook_text,
    price_of_rule,
    settles,
    signed,
)
from hbt_ray.stats.compare import Difference
from hbt_ray.study.analysis import SetAnalysis, StudyAnalysis
from hbt_ray.study.decision import GUARD, Decision

NUM_NAMED = 4
"""Points or languages that a sentence names before it counts the rest."""


def title(analysis: StudyAnalysis) -> str:
    """`Recommended: alpha = 0.5`."""
    decision, point = analysis.decision, analysis.recommended
    if decision is None or point is None:
        return "No recommendation"
    if analysis.winners:
        won = listed([control.title for control in analysis.winners])
        return f"No point beats {won}; best of the search: {point.label}"
    if decision.left_out:
        return f"Not complete: {point.label} leads what has run to the end"
    if decision.state == "unknown":
        return f"Best of single runs: {point.label}"
    if decision.state == "noise":
        return f"Not settled: {point.label} leads" + (" within the noise" if _all_noise(decision) else "")
    return f"Recommended: {point.label}"


def recommendation_line(analysis: StudyAnalysis) -> str:
    """The decision as the last line that a job prints."""
    decision, main = analysis.decision, analysis.main
    if decision is None:
        return f"no recommendation: no trial ran to the end with a score for {main.on_set.name}/{analysis.target}"
    point = main.on_set.points[decision.recommended]
    name, target = main.on_set.name, decision.target
    best = number(target, float(point.means[main.on_set.at(target)]))
    allowed = len(decision.rivals) + 1
    others = f" of {allowed} points whose {name}/{GUARD} is not significantly below the best" if allowed > 1 else ""
    mean = f"mean {name}/{target}" if decision.excluded and allowed == 1 else f"best mean {name}/{target}"
    line = f"recommended {point.label}: {mean} = {best}{others}, {_seeds(decision)}; {_short(analysis)}"
    if decision.forgone:
        at, row = next(iter(decision.forgone.items()))
        line += f" ({label_of(main, at)}: {signed(row.metric, row.difference)} in {name}/{target})"
    if analysis.unbeaten and decision.state != "unknown":
        line += f"; NOT AHEAD of the controls: {listed([control.title for control in analysis.unbeaten])}"
    if decision.left_out:
        line += f"; NOT COMPLETE: {_left_out(analysis)}"
    return line


def _left_out(analysis: StudyAnalysis) -> str:
    decision = analysis.decision
    assert decision is not None
    names = _points(analysis.main, decision.left_out)
    verb = "takes" if len(decision.left_out) == 1 else "take"
    return (
        f"{names} {verb} no part, for trials failed or were stopped; the study's command runs those that failed again"
    )


def _short(analysis: StudyAnalysis) -> str:
    decision = analysis.decision
    assert decision is not None
    if decision.state == "alone":
        part = " that takes part" if decision.left_out else ""
        if decision.excluded:
            return f"every other point{part} is significantly worse inside a language"
        return f"the only point{part}"
    if decision.state == "unknown":
        return f"how sure that is cannot be told from single runs: {MORE_SEEDS}"
    if decision.state == "clear":
        return "ahead of each of them beyond chance" + ("" if decision.seeds_known else " (seeds are not known)")
    names = _points(analysis.main, list(decision.open_rivals))
    return f"not told from {names}, the difference is noise: {settles(analysis)}"


def reason(analysis: StudyAnalysis) -> str:
    """Why this point, in one or two sentences."""
    decision, main = analysis.decision, analysis.main
    if decision is None:
        return f"No trial ran to the end with a score for {METRICS[analysis.target][0]} on {main.on_set.name}."
    on_set = main.on_set
    point = on_set.points[decision.recommended]
    label, guard = in_sentence(decision.target), in_sentence(GUARD)
    value = number(decision.target, float(point.means[on_set.at(decision.target)]))
    best = on_set.points[decision.best_mono]
    best_value = number(GUARD, float(best.means[on_set.at(GUARD)]))
    if not decision.rivals and not decision.excluded:
        whole = "of which no trial failed or was stopped" if decision.left_out else "of the study"
        return f"It is the only point {whole}, with {_seeds(decision)}: {label} {value} on {on_set.name}."
    have = "is not significantly below the best" if decision.state != "unknown" else "is not shown to be below the best"
    if decision.rivals:
        text = f"It has the best {label} on {on_set.name}, {value}, of the {len(decision.rivals) + 1} points whose "
    else:
        text = f"Its {label} on {on_set.name} is {value}. It is the only point whose "
    text += f"{guard} {have} ({best_value}, {best.label})."
    if decision.excluded:
        verb = "is" if len(decision.excluded) == 1 else "are"
        text += f" {_points(main, decision.excluded)} {verb} significantly below it and out of the choice."
    return text


def sure(analysis: StudyAnalysis) -> Finding:
    """How sure the recommendation is."""
    decision = analysis.decision
    assert decision is not None
    found = _sure(analysis)
    if not decision.left_out:
        return found
    said = _left_out(analysis)
    return Finding(found.topic, "poor", f"Not complete: {said}. Of the others: {found.text[0].lower()}{found.text[1:]}")


def _sure(analysis: StudyAnalysis) -> Finding:
    decision, main = analysis.decision, analysis.main
    assert decision is not None
    topic = "How sure"
    if decision.state == "alone":
        if not decision.excluded:
            return Finding(topic, "plain", "There is nothing to choose from: no other point takes part.")
        return Finding(
            topic,
            "good",
            f"Sure, by the rule: every other point loses inside a language, beyond chance.{_limits(analysis)}",
        )
    if decision.state == "unknown":
        return Finding(
            topic,
            "poor",
            "Nobody can say: each point was trained with one seed, and the trials were recorded without scores by "
            "question, so no difference here can be told from chance. This is the best of single runs.",
        )
    at, nearest = next(iter(decision.rivals.items()))
    if decision.state == "clear":
        rivals = (
            "the other allowed point"
            if len(decision.rivals) == 1
            else f"each of the {len(decision.rivals)} other allowed points"
        )
        return Finding(
            topic,
            "good" if decision.seeds_known else "fair",
            f"Sure: it is ahead of {rivals} beyond chance; the nearest, {label_of(main, at)}, is "
            f"{_difference(nearest, absolute=True)} behind.{_limits(analysis)}",
        )
    names = _points(main, list(decision.open_rivals))
    scope = "The differences between the points are noise: " if _all_noise(decision) else "Not sure: "
    return Finding(
        topic,
        "fair",
        f"{scope}it cannot be told from {names}. Against the nearest, {label_of(main, at)}, the "
        f"difference in {METRICS[decision.target][0]} is {_difference(nearest)}; with other {_what(analysis)} it would "
        f"lead in {decision.lead:.0%} of the cases.{_limits(analysis)}",
    )


def findings(analysis: StudyAnalysis) -> list[Finding]:
    """The summary: how sure, what would settle it, the controls, the languages."""
    decision = analysis.decision
    if decision is None:
        return []
    rows = [sure(analysis)]
    if decision.state in ("noise", "unknown"):
        rows.append(Finding("To settle it", "plain", outlook_text(analysis)))
    rows += [against(analysis, control) for control in analysis.controls]
    rows[1:1] = [found for found in (not_beaten(analysis), price_of_rule(analysis)) if found]
    if analysis.base == decision.recommended:
        rows.append(
            Finding("Against X-X", "plain", f"The recommended point is the X-X baseline itself{_no_mix(decision)}.")
        )
    elif analysis.base is None:
        rows.append(
            Finding(
                "Against X-X",
                "plain",
                "The study has no X-X baseline (plan.alpha = 1), so gains over it are not known.",
            )
        )
    if found := languages(analysis):
        rows.append(found)
    return rows


def languages(analysis: StudyAnalysis) -> Finding | None:
    """How many languages gain and lose against the X-X baseline."""
    decision = analysis.decision
    if decision is None or decision.recommended not in analysis.gains:
        return None
    texts, level, tested = [], "plain", True
    for metric, rows in analysis.gains[decision.recommended].items():
        where = {"pool_map": "in the pool", "mono_map": "inside the language"}[metric]
        if any(row.verdict == "unknown" for row in rows.values()):
            texts.append(f"{where}, {sum(row.difference > 0 for row in rows.values())} of {len(rows)} are higher")
            tested = False
            continue
        up = [lang for lang, row in rows.items() if row.better]
        down = sorted((lang for lang, row in rows.items() if row.worse), key=lambda lang: rows[lang].difference)
        level = "fair" if down else "good" if up and level == "plain" else level
        lost = f" ({_some([code_and_name(lang) for lang in down])})" if down else ""
        texts.append(
            f"{where}, {len(up) or 'none'} of {len(rows)} gain and {len(down) or 'none'} lose{lost} beyond chance"
        )
    seen = "Against X-X: " if tested else "Seen, not tested, against X-X: "
    return Finding("Languages", level, seen + "; ".join(texts) + ".")


def _no_mix(decision: Decision) -> str:
    return "" if decision.forgone else ": mixing gained nothing"


def caveats(analysis: StudyAnalysis) -> list[str]:
    """What a reader should know before they rely on the report."""
    decision, study, main = analysis.decision, analysis.study, analysis.main
    notes = [*study.notes, *dict.fromkeys(note for found in analysis.sets for note in found.on_set.notes)]
    if decision is not None:
        if not decision.seeds_known:
            notes.insert(
                0, "Each point was trained with one seed: nothing is known of how other seeds would have come out."
            )
        elif decision.num_seeds == 2:
            notes.insert(
                0, "With two seeds a point the spread between seeds is known poorly; the intervals allow for that."
            )
        if decision.left_out:
            names = _points(main, decision.left_out)
            notes.append(f"Shown, but not part of the choice, because trials failed or were stopped: {names}.")
        if decision.num_seeds < decision.most_seeds:
            notes.append(
                f"The points have {decision.num_seeds} to {decision.most_seeds} seeds so far; the intervals allow for "
                "that."
            )
    for status, said in (("failed", "failed"), ("killed", "were cut off"), ("running", "have not ended")):
        count = sum(trial.status == status for trial in study.trials)
        if count:
            notes.append(f"{count} of {len(study.trials)} trials {said}.")
    stopped = sum(trial.status == "stopped" for trial in study.trials)
    if stopped:
        notes.append(f"{stopped} of {len(study.trials)} trials were stopped early as weak, and are not compared.")
    return notes


def _all_noise(decision: Decision) -> bool:
    """Whether nothing that the choice rests on is more than chance."""
    return not decision.excluded and len(decision.rivals) > 1 and len(decision.open_rivals) == len(decision.rivals)


def _seeds(decision: Decision) -> str:
    if decision.num_seeds < decision.most_seeds:
        return f"{decision.num_seeds} to {decision.most_seeds} seeds"
    return f"{decision.num_seeds} seed{'s' * (decision.num_seeds > 1)}"


def _points(main: SetAnalysis, places: tuple[int, ...] | list[int]) -> str:
    return _some([label_of(main, at) for at in places])


def _some(names: list[str]) -> str:
    rest = len(names) - NUM_NAMED
    return listed(names) if rest < 2 else listed([*names[:NUM_NAMED], f"{rest} others"])


def _difference(versus: Difference, *, absolute: bool = False) -> str:
    low, high = sorted((versus.low, versus.high), key=abs) if absolute else (versus.low, versus.high)
    ends = [number(versus.metric, abs(end)) if absolute else signed(versus.metric, end) for end in (low, high)]
    value = number(versus.metric, abs(versus.difference)) if absolute else signed(versus.metric, versus.difference)
    return f"{value} (95% interval {ends[0]} to {ends[1]})"


def _what(analysis: StudyAnalysis) -> str:
    decision, on_set = analysis.decision, analysis.main.on_set
    assert decision is not None
    if on_set.by_question and decision.seeds_known:
        return "seeds and questions"
    return "questions" if on_set.by_question else "seeds"


def _limits(analysis: StudyAnalysis) -> str:
    """What the certainty does not cover."""
    decision, on_set = analysis.decision, analysis.main.on_set
    assert decision is not None
    if not decision.seeds_known:
        return f" That holds for these models: with one seed a point, nothing is known of other seeds; {MORE_SEEDS}."
    return "" if on_set.by_question else " That holds for these questions: scores by question were not recorded."
