"""From long-form input to a prepared corpus, with Ray Data.

Read -> check -> bring an item's rows together -> find passage groups -> join -> tokenise -> shard.

Rows are spread by a hash of their id over partitions of about 16 MiB of input (`hbt_ray.corpus.grouping`); one task
joins, tokenises and writes one partition, so memory is bounded by the partition and not by the corpus. Which id goes
to which partition depends on the input alone, so the same input gives the same shards on any cluster.
"""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
from fsspec import AbstractFileSystem

from hbt_ray.config import CorpusConfig
from hbt_ray.corpus.beside import read_ids
from hbt_ray.corpus.grouping import (
    MIN_PARTITIONS,
    Load,
    WorkDirectory,
    count_partitions,
    cut_of,
    map_partitions,
    run_tasks,
    spill,
)
from hbt_ray.corpus.inputs import Inputs, find_inputs, input_name
from hbt_ray.corpus.manifest import MANIFEST, Corpus, GroupCounts, Manifest, ShardInfo, write_file
from hbt_ray.corpus.passages import BOILERPLATE, DevRule, hash_passages, join_groups, num_buckets, read_labels
from hbt_ray.corpus.rows import BAD_LANG, NOT_SELECTED, SCHEMA
from hbt_ray.corpus.shards import PartitionStats, coverage, drop_problems, widen, write_shard
from hbt_ray.corpus.splits import PartitionResult, count_pairs, merge_split, token_table
from hbt_ray.corpus.tokens import RoleTokenizer
from hbt_ray.errors import CorpusError, UnreadableError
from hbt_ray.finished import made_otherwise
from hbt_ray.languages import canonical_lang, lang_hint, lang_name
from hbt_ray.storage import is_local, only_job, open_fs, write_json, write_whole
from hbt_ray.terminal import Report

COUNTS = "counts.json"
"""What the corpus card needs beside the manifest: items of every pair of languages, and lengths of uncut texts."""

SHOWN_IDS = 5
"""Ids that a note lists."""


@dataclass(frozen=True)
class Job:
    """What a task must know to turn one partition into shards."""

    config: CorpusConfig
    langs: tuple[str, ...]
    base: str
    trust_remote_code: bool
    directory: str
    num_partitions: int
    dev: DevRule

    @property
    def labels(self) -> str:
        """Where the passage groups of partitions are while the job runs."""
        return f"{self.directory}/.work/passages"


def prepare(
    config: CorpusConfig,
    base: str,
    root: str,
    *,
    name: str = "",
    trust_remote_code: bool = False,
    report: Report = print,
) -> Corpus:
    """Prepare `config.input` for the tokenizer of `base` under `root`; a no-op if that has been done.

    A stopped job is resumed; a job of the same corpus that runs at the same time is waited for.

    Args:
        config: what to read and how to tokenise it.
        base: model name or directory whose tokenizer is used.
        root: directory or URL of prepared corpora; this one becomes a sub-directory named by its fingerprint.
        name: readable part of that sub-directory's name; empty takes it from the input.

    Raises:
        CorpusError: input missing, malformed or with unusable rows; a prepared corpus that was damaged;
            UnreadableError, a kind of it, if a file could not be read this time.
        ClusterError: a task failed in Ray, or another job removed the directory; the same call resumes.
    """
    inputs = find_inputs(config.input)
    tokenizer = RoleTokenizer(base, config, trust_remote_code=trust_remote_code)
    dev_ids = read_ids(config.dev_ids) if config.dev_ids else None
    langs = tuple(sorted(canonical_lang(code) for code in config.langs))
    parts = count_partitions(inputs.num_bytes, inputs.unpacked_bytes)
    made_from = {
        "schema": str(Manifest.schema_version),
        "input": inputs.fingerprint,
        "tokenizer": tokenizer.fingerprint(),
        "languages": ",".join(langs),
        "dev items": _digest(sorted(dev_ids)) if dev_ids is not None else f"share {config.dev_share}",
        "bad rows": config.bad_rows,
        "hard negatives": str(config.num_negatives),
        "partitions": str(parts),
    }
    fingerprint = _digest(sorted(made_from.items()))
    name = name or input_name(config.input)
    directory = f"{root.rstrip('/')}/{name}-{fingerprint[:12]}"
    fs, path = open_fs(directory)
    job = Job(config, langs, base, trust_remote_code, directory, parts, DevRule(dev_ids, config.dev_share))
    work = WorkDirectory(f"{directory}/.work")
    with only_job(directory, report):
        if fs.exists(f"{path}/{MANIFEST}"):
            work.remove()  # left by a job that was killed at its very end
            corpus = Corpus.open(directory)
            corpus.verify()
            report(f"corpus {directory}: already prepared, checksums agree")
            return corpus
        for other, changed in made_otherwise(root, name, MANIFEST, made_from):
            report(f"{other} was made with another {', '.join(changed)}: preparing again")
        for line in inputs.ignored:
            report(f"ignored {line}")
        try:
            corpus = _run(job, inputs, made_from, fingerprint, work, report)
        except CorpusError as error:
            if not isinstance(error, UnreadableError) and fs.exists(path):
                fs.rm(path, recursive=True)
            raise  # after any other error the next job of the same settings resumes
        work.remove()
        if is_local(fs):  # only local directories are locked: elsewhere a file may be another job's
            _remove_others(fs, path, corpus)
    return corpus


def _remove_others(fs: AbstractFileSystem, path: str, corpus: Corpus) -> None:
    """Remove the files that killed tasks have left among the shards."""
    names = {file.name for file in corpus.files}
    for file in fs.ls(path, detail=False):
        name = file.rsplit("/", 1)[-1]
        if name.endswith(".part") or (name.endswith((".parquet", ".npy")) and name not in names):
            fs.rm_file(file)


def _run(
    job: Job, inputs: Inputs, made_from: dict[str, str], fingerprint: str, work: WorkDirectory, report: Report
) -> Corpus:
    columns = [name for name in SCHEMA.names if name != "negatives" or job.config.num_negatives]
    if work.begin(cut_of(inputs.units, job.num_partitions, columns)):
        report(f"corpus {job.directory}: going on where a stopped job was")

    def count(done: int, total: int) -> None:
        if total > MIN_PARTITIONS:
            report(f"prepared {done}/{total} partitions")

    files = spill(work, inputs.units, job.langs, job.num_partitions, columns)
    groups = _find_groups(job, work, files, report)
    results: list[PartitionResult] = map_partitions(work, files, job.num_partitions, _make_shards, (job,), count)
    stats = PartitionStats()
    for result in results:
        stats.add(result.stats)
    _check_skipped(job.config, stats, report)
    langs = tuple(sorted({lang for result in results for lang in result.langs}))
    _check_asked(job, stats, langs, report)
    splits = {name: merge_split(name, job.directory, results, langs) for name in ("train", "dev")}
    if not splits["train"].num_items:
        why = "; ".join(f"{num:,} x {name} (e.g. {stats.examples[name]})" for name, num in stats.skipped.items())
        why = f"left out: {why}" if why else "all items are dev items: change corpus.dev_ids or corpus.dev_share"
        raise CorpusError(f"corpus.input={job.config.input!r}: no usable rows are left for training; {why}")
    manifest = Manifest(
        fingerprint=fingerprint,
        made_from=made_from,
        settings={
            "base": job.base,
            "input": job.config.input,
            "query_prefix": job.config.query_prefix,
            "passage_prefix": job.config.passage_prefix,
            "max_query_tokens": job.config.max_query_tokens,
            "max_passage_tokens": job.config.max_passage_tokens,
        },
        langs=langs,
        splits=splits,
        skipped=dict(sorted(stats.skipped.items())),
        ignored_files=inputs.ignored,
        num_negatives=job.config.num_negatives,
        groups=groups,
        tokens=token_table(stats, job.config),
    )
    write_json(f"{job.directory}/{COUNTS}", {"pairs": count_pairs(results, langs), "whole": stats.whole})
    write_whole(f"{job.directory}/{MANIFEST}", manifest.to_json().encode())
    train, dev = splits["train"], splits["dev"]
    report(
        f"corpus {job.directory}: {train.num_items:,} train items ({train.num_rows:,} rows), "
        f"{dev.num_items:,} dev items, {len(langs)} languages, {len(train.shards)} shards"
    )
    return Corpus.open(job.directory)


def _find_groups(job: Job, work: WorkDirectory, files: list[str], report: Report) -> GroupCounts:
    """Passage groups over all partitions; what is unusual about them is reported."""
    buckets, num_negatives = num_buckets(job.num_partitions), job.config.num_negatives
    args = (job.labels, buckets, job.dev, num_negatives)
    hashed = map_partitions(work, files, job.num_partitions, hash_passages, args, stage="passages")
    args_of_join = (job.labels, hashed, buckets, job.dev.ids is not None)
    groups: GroupCounts = run_tasks(work, "groups", [(0,)], join_groups, args_of_join)[0]
    if groups.num_groups:
        report(
            f"{groups.num_items:,} items share passages in {groups.num_groups:,} groups, the largest of "
            f"{groups.largest:,} (e.g. id {groups.largest_id}): never negatives of each other, and in one split"
        )
    if groups.num_dev_moved:
        report(f"{groups.num_dev_moved:,} items share a passage with one that corpus.dev_ids names: they are dev items")
    if groups.num_boilerplate:
        report(
            f"note: {groups.num_boilerplate:,} passage texts are in more than {BOILERPLATE} items each (one in "
            f"{groups.most_shared:,}, e.g. id {groups.most_shared_id}) and join no group; remove such items if they "
            "answer nothing"
        )
    return groups


def _make_shards(load: Load, part: int, job: Job) -> PartitionResult:
    """Join, tokenise and write one partition."""
    stats = PartitionStats()
    table = drop_problems(load(), stats)
    langs = sorted(table["lang"].unique().to_pylist())
    result = PartitionResult(langs, stats)
    shards: dict[str, pa.Table] = {}
    if table.num_rows:
        tokenizer = _tokenizer(job.base, job.config, job.trust_remote_code)
        labels = read_labels(job.labels, part)
        limits, num_negatives = tokenizer.max_tokens, job.config.num_negatives
        wide = widen(table, langs, tokenizer, stats, labels, limits=limits, num_negatives=num_negatives)
        del table
        shards = {"train": wide.filter(pa.array(~labels.dev)), "dev": wide.filter(pa.array(labels.dev))}
        if job.dev.ids is not None:
            stats.dev_ids.update(job.dev.ids.intersection(wide["item_id"].to_pylist()))
        del wide
    for split in list(shards):
        shard = shards.pop(split)
        if shard.num_rows:
            buffer = io.BytesIO()
            groups = write_shard(shard, buffer)
            file = write_file(job.directory, f"{split}-{part:05d}", ".parquet", buffer.getvalue())
            info = ShardInfo(**vars(file), row_groups=tuple(groups))
            result.shards[split] = info, np.packbits(coverage(shard, langs), axis=1)
    return result


@lru_cache(maxsize=2)
def _tokenizer(base: str, config: CorpusConfig, trust_remote_code: bool) -> RoleTokenizer:
    return RoleTokenizer(base, config, trust_remote_code=trust_remote_code)


def _check_skipped(config: CorpusConfig, stats: PartitionStats, report: Report) -> None:
    problems = {name: num for name, num in sorted(stats.skipped.items()) if name != NOT_SELECTED}
    hint = lang_hint(stats.examples.get(BAD_LANG, "").rpartition(", lang ")[2])
    hint = f" ({hint})" if hint else ""
    if problems and config.bad_rows == "error":
        counts = "; ".join(f"{num:,} x {name} (e.g. {stats.examples[name]})" for name, num in problems.items())
        raise CorpusError(
            f"corpus.input={config.input!r} has unusable rows: {counts}{hint}; mend them, or set corpus.bad_rows=skip"
        )
    for name, num in sorted(stats.skipped.items()):
        report(f"left out {num:,} rows: {name} (e.g. {stats.examples[name]}{hint if name == BAD_LANG else ''})")


def _check_asked(job: Job, stats: PartitionStats, langs: tuple[str, ...], report: Report) -> None:
    """Languages, negatives and dev items that were asked for are there: CorpusError, or a note for some dev items."""
    config = job.config
    if missing := sorted(set(job.langs) - set(langs)):
        have = ", ".join(sorted({*langs, *stats.other_langs})) or "no usable row"
        raise CorpusError(
            f"corpus.langs={list(job.langs)} names {', '.join(missing)}, in which corpus.input={config.input!r} has no "
            f"usable row; it has {have}: take the others out of corpus.langs"
        )
    if config.num_negatives and not stats.num_negatives:
        raise CorpusError(
            f"corpus.num_negatives={config.num_negatives}, but no row of corpus.input={config.input!r} has any; put a "
            "list of texts into a column `negatives` (in JSON where the file is CSV), or set it to 0"
        )
    for lang in langs:
        if hint := lang_hint(lang):
            report(f"note: {lang} is the code of {lang_name(lang)}; {hint}")
    if job.dev.ids is not None and (absent := sorted(job.dev.ids - stats.dev_ids)):
        shown = ", ".join(absent[:SHOWN_IDS]) + (", ..." if len(absent) > SHOWN_IDS else "")
        report(f"note: {len(absent):,} of the {len(job.dev.ids):,} ids in corpus.dev_ids match no usable item: {shown}")


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()
