"""The flow of chunks through translators: read -> translate -> write, with Ray Data; what is written is never redone.

A chunk is a row of one block, so that Ray Data gives it to whichever translator is free. Reading asks for no CPU of
its own: the translators hold them all, and it would wait for ever.
"""

from __future__ import annotations

import json
import logging
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from hbt_ray.cluster.connect import quiet_data_context
from hbt_ray.cluster.remote_errors import first_error, unwrapped
from hbt_ray.config import TranslateConfig
from hbt_ray.corpus.inputs import read_unit
from hbt_ray.corpus.readers.units import Unit
from hbt_ray.errors import ClusterError
from hbt_ray.translation.pending import ShardStats, chunks, to_translate, translate_rows, without
from hbt_ray.translation.spec import TranslatorSpec
from hbt_ray.translation.speed import Meter
from hbt_ray.translation.store import ORIGINAL, TranslationStore
from hbt_ray.translation.survey import Chunk, Known, pack_unit, unpack_unit

if TYPE_CHECKING:
    from hbt_ray.translation.translator import Translator

RETRIES = 20
"""Times that a lost translator or its chunk is started again; a crash that a chunk causes must end some day."""
READERS = 2
"""Units that are read at the same time; reading is far faster than translating."""
WAIT_S = 600.0
"""For the first translator to have its place and its model."""


@dataclass(frozen=True)
class Flow:
    """What tasks and translators must know."""

    config: TranslateConfig
    source_lang: str
    specs: dict[str, TranslatorSpec]
    store: TranslationStore


class ShardTranslator:
    """What an actor is: it keeps the model of the language it is at, and turns chunks into shards."""

    def __init__(self, flow: Flow, device: str, threads: int) -> None:
        self._flow = flow
        self._device = device
        self._threads = threads
        self._loaded: tuple[str, Translator] | None = None

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Rows (lang, name, rows) -> (lang, name, stats); a shard that is there already is not made again."""
        out = []
        for lang, name, rows in zip(*(batch[column].to_pylist() for column in ("lang", "name", "rows")), strict=True):
            stats = self._flow.store.known(lang, name) or self.make(lang, name, pa.ipc.open_stream(rows).read_all())
            out.append({"lang": lang, "name": name, "stats": stats.to_json()})
        return pa.Table.from_pylist(out)

    def make(self, lang: str, name: str, rows: pa.Table) -> ShardStats:
        """Translate rows and write their shard."""
        flow, began = self._flow, time.monotonic()
        if lang == ORIGINAL:
            table, stats = rows, ShardStats(rows.num_rows)
        else:
            translator = self._translator(flow.specs[lang])
            began = time.monotonic()  # loading the model is no part of a shard
            label = f"{flow.config.engine}:{flow.specs[lang].name}"
            table, stats = translate_rows(
                rows, translator, lang, source_lang=flow.source_lang, name=label, negatives=flow.config.negatives
            )
            stats = ShardStats(**{**vars(stats), "seconds": time.monotonic() - began, "device": self._device})
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
    import ray

    quiet_data_context()
    wanted: dict[tuple[str, int], list[Chunk]] = defaultdict(list)
    for chunk in sorted(todo, key=lambda chunk: (chunk.lang != ORIGINAL, chunk.lang)):
        wanted[chunk.lang, chunk.unit].append(chunk)
    items = [
        {"lang": lang, "unit": pack_unit(units[number]), "names": json.dumps({c.number: c.name for c in own})}
        for (lang, number), own in wanted.items()
    ]
    dataset = ray.data.from_items(items, override_num_blocks=len(items))
    context = dataset.context
    context.execution_options.preserve_order = False  # a shard is wanted when it is done, whatever its place
    context.target_max_block_size = 1  # a chunk is a block
    context.wait_for_min_actors_s = WAIT_S
    reference = (ray.put(known),)
    read = dataset.map_batches(
        _read_chunks, batch_size=1, num_cpus=0, concurrency=min(READERS, len(items)), fn_args=(flow, reference)
    )
    with warnings.catch_warnings():
        # Ray 2.60 deprecates all options of actors and names no other way to end their restarts.
        warnings.filterwarnings("ignore", "`ray_remote_args` is deprecated")
        made = read.map_batches(
            ShardTranslator,
            fn_constructor_args=(flow, "cuda" if flow.config.use_gpu else "cpu", flow.config.cpus_per_translator),
            batch_size=1,
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(
                min_size=1, max_size=max(1, min(num_translators, len(todo))), max_tasks_in_flight_per_actor=2
            ),
            num_cpus=flow.config.cpus_per_translator,
            num_gpus=int(flow.config.use_gpu),
            max_restarts=RETRIES,
            max_task_retries=RETRIES,
        )
    by_name = {(chunk.lang, chunk.name): chunk for chunk in todo}
    meter = Meter(todo)
    for lang, name, text in _stream(made):
        chunk, stats = by_name[lang, name], ShardStats.from_json(text)
        if lang != ORIGINAL:
            progress(*meter.add(chunk, stats))
        yield chunk, stats


def _read_chunks(batch: dict[str, Any], flow: Flow, reference: tuple[Any]) -> Iterator[pa.Table]:
    """The wanted chunks of a unit in one language, each as a row that holds its rows."""
    import ray

    known: Known = ray.get(reference[0])
    for lang, unit, names in zip(*(batch[name].tolist() for name in ("lang", "unit", "names")), strict=True):
        wanted = json.loads(names)
        for number, table in enumerate(chunks(read_unit(unpack_unit(unit)), flow.config.rows_per_shard)):
            if str(number) not in wanted:
                continue
            if lang != ORIGINAL:
                table = to_translate(table, flow.source_lang)
                table = without(table, known[lang]) if lang in known else table
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, table.schema) as writer:
                writer.write_table(table)
            data = pa.array([sink.getvalue().to_pybytes()], pa.binary())
            yield pa.table({"lang": [lang], "name": [wanted[str(number)]], "rows": data})


def _stream(made: Any) -> Iterator[tuple[str, str, str]]:
    """(lang, name, stats) of shards as they are written, and what goes wrong in Ray as one line."""
    from ray.data.exceptions import ExecutionTimeoutError
    from ray.exceptions import GetTimeoutError, RayError

    # Errors come out of here as exceptions; Ray Data would print each with its own stack as well.
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    kept = "finished shards are kept, and the same command goes on"
    try:
        with unwrapped():
            for row in made.iter_rows():
                yield row["lang"], row["name"], row["stats"]
    except GetTimeoutError:
        raise ClusterError(
            f"no translator has started in {WAIT_S:g} s: the cluster's CPUs or GPUs are taken, or the model loads very "
            f"slowly; wait for other jobs, or set translate.cpus_per_translator ({kept})"
        ) from None
    except (RayError, ExecutionTimeoutError) as error:
        raise ClusterError(f"translation failed; {kept} ({first_error(str(error))})") from error
