"""The decision of a study in plain words."""

from __future__ import annotations

from collections.abc import Iterable

from hbt_ray.config.headline import ABOUT
from hbt_ray.config.rule import THREE, TRAFFIC
from hbt_ray.kit.prose import listed, lower, share, some
from hbt_ray.study.analysis import Control, StudyAnalysis
from hbt_ray.study.decision import Decision
from hbt_ray.study.outlook import MAX_SEEDS

MORE_SEEDS = "train at least 3 seeds per configuration (tune.seeds)"
ENDS = {
    "failed": "failed",
    "killed": "were killed",
    "running": "have not ended",
    "stopped": "were stopped early as weak, and are not compared",
}
"""Status of trials that readers should know of -> its words."""
SHORT = {"mono_map": "mono", "cross_map": "cross", "pool_map": "pool"}
"""Names of the three mAP where they stand in one sentence."""


def title(analysis: StudyAnalysis) -> str:
    """`Recommended: alpha = 0.5`."""
    decision, point = analysis.decision, analysis.recommended
    if decision is None or point is None:
        return "No recommendation"
    if decision.none_passes:
        return f"No configuration passes the guards; the least worst: {point.label}"
    if decision.left_out:
        return f"Not complete: {point.label} leads those whose trials all finished"
    if decision.state == "unknown":
        return f"Best of single runs: {point.label}"
    if decision.state == "open":
        return f"Not settled: {point.label} leads"
    return f"Recommended: {point.label}"


def recommendation_line(analysis: StudyAnalysis) -> str:
    """The decision as the last line that a job prints."""
    decision, point = analysis.decision, analysis.recommended
    if decision is None or point is None:
        name = analysis.main.on_set.name
        return (
            f"no recommendation: no trial ran to the end with {numbers(analysis.study.rule.weights_of(''))} on {name}"
        )
    line = f"recommended {point.label}: {_gives_up(analysis, decision)}; {_seeds(decision)}: "
    line += _how_sure(analysis, decision)
    if decision.none_passes:
        line += "; NO CONFIGURATION PASSES THE GUARDS, this is the least worst"
    if analysis.unbeaten:
        line += f"; NOT AHEAD of {titles(analysis.unbeaten)}"
    if decision.left_out:
        line += f"; NOT COMPLETE: {incomplete(analysis, decision)}"
    return line


def reason(analysis: StudyAnalysis) -> str:
    """The decision in one or two sentences."""
    decision = analysis.decision
    if decision is None:
        rule = numbers(analysis.study.rule.weights_of(""))
        return f"No trial ran to the end with {rule} on {analysis.main.on_set.name}."
    return f"{label(analysis, decision.recommended)} {_gives_up(analysis, decision)}."


def numbers(names: Iterable[str]) -> str:
    """`mono, cross or pool mAP`, and what else counts."""
    three = [SHORT[name] for name in names if name in THREE]
    words = [f"{listed(three, 'or')} mAP"] if three else []
    return listed([*words, *(lower(ABOUT[name][0]) for name in names if name and name not in THREE)], "or")


def _gives_up(analysis: StudyAnalysis, decision: Decision) -> str:
    """`gives up at most 4.8% of the best mono, cross or pool mAP on dev; every other configuration ...`."""
    if len(decision.candidates) == 1 and not decision.guarded and not decision.below_base:
        return f"is the only configuration {'whose trials all finished' if decision.left_out else 'of the study'}"
    several, weighted = len(decision.weights) > 1, set(decision.weights.values()) != {1.0}
    text = f"gives up {'at most ' * several}{share(decision.worst[decision.recommended])}{' (weighted)' * weighted}"
    text += f" of the best {numbers(decision.weights)} on {analysis.main.on_set.name}"
    near = _near(decision)
    if near:
        margin = share(analysis.study.rule.margin)
        text += f"; {labels(analysis, near)} as much within {margin} (tune.margin), with a higher rank distance"
    if others := [at for at in decision.others if at not in near]:
        which = "every other configuration gives" if len(decision.others) > 1 else "the other gives"
        text += f"; {which} up {share(decision.worst[others[0]])} or more{' in one of them' * several}"
    return text


def _how_sure(analysis: StudyAnalysis, decision: Decision) -> str:
    if decision.state == "alone":
        return "no other takes part" if not decision.guarded and not decision.below_base else "no other passes"
    if decision.state == "unknown":
        return f"single runs do not show how sure that is, {MORE_SEEDS}"
    if decision.state == "clear":
        return "clear, no other may be the best (95%)"
    return f"not settled, {labels(analysis, rivals(decision))} may be as good (95%): {to_settle(analysis, decision)}"


def to_settle(analysis: StudyAnalysis, decision: Decision) -> str:
    if decision.state == "unknown":
        return f"one seed does not show how many would decide it; {MORE_SEEDS}"
    if decision.seeds_needed is not None:
        more = max(decision.seeds_needed - decision.num_seeds, 1)
        return f"about {more} more seed{'s' * (more > 1)} per configuration would decide it"
    if decision.questions_needed is not None:
        num = analysis.main.on_set.num_questions
        return (
            f"more seeds alone would not decide it, about {decision.questions_needed:,} questions might ({num:,} now)"
        )
    if _near(decision):
        return "they differ by less than tune.margin, so take any of these"
    return f"it would take more than {MAX_SEEDS} seeds per configuration to decide it, so take any of these"


def caveats(analysis: StudyAnalysis) -> list[str]:
    """What a reader should know before they rely on the report."""
    decision, study = analysis.decision, analysis.study
    notes = [*study.notes, *dict.fromkeys(note for scored in analysis.sets for note in scored.on_set.notes)]
    if decision is not None and not decision.seeds_known:
        notes.insert(0, "Each configuration was trained with one seed: how other seeds would score is not known.")
    elif decision is not None and decision.num_seeds == 2:
        notes.insert(0, "Two seeds say little of the spread between seeds; the intervals allow for that.")
    if decision is not None and decision.num_seeds < decision.most_seeds:
        notes.append(f"The configurations have {_seeds(decision)} so far; the intervals allow for that.")
    notes += _traffic_notes(analysis)
    for status, what in ENDS.items():
        if num := sum(trial.status == status for trial in study.trials):
            notes.append(f"{num} of {len(study.trials)} trials {what}.")
    return notes


def _traffic_notes(analysis: StudyAnalysis) -> list[str]:
    """What of `tune.traffic` the set does not have."""
    traffic, on_set = analysis.study.rule.traffic, analysis.main.on_set
    if traffic and TRAFFIC not in on_set.metrics:
        return [f"tune.traffic takes no part: none of its pairs of languages is known by question on {on_set.name}."]
    missing = sorted({*traffic, *(lang for row in traffic.values() for lang in row)} - set(on_set.langs))
    return [f"{on_set.name} does not have {some(missing)} of tune.traffic; its other pairs count."] if missing else []


def incomplete(analysis: StudyAnalysis, decision: Decision) -> str:
    names = labels(analysis, decision.left_out)
    return f"left out, because trials failed or were stopped: {names} (the study's command retries failed trials)"


def rivals(decision: Decision) -> list[int]:
    """The others in the confidence set."""
    return [at for at in decision.confidence_set if at != decision.recommended]


def _seeds(decision: Decision) -> str:
    if decision.num_seeds < decision.most_seeds:
        return f"{decision.num_seeds} to {decision.most_seeds} seeds"
    return f"{decision.num_seeds} seed{'s' * (decision.num_seeds > 1)}"


def _near(decision: Decision) -> list[int]:
    """Those that give up less than the recommended one, within the margin: rank distance chose."""
    return [at for at in decision.others if decision.worst[at] < decision.worst[decision.recommended]]


def label(analysis: StudyAnalysis, at: int) -> str:
    return analysis.main.on_set.points[at].label


def labels(analysis: StudyAnalysis, places: Iterable[int]) -> str:
    return some([label(analysis, at) for at in places])


def titles(controls: list[Control]) -> str:
    return listed([control.title for control in controls])
