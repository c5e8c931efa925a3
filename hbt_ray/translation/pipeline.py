"""The flow of chunks through translators: read -> translate -> write, with Ray Data; a written shard is never redone.

A chunk is a row of one block, so that Ray Data gives it to whichever translator is free. Reading asks for no CPU of
its own: the translators hold them all, and it would wait for ever.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from hbt_ray.cluster import tasks
from hbt_ray.config import TranslateConfig
from hbt_ray.corpus.inputs import read_unit
from hbt_ray.corpus.readers.units import Unit
from hbt_ray.translation.pending import ShardStats, chunks, to_translate, translate_rows, without
from hbt_ray.translation.store import ORIGINAL, TranslationStore
from hbt_ray.translation.survey import READERS, Chunk, Known
from hbt_ray.translation.translator import Translator, TranslatorSpec

RETRIES = 20
"""Times that a lost translator or its chunk is started again; a crash that a chunk causes must end some day."""

Part = tuple[str, Unit, dict[int, str]]
"""Language, unit, and number -> name of the wanted chunks of the unit in that language."""


@dataclass(frozen=True)
class Flow:
    """Settings of tasks and translators."""

    config: TranslateConfig
    source_lang: str
    specs: dict[str, TranslatorSpec]
    store: TranslationStore


class ShardTranslator:
    """An actor that keeps the model of its current language, and turns chunks into shards."""

    def __init__(self, flow: Flow, device: str, threads: int) -> None:
        self._flow = flow
        self._device = device
        self._threads = threads
        self._loaded: tuple[str, Translator] | None = None

    def __call__(self, chunk: tuple[str, str, pa.Table]) -> Iterator[tuple[str, str, ShardStats]]:
        """(language, name, rows) -> (language, name, stats); a shard that is there already is not made again."""
        lang, name, rows = chunk
        yield lang, name, self._flow.store.known(lang, name) or self.make(lang, name, rows)

    def make(self, lang: str, name: str, rows: pa.Table) -> ShardStats:
        """Translate rows and write their shard."""
        flow, began = self._flow, time.monotonic()
        if lang == ORIGINAL:
            table, stats = rows, ShardStats(rows.num_rows)
        else:
            translator = self._translator(flow.specs[lang])
            began = time.monotonic()  # loading the model is no part of a shard
            label = f"ctranslate2:{flow.specs[lang].name}"
            table, stats = translate_rows(
                rows, translator, lang, source_lang=flow.source_lang, name=label, negatives=flow.config.negatives
            )
            stats = replace(stats, seconds=time.monotonic() - began, device=self._device)
        flow.store.write(lang, name, table, stats)
        return stats

    def _translator(self, spec: TranslatorSpec) -> Translator:
        if self._loaded is None or self._loaded[0] != spec.directory:
            self._loaded = None  # before the next one is there: two models may not fit
            self._loaded = (spec.directory, spec.load(self._device, self._threads))
        return self._loaded[1]


def run_flow(
    flow: Flow,
    units: Sequence[Unit],
    known: Known,
    todo: Sequence[Chunk],
    num_translators: int,
    progress: Callable[[str, int, int, str], None],
) -> Iterator[tuple[Chunk, ShardStats]]:
    """Make the shards of `todo` on all translators; gives each with its stats when it is written, in any order.

    Args:
        flow: how.
        units: of the input, by the numbers that chunks name.
        known: see `survey`.
        todo: chunks without a shard.
        num_translators: at most so many at once.
        progress: called with (what, rows done, rows in all, rates and time left).

    Raises:
        ClusterError: no translator got its place in time, or they keep dying.
        HbtError: what a translator or reader raised.
    """
    wanted: dict[tuple[str, int], dict[int, str]] = defaultdict(dict)
    for chunk in sorted(todo, key=lambda chunk: (chunk.lang != ORIGINAL, chunk.lang)):
        wanted[chunk.lang, chunk.unit][chunk.number] = chunk.name
    parts: list[Part] = [(lang, units[number], names) for (lang, number), names in wanted.items()]
    readers = tasks.Stage(
        work=_read_chunks, args=(flow, tasks.Shared(known)), num_cpus=0, num_at_once=min(READERS, len(parts))
    )
    translators = tasks.Stage(
        work=ShardTranslator,
        args=(flow, "cuda" if flow.config.use_gpu else "cpu", flow.config.cpus_per_translator),
        num_cpus=flow.config.cpus_per_translator,
        num_gpus=int(flow.config.use_gpu),
        num_at_once=max(1, min(num_translators, len(todo))),
        retries=RETRIES,
    )
    by_name = {(chunk.lang, chunk.name): chunk for chunk in todo}
    meter = Meter(todo)
    # A shard is wanted when it is done, whatever its place.
    for lang, name, stats in tasks.stream(parts, readers, translators, what="translation", ordered=False):
        chunk = by_name[lang, name]
        if lang != ORIGINAL:
            progress(*meter.add(chunk, stats))
        yield chunk, stats


def _read_chunks(part: Part, flow: Flow, known: tasks.Shared) -> Iterator[tuple[str, str, pa.Table]]:
    """The wanted chunks of a unit in one language: (language, name, rows)."""
    lang, unit, names = part
    in_target: Known = known.get()
    for number, table in enumerate(chunks(read_unit(unit), flow.config.rows_per_shard)):
        if number not in names:
            continue
        if lang != ORIGINAL:
            table = to_translate(table, flow.source_lang)
            table = without(table, in_target[lang]) if lang in in_target else table
        # A copy: a slice is pickled with all that it was cut from.
        yield lang, names[number], table.take(np.arange(table.num_rows))


class Meter:
    """Rows and tokens a second since the first shard of this run was begun, and the time that is left by characters."""

    def __init__(self, todo: Iterable[Chunk], clock: Callable[[], float] = time.monotonic) -> None:
        """`todo` are the chunks of this run; `clock` counts seconds."""
        chunks = [chunk for chunk in todo if chunk.lang != ORIGINAL]
        self._clock = clock
        self._total: Counter[str] = Counter()
        for chunk in chunks:
            self._total[chunk.lang] += chunk.num_rows
        self._chars_left = sum(chunk.num_chars for chunk in chunks)
        self._done: Counter[str] = Counter()
        self._tokens = self._chars = 0
        self._began: float | None = None

    def add(self, chunk: Chunk, stats: ShardStats) -> tuple[str, int, int, str]:
        """Count a translated shard; (language, rows done, rows in all, rates and time left)."""
        self._done[chunk.lang] += chunk.num_rows
        self._tokens += stats.num_tokens
        self._chars += chunk.num_chars
        self._chars_left -= chunk.num_chars
        now = self._clock()
        if self._began is None:  # starting translators and loading models does not count
            self._began = now - stats.seconds
        seconds = max(now - self._began, 1e-9)
        left = self._chars_left * seconds / max(self._chars, 1)
        note = (
            f"{sum(self._done.values()) / seconds:,.1f} rows/s, {self._tokens / seconds:,.0f} tokens/s, "
            f"{duration(left)} left"
        )
        return chunk.lang, self._done[chunk.lang], self._total[chunk.lang], note


def duration(seconds: float) -> str:
    """A time for people: `40 s`, `12 min`, `3.5 h`, `4.2 days`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"
