"""The cost of a translation before it starts: rows, characters, tokens of the model, hours."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hbt_ray.cluster.tasks import remote_errors
from hbt_ray.corpus.inputs import read_unit
from hbt_ray.translation.codec import Codec
from hbt_ray.translation.job import Job
from hbt_ray.translation.pending import ROLES, to_translate
from hbt_ray.translation.translator import Splitter, TranslatorSpec

SAMPLE_ROWS = 200
WARM_UP_S = 20.0
"""Seconds of translating at most, over all languages."""


@dataclass(frozen=True)
class Estimate:
    """For one target language."""

    lang: str
    num_rows: int
    """That are still to be translated."""
    num_done: int
    """Rows that an earlier run has translated."""
    num_chars: int
    num_tokens: int
    """Source tokens of the sample, by its share of the characters."""
    tokens_per_second: float
    """Of one translator: given by the recipe, or measured."""
    hours: float
    """On all translators."""


def estimate(job: Job) -> list[Estimate]:
    """Measure a sample in each language and extrapolate. Nothing is written but converted models.

    Raises:
        HbtError: as for translating.
    """
    texts = _sample(job)
    tokens_of = {}
    for lang, spec in job.specs.items():
        codec = Codec(spec.name, spec.directory, spec.source_lang)
        tokens_of[lang] = Splitter(codec, job.config, job.source_lang).num_tokens(texts, lang)
    speeds = dict.fromkeys(job.langs, job.config.tokens_per_second)
    if not job.config.tokens_per_second:
        seconds = WARM_UP_S / len(job.langs)
        speeds = {lang: _measure(job, spec, texts, lang, seconds) for lang, spec in job.converted().specs.items()}
    sample_chars = max(1, sum(map(len, texts)))
    out = []
    for lang in job.langs:
        there = job.store.shards(lang)
        chunks = [chunk for chunk in job.survey.chunks if chunk.lang == lang]
        left = [chunk for chunk in chunks if chunk.name not in there]
        chars = sum(chunk.num_chars for chunk in left)
        speed = speeds[lang]
        tokens = round(chars * tokens_of[lang] / sample_chars)
        out.append(
            Estimate(
                lang=lang,
                num_rows=sum(chunk.num_rows for chunk in left),
                num_done=sum(chunk.num_rows for chunk in chunks) - sum(chunk.num_rows for chunk in left),
                num_chars=chars,
                num_tokens=tokens,
                tokens_per_second=speed,
                hours=tokens / max(speed, 1e-9) / job.num_translators / 3600,
            )
        )
    return out


def _sample(job: Job) -> list[str]:
    """Texts of `SAMPLE_ROWS` rows at random from the first batches of some units, the same in each run."""
    rng = random.Random(0)
    units = list(job.inputs.units)
    rng.shuffle(units)
    rows: list[dict[str, Any]] = []
    for unit in units[:8]:
        for table in read_unit(unit):
            rows += to_translate(table, job.source_lang).to_pylist()
            if len(rows) >= SAMPLE_ROWS * 8:
                break
    rows = rng.sample(rows, min(SAMPLE_ROWS, len(rows)))
    texts = [row[role] for row in rows for role in ROLES]
    return texts + [text for row in rows for text in row.get("negatives") or () if job.config.negatives]


def _measure(job: Job, spec: TranslatorSpec, texts: Sequence[str], lang: str, seconds: float) -> float:
    """Tokens a second, on a worker like those that will translate."""
    import ray

    threads, gpu = job.config.cpus_per_translator, job.config.use_gpu
    work = ray.remote(num_cpus=threads, num_gpus=int(gpu), max_retries=0)(measure)
    with remote_errors("measuring the speed of translation"):
        return float(ray.get(work.remote(spec, list(texts), lang, seconds, "cuda" if gpu else "cpu", threads)))


def measure(spec: TranslatorSpec, texts: Sequence[str], lang: str, seconds: float, device: str, threads: int) -> float:
    """Translate texts for about `seconds`; source tokens a second."""
    translator = spec.load(device, threads)
    translator(texts[:2], lang)  # first calls set things up
    done, began = 0, time.monotonic()
    for start in range(0, len(texts), 64):
        done += translator(texts[start : start + 64], lang).num_tokens
        if time.monotonic() - began > seconds:
            break
    return done / max(time.monotonic() - began, 1e-9)
