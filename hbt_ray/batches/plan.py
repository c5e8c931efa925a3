"""The batch plan: what step t of a run is made of, as a pure function of (corpus, config, seed, step).

Every worker computes the same plan and takes its slice of the GLOBAL batch, so purity holds on any number of
workers, resuming is a number, and alpha is one float. Draws of step t come from row t of one counter-based
generator (Philox), so the plan of a longer run begins with that of a shorter one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from hbt_ray.batches.forming import Pairing
from hbt_ray.batches.index import ItemIndex
from hbt_ray.batches.mix import Pool, StreamInfo
from hbt_ray.batches.pairing import PAIRINGS, Mono
from hbt_ray.batches.schedule import alpha_at
from hbt_ray.batches.streams import Stream
from hbt_ray.config import PlanConfig
from hbt_ray.errors import PlanError
from hbt_ray.languages import canonical_lang


@dataclass(frozen=True)
class StepPlan:
    """One global batch.

    Attributes:
        step: number of the step, from 0.
        monolingual: X-X (all query and passage languages equal) or X-Y (as `plan.pairs` forms them).
        sources: the sources the items come from.
        items: int64 [batch_size], the item of every row; distinct, but for the rows that `multiway` makes of one.
        query_langs, passage_langs: int16 [batch_size], which of the item's languages each side is taken in.
    """

    step: int
    monolingual: bool
    sources: tuple[int, ...]
    items: np.ndarray
    query_langs: np.ndarray
    passage_langs: np.ndarray


class BatchPlan:
    """The plan of a run of `num_steps` steps; `plan.step(t)` gives step t in any order and at any time."""

    def __init__(self, index: ItemIndex, config: PlanConfig, *, seed: int, num_steps: int) -> None:
        """
        Raises:
            PlanError: the corpus cannot supply the X-X or the X-Y batches that alpha asks for, or lacks a language.
        """
        if config.langs:
            index = index.only(_wanted_langs(index, config))
        self.index, self.config, self.seed, self.num_steps = index, config, seed, num_steps
        draws = np.random.Generator(np.random.Philox(key=seed)).random((num_steps, 2))
        self.monolingual = draws[:, 0] < alpha_at(config, num_steps)
        self._mono = Mono(index, config) if self.monolingual.any() else None
        self._cross = PAIRINGS[config.pairs](index, config) if not self.monolingual.all() else None
        mono, cross = (pairing.pool if pairing else Pool() for pairing in (self._mono, self._cross))
        self._check(mono, cross)
        self.streams: list[StreamInfo] = mono.streams + cross.streams
        self.notes = mono.notes + cross.notes
        if config.equal_pairs and self._cross and not self._cross.can_equal:
            self.notes.append(f"plan.equal_pairs is ignored with plan.pairs={config.pairs}")
        self.stream_of = np.zeros(num_steps, np.int64)
        """int64 [num_steps]: index into `streams` of the stream that each step takes its items from."""
        for steps, mix, first in (
            (np.flatnonzero(self.monolingual), mono, 0),
            (np.flatnonzero(~self.monolingual), cross, len(mono.streams)),
        ):
            self.stream_of[steps] = first + self._choose(draws[steps, 1], mix, steps)
        self._batch_number = _occurrence(self.stream_of)
        self._stream = lru_cache(maxsize=64)(self._make_stream)

    def step(self, step: int) -> StepPlan:
        """The global batch of step `step` (0 <= step < num_steps)."""
        if not 0 <= step < self.num_steps:
            raise IndexError(f"step {step} of a plan of {self.num_steps} steps")
        number = int(self.stream_of[step])
        info, monolingual = self.streams[number], bool(self.monolingual[step])
        items = self._stream(number, monolingual).batch(int(self._batch_number[step]))
        pairing = self._pairing(monolingual)
        query, passage = pairing.langs(info, items, (self.seed, step))
        return StepPlan(step, monolingual, info.sources, items.repeat(pairing.rows_per_item), query, passage)

    def passes(self) -> dict[StreamInfo, float]:
        """Stream -> how many times its items are gone through in the whole run."""
        counts = np.bincount(self.stream_of, minlength=len(self.streams))
        return {
            info: float(num * self._items_per_batch(info) / info.size)
            for info, num in zip(self.streams, counts, strict=True)
        }

    def _items_per_batch(self, info: StreamInfo) -> int:
        return self._pairing(info.pairing == Mono.number).items_per_batch

    def _pairing(self, monolingual: bool) -> Pairing:
        pairing = self._mono if monolingual else self._cross
        assert pairing is not None
        return pairing

    def _make_stream(self, number: int, monolingual: bool) -> Stream:
        return self._pairing(monolingual).stream(self.streams[number], self.seed)

    def _choose(self, uniforms: np.ndarray, mix: Pool, steps: np.ndarray) -> np.ndarray:
        """Stream (in `mix`) of each of `steps`; one that has reached `max_passes` is drawn no more."""
        chosen = np.zeros(len(steps), np.int64)
        if not len(steps):
            return chosen
        allowed = np.full(len(mix.streams), np.inf)
        if self.config.max_passes is not None:
            limits = [self.config.max_passes * info.size // self._items_per_batch(info) for info in mix.streams]
            allowed = np.array(limits, np.float64)
        begin = 0
        while begin < len(steps):
            weights = np.where(allowed > 0, mix.probabilities, 0.0)
            if weights.sum() == 0:
                raise PlanError(
                    f"plan.max_passes={self.config.max_passes} is used up at step {int(steps[begin])} of "
                    f"{self.num_steps}: raise it, lower train.steps, or add items"
                )
            drawn = _draw_one(weights, uniforms[begin:])
            over = np.flatnonzero(_occurrence(drawn) >= allowed[drawn])
            end = begin + (int(over[0]) if len(over) else len(drawn))
            chosen[begin:end] = drawn[: end - begin]
            allowed -= np.bincount(drawn[: end - begin], minlength=len(allowed))
            begin = end
        return chosen

    def _check(self, mono: Pool, cross: Pool) -> None:
        size = self.config.batch_size
        if self.monolingual.any() and not mono.streams:
            most = int(self.index.lang_counts.sum(axis=0).max(initial=0))
            weighed = " without the sources that plan.source_weights sets to 0" if most >= size else ""
            raise PlanError(
                f"plan.batch_size={size}: no language has that many items for X-X steps{weighed} (the largest has "
                f"{most} in all); lower plan.batch_size, or set plan.alpha=0"
            )
        if not self.monolingual.all() and not cross.streams:
            num, needs = int(self.index.pool_counts.sum()), PAIRINGS[self.config.pairs].needs
            raise PlanError(
                f"X-Y steps need items with two languages or more, and plan.batch_size={size} needs {needs}; the "
                f"corpus has {num} in all; set plan.alpha=1 for X-X only, or add translations"
            )


def _wanted_langs(index: ItemIndex, config: PlanConfig) -> set[str]:
    wanted = {canonical_lang(code) for code in config.langs}
    if absent := sorted(wanted - set(index.langs)):
        raise PlanError(f"plan.langs: the corpus has no language {absent[0]!r}; it has {', '.join(index.langs)}")
    return wanted


def _draw_one(weights: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
    """int64 [n]: as `_draw`, with the same weights for all."""
    cumulative = np.cumsum(weights)
    total = cumulative[-1]
    places = np.minimum(uniforms * total, np.nextafter(total, 0))
    return np.asarray(np.searchsorted(cumulative, places, side="right"), np.int64)


def _occurrence(values: np.ndarray) -> np.ndarray:
    """int64 [n]: how many times each value has come before in `values`."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    out = np.empty(len(values), np.int64)
    out[order] = np.arange(len(values)) - np.repeat(starts, np.diff(np.r_[starts, len(values)]))
    return out
