"""A whole translation: missing shards are planned, streamed through translators, and shown once a language is whole."""

from __future__ import annotations

import dataclasses
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hbt_ray.cluster.capacity import num_places
from hbt_ray.config import CorpusConfig, TranslateConfig
from hbt_ray.corpus.beside import read_ids, stated_licences, write_beside
from hbt_ray.corpus.inputs import Inputs, find_inputs, input_name
from hbt_ray.errors import ConfigError, CorpusError
from hbt_ray.finished import MADE_FROM, made_otherwise
from hbt_ray.model.find import model_directory, model_fingerprint
from hbt_ray.storage import write_json
from hbt_ray.terminal import Report
from hbt_ray.translation.codec import Codec, unknown_translator
from hbt_ray.translation.codes import canonical_target
from hbt_ray.translation.convert import convert_model
from hbt_ray.translation.pending import ShardStats, digest_of
from hbt_ray.translation.pipeline import Flow, run_flow
from hbt_ray.translation.store import MANIFEST, ORIGINAL, TranslationStore, reuse
from hbt_ray.translation.survey import Survey, Wanted, survey
from hbt_ray.translation.translator import TranslatorSpec

FORMAT = 1
"""Part of every digest; to be raised where the same settings come to mean other rows."""
SETTINGS = (
    "precision",
    "beam_size",
    "length_penalty",
    "repetition_penalty",
    "no_repeat_ngram",
    "max_sentence_tokens",
    "max_output_ratio",
    "negatives",
    "token_budget",
    "rows_per_shard",
)
"""Fields that decide the rows, or how they are cut into shards."""


@dataclass(frozen=True)
class Job:
    """A translation that can begin: everything the recipe names has been found, and counted."""

    config: TranslateConfig
    source_lang: str
    specs: dict[str, TranslatorSpec]
    """Target language -> its translator; `directory` has the model's own files until `converted`."""
    inputs: Inputs
    survey: Survey
    store: TranslationStore
    root: str
    name: str
    made_from: dict[str, str]
    num_translators: int
    models: Path
    """Where converted models are kept."""
    dev_ids: frozenset[str]
    """Ids that lie beside the result too; empty: none."""
    licences: dict[str, str]
    """Source -> licence, as stated beside the input."""

    @property
    def langs(self) -> list[str]:
        """Target languages."""
        return list(self.specs)

    def converted(self, report: Report = print) -> Job:
        """The same job with models that CTranslate2 reads."""
        specs = {}
        for lang, spec in self.specs.items():
            began = time.monotonic()
            converted = convert_model(
                spec.name, Path(spec.directory), spec.fingerprint, self.config.precision, self.models
            )
            if time.monotonic() - began > 1:
                report(f"model {spec.name}: converted to {converted} in {time.monotonic() - began:.0f} s")
            specs[lang] = dataclasses.replace(spec, directory=str(converted))
        return dataclasses.replace(self, specs=specs)


def open_job(corpus: CorpusConfig, config: TranslateConfig, workspace: str, report: Report = print) -> Job:
    """Find models, languages, room and input, and count what there is to do. Ray must be connected.

    Args:
        corpus: `input` and `bad_rows` say what is read, paths made absolute.
        config: how it is translated.
        workspace: resolved; results go to its `translations` where `config.output` is empty.
        report: receives one line of news at a time.

    Raises:
        ConfigError: unknown model or language, or one that the model lacks.
        ClusterError: no node has room for a translator.
        CorpusError: nothing to translate, or unusable rows.
    """
    source, langs = _languages(config)
    num_translators = num_places("translation", config.cpus_per_translator, int(config.use_gpu))
    specs = _models(config, source, langs)
    fingerprints = {lang: spec.fingerprint for lang, spec in specs.items()}
    if "://" in workspace:
        raise ConfigError(
            f"workspace={workspace!r}: CTranslate2 reads converted models from a directory; use a workspace that is a "
            "directory all nodes share, and translate.output for the URL"
        )
    inputs = find_inputs(corpus.input)
    for line in inputs.ignored:
        report(f"ignored {line}")
    settings = {name: str(getattr(config, name)) for name in SETTINGS}
    # One model is known by its files; a model a language by its name, so that languages can be added.
    model = config.model if "{lang}" in config.model else specs[langs[0]].fingerprint
    made_from = {"input": inputs.fingerprint, "source_lang": source, "model": model}
    made_from |= settings | {"format": str(FORMAT)}
    wanted = Wanted(
        source, fingerprints, digest_of(str(FORMAT), *settings.values()), config.rows_per_shard, config.negatives
    )
    counts = survey(inputs.units, wanted)
    _check(corpus, source, counts, report)
    root = config.output.rstrip("/") or f"{workspace}/translations"
    name = input_name(corpus.input)
    store = TranslationStore(f"{root}/{name}-{digest_of(*map(str, sorted(made_from.items())))[:12]}")
    return Job(
        config=config,
        source_lang=source,
        specs=specs,
        inputs=inputs,
        survey=counts,
        store=store,
        root=root,
        name=name,
        made_from=made_from,
        num_translators=num_translators,
        models=Path(workspace) / "models",
        dev_ids=read_ids(corpus.dev_ids),
        licences=stated_licences(corpus.input),
    )


def run_job(job: Job, report: Report, progress: Callable[[str, int, int, str], None]) -> dict[str, Any]:
    """Translate the missing shards and show whole languages; a killed job resumes. Returns the manifest."""
    store, began = job.store, time.monotonic()
    others = made_otherwise(job.root, job.name, MADE_FROM, job.made_from)
    if not store.shards(ORIGINAL):
        for directory, changed in others:
            report(f"{directory} was made with another {', '.join(changed)}: translating anew in {store.directory}")
    store.begin(job.made_from, {lang: spec.fingerprint for lang, spec in job.specs.items()})
    todo, stats = _plan(job, [directory for directory, _ in others], report)
    if todo:
        flow = Flow(job.config, job.source_lang, job.converted(report).specs, store)
        for chunk, shard in run_flow(flow, job.inputs.units, job.survey.known, todo, job.num_translators, progress):
            stats[chunk.lang][chunk.name] = shard
    for lang in (ORIGINAL, *job.langs):
        store.show(lang)
    write_beside(store.directory, job.dev_ids, job.licences)
    manifest = _manifest(job, stats, time.monotonic() - began)
    write_json(f"{store.directory}/{MANIFEST}", manifest)
    return manifest


def _languages(config: TranslateConfig) -> tuple[str, list[str]]:
    source = canonical_target("translate.source_lang", config.source_lang)
    langs = [canonical_target("translate.langs", code) for code in config.langs]
    if not langs:
        raise ConfigError("translate.langs=() is not allowed: name the languages to translate to, e.g. '[de, zh]'")
    if len(set(langs)) < len(langs):
        raise ConfigError(f"translate.langs={list(config.langs)!r} is not allowed: a language is named twice")
    if source in langs:
        raise ConfigError(f"translate.langs={list(config.langs)!r} is not allowed: {source} is translate.source_lang")
    return source, langs


def _models(config: TranslateConfig, source: str, langs: Sequence[str]) -> dict[str, TranslatorSpec]:
    specs = {}
    codecs: dict[str, Codec] = {}
    for lang in langs:
        name = config.model.replace("{lang}", lang)
        directory = model_directory(name, unknown_translator)
        codec = codecs.get(name) or codecs.setdefault(name, Codec(name, str(directory), source))
        codec.check_target(lang)
        fingerprint = model_fingerprint(directory, unknown_translator)
        specs[lang] = TranslatorSpec(
            name=name, directory=str(directory), fingerprint=fingerprint, config=config, source_lang=source
        )
    return specs


def _check(corpus: CorpusConfig, source: str, counts: Survey, report: Report) -> None:
    problems = "; ".join(
        f"{num:,} x {name} (e.g. {counts.examples[name]})" for name, num in sorted(counts.problems.items())
    )
    if problems and corpus.bad_rows == "error":
        raise CorpusError(
            f"corpus.input={corpus.input!r} has unusable rows: {problems}; mend them, or corpus.bad_rows=skip"
        )
    if problems:
        report(f"not translated: {problems}")
    if not counts.langs[source]:
        have = ", ".join(f"{lang} ({num:,})" for lang, num in counts.langs.most_common(20)) or "no usable rows at all"
        raise CorpusError(
            f"corpus.input={corpus.input!r} has no rows in translate.source_lang={source!r}; it has {have}"
        )
    for lang, hashes in counts.known.items():
        report(f"note: the input has {len(hashes):,} items in {lang} already; they stay as they are")


def _plan(job: Job, directories: list[str], report: Report) -> tuple[list[Any], dict[str, dict[str, ShardStats]]]:
    """Chunks without a shard, and the stats of those that have one."""
    todo, stats = [], {}
    by_lang: dict[str, dict[str, Any]] = defaultdict(dict)
    for chunk in job.survey.chunks:
        by_lang[chunk.lang][chunk.name] = chunk
    for lang in (ORIGINAL, *job.langs):
        if num_damaged := job.store.remove_damaged(lang):
            report(f"{lang}: {num_damaged:,} damaged shards are removed")
        wanted, there = by_lang[lang], job.store.shards(lang)
        missing = [name for name in wanted if name not in there]
        if missing:
            job.store.hide(lang)
            taken = reuse(job.store, lang, missing, directories)
            if taken:
                report(f"{lang}: {len(taken):,} shards taken from other translations of the same rows")
                there = job.store.shards(lang)
        if strange := sorted(set(there) - set(wanted)):
            raise ConfigError(
                f"{job.store.directory}/{lang} holds {strange[0]}, which this job does not make: remove it, or set "
                "translate.output"
            )
        stats[lang] = there
        left = [chunk for name, chunk in wanted.items() if name not in there]
        todo += left
        if there and left:
            report(f"{lang}: {len(there):,} of {len(wanted):,} shards are done, going on")
        elif there and lang != ORIGINAL:
            report(f"{lang}: all {len(wanted):,} shards are done")
    return todo, stats


def _manifest(job: Job, stats: dict[str, dict[str, ShardStats]], seconds: float) -> dict[str, Any]:
    """What the directory holds; languages of earlier runs keep their entries."""
    earlier = job.store.manifest() or {}
    langs = dict(earlier.get("langs", {}))
    for lang in job.langs:
        shards = stats[lang].values()
        total = {
            field.name: sum(getattr(shard, field.name) for shard in shards)
            for field in dataclasses.fields(ShardStats)
            if field.name != "device"
        }
        langs[lang] = {
            "model": job.specs[lang].name,
            "model_fingerprint": job.specs[lang].fingerprint,
            "shards": len(shards),
            "devices": sorted({shard.device for shard in shards}),
            **total,
        }
    return {
        "schema_version": 1,
        "source_lang": job.source_lang,
        "made_from": job.made_from,
        "settings": {name: getattr(job.config, name) for name in SETTINGS},
        "original": {
            "shards": len(stats[ORIGINAL]),
            "num_rows": sum(shard.num_rows for shard in stats[ORIGINAL].values()),
            "langs": dict(sorted(job.survey.langs.items())),
            "not_translated": dict(sorted(job.survey.problems.items())),
        },
        "langs": dict(sorted(langs.items())),
        "seconds_of_last_run": round(seconds, 1),
    }
