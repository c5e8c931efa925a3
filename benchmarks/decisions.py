"""How often a study's own verdict is wrong: simulated studies whose truth is known, decided by four rules.

    python -m benchmarks.decisions [--studies N] [--json FILE] [--page FILE]

The page, docs/decision.md, is made from the measurements alone.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.machine import machine
from benchmarks.output import report
from benchmarks.page import markdown
from benchmarks.rival_rules import RIVALS
from hbt_ray.arrays import FloatArray
from hbt_ray.config.rule import RuleConfig
from hbt_ray.kit.prose import capital
from hbt_ray.stats.crossed import draw_numbers
from hbt_ray.stats.resample import Cells
from hbt_ray.study.decision import decide, relative_losses
from hbt_ray.study.points import TrialSpec
from hbt_ray.study.points_on_set import Point, PointsOnSet
from hbt_ray.study.trials import FOUR, Trial
from hbt_ray.terminal import run_job, say

XY, HYBRID, XX = (0.6564, 0.4670, 0.4439, 341.6), (0.7594, 0.4445, 0.4443, 397.7), (0.7795, 0.3842, 0.3772, 689.5)
"""Means of docs/paper-small: mono, cross and pool mAP, and rank distance."""
NEAR = (0.7594, 0.4352, 0.4443, 397.7)
"""Gives up two points more than the hybrid does, of cross mAP."""
TRUTHS: dict[str, tuple[tuple[float, ...], ...]] = {
    "nine that are equal": (HYBRID,) * 9,
    "X-Y, hybrid and X-X of docs/paper-small": (XY, HYBRID, XX),
    "the same with a second hybrid, as good": (XY, HYBRID, HYBRID, XX),
    "the same with a hybrid that gives up two points more": (XY, HYBRID, NEAR, XX),
}
OF_QUESTION, OF_POINT, OF_SEED, OF_BOTH = 0.30, 0.08, 0.006, 0.08
"""Standard deviations: of questions, alike for all; of what one configuration makes of a question; between seeds; of
what a seed makes of a question. With 300 questions and 3 seeds differences have intervals of about +-0.018, as in
docs/paper-small (0.011 to 0.024)."""
SIZES = ((100, 3), (300, 3), (1000, 3), (300, 1), (300, 8))
"""(questions, seeds)."""
NUM_DRAWS = 1000
RULE = "least worst loss"

HEAD = """# How often is a study's verdict wrong?

Made by `make bench-decision`: {studies} simulated studies a row, of {draws:,} draws each, whose true numbers are known.
Every configuration answers the same questions with every seed; a value is the true one, a part of the question, of what
the configuration makes of it, of the seed, and of what the seed makes of the question (standard deviations
{sds}; in rank distance a thousand times as much).

The rule is that of `hbt_ray/study/decision.py`: the least worst loss of mono, cross and pool mAP. Its rivals: the best
pool mAP; the best mean of the three; the best pool mAP among those whose mono mAP is not significantly below the best
("mono first"). They call a choice sure where it is significantly better than every other that may be chosen, by Holm's
correction; the rule, where its confidence set holds one.

- **best picked**: the configuration with the least true worst loss is recommended, or one of several.
- **sure, wrong**: called sure though another has as small a true worst loss, or a smaller one. By chance alone this may
  happen in 5%.
- **in the set**: the confidence set holds the best, or all that are.
- **true loss**: true worst loss of what is recommended, mean over the studies.
"""


class Result(NamedTuple):
    """What one rule made of one study."""

    loss: float
    """True worst loss of what it recommends."""
    is_best: bool
    is_sure: bool
    is_wrong: bool
    """Sure of something that is not better than all others."""


def main(argv: Sequence[str]) -> int:
    """Simulate, print the tables, and write JSON and page."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.decisions", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--studies", type=int, default=200, help="simulated studies a row")
    parser.add_argument("--json", type=Path, help="file to write the measurements to")
    parser.add_argument("--page", type=Path, help="Markdown page to write")
    args = parser.parse_args(argv)
    result: dict[str, Any] = {"machine": machine("numpy")}
    for at, (title, truth) in enumerate(TRUTHS.items()):
        rows = [row(np.array(truth), *size, args.studies, seed=at) for size in SIZES]
        result[f"truth {at}"] = {"title": capital(title), "rows": rows}
        report(result, f"truth {at}", args.json)
    if args.page:
        sds = f"{OF_QUESTION}, {OF_POINT}, {OF_SEED} and {OF_BOTH}"
        head = HEAD.format(studies=args.studies, draws=NUM_DRAWS, sds=sds)
        args.page.write_text("\n".join([head, *map(markdown, list(result.values())[1:])]), encoding="utf-8")
        say(f"written: {args.page}")
    return 0


def row(truth: FloatArray, questions: int, seeds: int, studies: int, *, seed: int) -> dict[str, Any]:
    """One row of a table: all rules on as many studies of one size."""
    results: dict[str, list[Result]] = {}
    covered = []
    for study in range(studies):
        found, holds_best = decided(truth, questions, seeds, np.random.default_rng((seed, questions, seeds, study)))
        covered.append(holds_best)
        for name, result in found.items():
            results.setdefault(name, []).append(result)
    ours = results.pop(RULE)
    cells: dict[str, Any] = {
        "questions": questions,
        "seeds": seeds,
        "best picked": share([each.is_best for each in ours]),
        "sure, right": share([each.is_sure and not each.is_wrong for each in ours]),
        "sure, wrong": share([each.is_wrong for each in ours]),
        "in the set": share(covered),
        "true loss": share([each.loss for each in ours], 1),
    }
    for name, theirs in results.items():
        cells[f"{name}: sure, wrong"] = share([each.is_wrong for each in theirs])
        cells[f"{name}: true loss"] = share([each.loss for each in theirs], 1)
    return cells


def share(values: Sequence[float], digits: int = 0) -> str:
    """Their mean in percent."""
    return f"{np.mean(values):.{digits}%}"


def decided(truth: FloatArray, questions: int, seeds: int, rng: np.random.Generator) -> tuple[dict[str, Result], bool]:
    """What each rule makes of one study, and whether the confidence set of ours holds all the best."""
    num = len(truth)
    scale = np.where(truth[0] > 1, 1000.0, 1.0)
    values = (
        truth[:, None, None]
        + scale * rng.normal(0, OF_QUESTION, (1, 1, questions, len(FOUR)))
        + scale * rng.normal(0, OF_POINT, (num, 1, questions, len(FOUR)))
        + scale * rng.normal(0, OF_SEED, (num, seeds, 1, len(FOUR)))
        + scale * rng.normal(0, OF_BOTH, (num, seeds, questions, len(FOUR)))
    )  # [P, S, K, M]
    ones = np.ones((questions, 1))
    cells = [[[Cells(of_seed[:, [at]], ones) for of_seed in point] for at in range(len(FOUR))] for point in values]
    numbers = list(values.mean(axis=2))
    draws = draw_numbers(numbers, cells, num_draws=NUM_DRAWS, seed=int(rng.integers(2**31)))
    trial = Trial(TrialSpec.of({}, 0), "finished", 1, {})
    points = tuple(
        Point(values={"x": at}, trials=(trial,) * seeds, numbers=each, scored=()) for at, each in enumerate(numbers)
    )
    on_set = PointsOnSet(
        name="simulated", metrics=FOUR, points=points, langs=(), by_question=True, num_questions=questions
    )
    worst = relative_losses(truth[:, :3], range(num), np.zeros(3, dtype=np.bool_)).max(axis=1)
    best = np.flatnonzero(worst <= worst.min() + 1e-12)
    decision = decide(on_set, draws, "pool_map", RuleConfig())
    if decision is None:
        raise AssertionError("a simulated study has all numbers")
    picks = {RULE: (decision.recommended, decision.state == "clear")}
    picks |= {name: rule(on_set, draws) for name, rule in RIVALS.items()}
    results = {
        name: Result(
            loss=float(worst[at]),
            is_best=at in best,
            is_sure=is_sure,
            is_wrong=is_sure and not (at in best and len(best) == 1),
        )
        for name, (at, is_sure) in picks.items()
    }
    return results, set(best) <= set(decision.confidence_set)


if __name__ == "__main__":
    run_job(main)
