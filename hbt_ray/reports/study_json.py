"""The decision report as plain types, for programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from hbt_ray.reports.study_findings import findings
from hbt_ray.reports.study_wording import caveats, reason, recommendation_line
from hbt_ray.study.analysis import SetAnalysis, StudyAnalysis


def report_tree(analysis: StudyAnalysis) -> dict[str, Any]:
    """Everything that the page shows; NaN where a value is not known."""
    study, decision, main = analysis.study, analysis.decision, analysis.main
    labels = [point.label for point in main.on_set.points]
    tree: dict[str, Any] = {
        "study": study.name,
        "key": study.key,
        "set": main.on_set.name,
        "target": analysis.target,
        "recommended": None,
        "said": {
            "line": recommendation_line(analysis),
            "reason": reason(analysis),
            "findings": [statement._asdict() for statement in findings(analysis)],
            "caveats": caveats(analysis),
        },
        "sets": {scored.on_set.name: _set_tree(scored) for scored in analysis.sets},
        "controls": {
            control.name: {
                "point": labels[control.at],
                "differences": [asdict(row) for row in control.differences.values()],
            }
            for control in analysis.controls
        },
        "claims": {
            name: {
                "claims": [
                    {
                        **asdict(claim.stated),
                        "verdict": claim.verdict,
                        "difference": asdict(claim.row) if claim.row else None,
                    }
                    for claim in claims.claims
                ],
                "verdicts": claims.verdicts,
                "notes": list(claims.notes),
            }
            for name, claims in analysis.claims.items()
        },
        "not_beaten": [control.name for control in analysis.unbeaten],
        "gains_over_xx": {
            labels[at]: {
                metric: [{"lang": lang, **asdict(row)} for lang, row in rows.items()]
                for metric, rows in by_number.items()
            }
            for at, by_number in analysis.gains.items()
        },
        "trials": [
            {
                "key": trial.key,
                "label": trial.label,
                "point": dict(trial.point),
                "seed": trial.seed,
                "baseline": trial.baseline,
                "status": trial.status,
                "error": trial.error,
                "metrics": {name: value for name, value in trial.metrics.items() if not name.startswith("train/")},
            }
            for trial in study.trials
        ],
    }
    if decision is not None:
        point = main.on_set.points[decision.recommended]
        tree["recommended"] = {
            "point": dict(point.values),
            "label": point.label,
            "trials": [trial.name for trial in point.trials],
            "state": decision.state,
            "weights": decision.weights,
            "losses": {
                label: dict(zip(decision.weights, losses, strict=True))
                for label, losses in zip(labels, decision.losses.tolist(), strict=True)
            },
            "worst_loss": dict(zip(labels, decision.worst.tolist(), strict=True)),
            "confidence_set": [labels[at] for at in decision.confidence_set],
            "reach": decision.reach,
            "lead": decision.lead,
            "num_seeds": decision.num_seeds,
            "seeds_needed": decision.seeds_needed,
            "questions_needed": decision.questions_needed,
            "left_out": [labels[at] for at in decision.left_out],
            "guarded": {labels[at]: losses for at, losses in decision.guarded.items()},
            "below_base": {
                labels[at]: [asdict(row) for row in rows.values()] for at, rows in decision.below_base.items()
            },
            "none_passes": decision.none_passes,
        }
    return tree


def _set_tree(scored: SetAnalysis) -> dict[str, Any]:
    on_set = scored.on_set
    return {
        "by_question": on_set.by_question,
        "num_questions": on_set.num_questions,
        "langs": list(on_set.langs),
        "points": [
            {
                "label": point.label,
                "point": dict(point.values),
                "control": point.control,
                "seeds": [trial.seed for trial in point.trials],
                "means": dict(zip(on_set.metrics, point.means.tolist(), strict=True)),
                "intervals": {metric: list(ends[at]) for metric, ends in scored.intervals.items()},
                "front": scored.front[at],
                "front_share": scored.front_share[at],
                "beaten_by": [on_set.points[other].label for other in scored.beaten_by[at]],
            }
            for at, point in enumerate(on_set.points)
        ],
    }
