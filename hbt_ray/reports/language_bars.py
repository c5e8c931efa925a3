"""The bars of a page, a language a row: scores, shares of the pool, rank distances."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from hbt_ray.arrays import FloatArray
from hbt_ray.kit.prose import decimals
from hbt_ray.languages import lang_name
from hbt_ray.retrieval.scoring.score import Scores
from hbt_ray.retrieval.scoring.significance import lang_intervals


class Bar(NamedTuple):
    """One bar; all places in percent of its track."""

    start: float
    end: float
    label: str
    low: float | None = None
    """Ends of the interval; None without one."""
    high: float | None = None


class LangBars(NamedTuple):
    """The bars of one language."""

    lang: str
    name: str
    bars: dict[str, Bar]
    """Kind, which has a colour of its own -> the bar."""


def score_bars(scores: Scores) -> list[LangBars]:
    """mAP inside the language ("mono") and in the pool ("pool") with intervals, the lowest in the pool first."""
    per = scores.per_query
    columns = {
        "mono": (np.diagonal(scores.map_matrix), *lang_intervals(scores, per.mono_ap)),
        "pool": (scores.pool_map, *lang_intervals(scores, per.pool_ap)),
    }

    def bars(lang: int) -> dict[str, Bar]:
        rows = {kind: [None if np.isnan(x[lang]) else 100 * float(x[lang]) for x in c] for kind, c in columns.items()}
        return {
            kind: Bar(0.0, value, decimals(value / 100), low, high)
            for kind, (value, low, high) in rows.items()
            if value is not None
        }

    return _rows(scores, scores.pool_map, bars)


def share_bars(scores: Scores) -> list[LangBars]:
    """Share in the top k of the pool minus what is due, in percentage points, the most favoured language first.

    Of the languages that have passages.
    """
    due, share = scores.mean_shares()
    excess = share - due
    widest = max(float(np.abs(excess).max()), 1e-9)

    def bars(lang: int) -> dict[str, Bar]:
        side = 50 + 50 * excess[lang] / widest
        bar = Bar(min(50.0, side), max(50.0, side), f"{100 * excess[lang]:+.2f}")
        return {"more" if side >= 50 else "less": bar} if scores.num_passages[lang] else {}

    return _rows(scores, -excess, bars)


def distance_bars(scores: Scores) -> list[LangBars]:
    """Rank distance and the place of the last parallel answer ("last"), the largest distance first; in places.

    Of the query languages that have parallel answers.
    """
    columns = {"distance": scores.rank_distance, "last": scores.worst_rank}
    if np.isnan(scores.rank_distance).all():
        return []
    widest = max(float(np.nanmax(scores.worst_rank)), 1.0)

    def bars(lang: int) -> dict[str, Bar]:
        if np.isnan(scores.rank_distance[lang]):
            return {}
        return {kind: Bar(0.0, 100 * x[lang] / widest, decimals(x[lang], 0)) for kind, x in columns.items()}

    return _rows(scores, -scores.rank_distance, bars)


def _rows(scores: Scores, order: FloatArray, bars: Callable[[int], dict[str, Bar]]) -> list[LangBars]:
    """The languages that have bars, the lowest `order` first."""
    drawn = ((scores.langs[lang], bars(int(lang))) for lang in np.argsort(order, kind="stable"))
    return [LangBars(code, lang_name(code), of_lang) for code, of_lang in drawn if of_lang]
