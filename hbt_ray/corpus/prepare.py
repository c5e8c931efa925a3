"""From long-form input to a prepared corpus, with Ray Data: read -> check -> group by id -> join -> tokenise -> shard.

Rows are shuffled by a hash of their id into partitions of about `PARTITION_BYTES` of input; one task joins,
tokenises and writes one partition, so memory is bounded by the partition and not by the corpus. Which id goes to
which partition depends on the input alone, so the same input gives the same shards on any cluster.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from hbt_ray.config import CorpusConfig
from hbt_ray.corpus.inputs import Inputs, find_inputs, read_unit
from hbt_ray.corpus.manifest import MANIFEST, SCHEMA_VERSION, Corpus, FileInfo, Manifest, ShardInfo, Split
from hbt_ray.corpus.readers.units import Unit
from hbt_ray.corpus.rows import NOT_SELECTED, check_rows
from hbt_ray.corpus.shards import PartitionStats, coverage, drop_problems, text_hash, widen, write_shard
from hbt_ray.corpus.stats import token_table
from hbt_ray.corpus.tokens import RoleTokenizer
from hbt_ray.errors import CorpusError
from hbt_ray.languages import canonical_lang
from hbt_ray.storage import open_fs, write_whole

PARTITION_BYTES = 16 << 20
MIN_PARTITIONS, MAX_PARTITIONS = 4, 8192
UNIT_FIELDS = tuple(field.name for field in dataclasses.fields(Unit))

Report = Callable[[str], None]


@dataclass(frozen=True)
class Job:
    """What a task must know to turn one partition into shards."""

    config: CorpusConfig
    langs: tuple[str, ...]
    base: str
    trust_remote_code: bool
    directory: str
    run: str
    num_partitions: int
    dev_ids: frozenset[str] | None


def prepare(
    config: CorpusConfig,
    base: str,
    root: str,
    *,
    name: str = "",
    trust_remote_code: bool = False,
    report: Report = print,
) -> Corpus:
    """Prepare `config.input` for the tokenizer of `base` under `root`; a no-op where that has been done.

    Args:
        config: what to read and how to tokenise it.
        base: model name or directory whose tokenizer is used.
        root: directory or URL of prepared corpora; this one becomes a sub-directory named by its fingerprint.
        name: readable part of that sub-directory's name; empty takes it from the input.
        trust_remote_code: passed to the tokenizer.
        report: receives one line of news at a time.

    Raises:
        CorpusError: input missing, malformed or with unusable rows; a prepared corpus that was damaged.
    """
    inputs = find_inputs(config.input)
    tokenizer = RoleTokenizer(base, config, trust_remote_code=trust_remote_code)
    dev_ids = _read_dev_ids(config.dev_ids)
    langs = tuple(sorted(canonical_lang(code) for code in config.langs))
    made_from = {
        "schema": str(SCHEMA_VERSION),
        "input": inputs.fingerprint,
        "tokenizer": tokenizer.fingerprint(),
        "languages": ",".join(langs),
        "dev items": _digest(sorted(dev_ids)) if dev_ids is not None else f"share {config.dev_share}",
        "bad rows": config.bad_rows,
    }
    fingerprint = _digest(sorted(made_from.items()))
    name = name or config.input.rstrip("/").rsplit("/", 1)[-1].split(".")[0].strip("*?[]") or "corpus"
    directory = f"{root.rstrip('/')}/{name}-{fingerprint[:12]}"
    fs, path = open_fs(directory)
    if fs.exists(f"{path}/{MANIFEST}"):
        corpus = Corpus.open(directory)
        corpus.verify()
        report(f"corpus {directory}: already prepared, checksums agree")
        return corpus
    for line in _what_changed(fs, path, name, made_from):
        report(line)
    for line in inputs.ignored:
        report(f"ignored {line}")
    parts = int(np.clip(-(-inputs.num_bytes // PARTITION_BYTES), MIN_PARTITIONS, MAX_PARTITIONS))
    job = Job(config, langs, base, trust_remote_code, directory, secrets.token_hex(4), parts, dev_ids)
    fs.makedirs(path, exist_ok=True)
    try:
        corpus = _run(job, inputs, made_from, fingerprint, report)
    except BaseException:
        for file in fs.glob(f"{path}/*-{job.run}.*"):
            fs.rm_file(file)
        if not fs.ls(path, detail=False):
            fs.rmdir(path)
        raise
    return corpus


def _run(job: Job, inputs: Inputs, made_from: dict[str, str], fingerprint: str, report: Report) -> Corpus:
    import ray

    from hbt_ray.cluster import quiet_data_context, unwrapped

    quiet_data_context()
    units = [dataclasses.asdict(unit) for unit in inputs.units]
    rows = ray.data.from_items(units, override_num_blocks=len(units)).map_batches(
        _read, batch_size=1, fn_args=(job.langs, job.num_partitions)
    )
    grouped = rows.groupby("partition", num_partitions=job.num_partitions)
    done: dict[int, dict[str, Any]] = {}
    with unwrapped():
        for row in grouped.map_groups(_make_shards, batch_format="pyarrow", fn_args=(job,)).iter_rows():
            done[row["partition"]] = row
            if job.num_partitions > MIN_PARTITIONS:
                report(f"prepared {len(done)}/{job.num_partitions} partitions")
    results = [done[part] for part in sorted(done)]
    stats = PartitionStats()
    for result in results:
        stats.add(PartitionStats.from_json(result["stats"]))
    _check_skipped(job.config, stats, report)
    langs = tuple(sorted({lang for result in results for lang in result["langs"]}))
    splits = {name: _split(name, job, results, langs) for name in ("train", "dev")}
    if not splits["train"].num_items:
        raise CorpusError(f"corpus.input={job.config.input!r}: no usable rows are left for training")
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
        tokens=token_table(stats, job.config),
    )
    write_whole(f"{job.directory}/{MANIFEST}", manifest.to_json().encode())
    train, dev = splits["train"], splits["dev"]
    if job.dev_ids is not None and dev.num_items < len(job.dev_ids):
        report(f"note: {dev.num_items:,} of the {len(job.dev_ids):,} ids in corpus.dev_ids are in the corpus")
    report(
        f"corpus {job.directory}: {train.num_items:,} train items ({train.num_rows:,} rows), "
        f"{dev.num_items:,} dev items, {len(langs)} languages, {len(train.shards)} shards"
    )
    return Corpus.open(job.directory)


def _read(batch: dict[str, Any], langs: tuple[str, ...], num_partitions: int) -> Iterator[pa.Table]:
    """Read one unit, check its rows and say to which partition each belongs."""
    for kind, path, start, stop, columns in zip(*(batch[name].tolist() for name in UNIT_FIELDS), strict=True):
        for table in read_unit(Unit(kind, path, start, stop, tuple(columns))):
            try:
                table = check_rows(table, langs)
            except pa.ArrowException as error:  # bytes that are no UTF-8 in a column of strings or bytes
                raise CorpusError(f"{path}: a column is not text ({' '.join(str(error).split())[:160]})") from None
            ids = table["id"].combine_chunks().dictionary_encode()
            part = np.array([text_hash(id_) % num_partitions for id_ in ids.dictionary.to_pylist()], np.int64)
            yield table.append_column("partition", pa.array(part[ids.indices.to_numpy()]))


def _make_shards(table: pa.Table, job: Job) -> pa.Table:
    """Join, tokenise and write one partition; one row of counts comes back."""
    part = table["partition"][0].as_py()
    stats = PartitionStats()
    table = drop_problems(table.drop_columns(["partition"]), stats)
    langs = sorted(table["lang"].unique().to_pylist())
    out: dict[str, Any] = {"partition": [part], "langs": pa.array([langs], pa.list_(pa.string()))}
    shards: dict[str, pa.Table] = {}
    if table.num_rows:
        wide = widen(table, langs, _tokenizer(job.base, job.config, job.trust_remote_code), stats)
        dev = _is_dev(wide["item_id"].to_pylist(), job)
        shards = {"train": wide.filter(pa.array(~dev)), "dev": wide.filter(pa.array(dev))}
    for split in ("train", "dev"):
        shard = shards.get(split)
        info = ""
        bits = b""
        if shard is not None and shard.num_rows:
            buffer = io.BytesIO()
            groups = write_shard(shard, buffer)
            data = buffer.getvalue()
            name = f"{split}-{part:05d}-{job.run}.parquet"
            _write(f"{job.directory}/{name}", data)
            info = json.dumps([name, len(data), hashlib.sha256(data).hexdigest(), groups])
            bits = np.packbits(coverage(shard, langs), axis=1).tobytes()
        out[f"{split}_shard"] = [info]
        out[f"{split}_bits"] = [bits]
    out["stats"] = [stats.to_json()]
    return pa.table(out)


@lru_cache(maxsize=2)
def _tokenizer(base: str, config: CorpusConfig, trust_remote_code: bool) -> RoleTokenizer:
    return RoleTokenizer(base, config, trust_remote_code=trust_remote_code)


def _is_dev(ids: list[str], job: Job) -> np.ndarray:
    if job.dev_ids is not None:
        return np.array([id_ in job.dev_ids for id_ in ids], bool)
    # another hash than the one of partitions and order, or dev items would come from their beginnings
    return np.array([text_hash("dev\0" + id_) < job.config.dev_share * 2**64 for id_ in ids], bool)


def _split(split: str, job: Job, results: list[dict[str, Any]], langs: tuple[str, ...]) -> Split:
    """Collect the shards of a split and write its coverage file, languages in the corpus's order."""
    shards: list[ShardInfo] = []
    packed: list[np.ndarray] = []
    counts = np.zeros(len(langs), np.int64)
    for result in results:
        if not result[f"{split}_shard"]:
            continue
        name, num_bytes, digest, groups = json.loads(result[f"{split}_shard"])
        shard = ShardInfo(name, num_bytes, digest, tuple((source, num) for source, num in groups))
        own = list(result["langs"])
        bits = np.frombuffer(result[f"{split}_bits"], np.uint8).reshape(shard.num_items, -1)
        full = np.zeros((shard.num_items, len(langs)), np.uint8)
        full[:, [langs.index(code) for code in own]] = np.unpackbits(bits, axis=1, count=len(own))
        counts += full.sum(axis=0, dtype=np.int64)
        packed.append(np.packbits(full, axis=1))
        shards.append(shard)
    table = np.concatenate(packed) if packed else np.zeros((0, -(-len(langs) // 8)), np.uint8)
    buffer = io.BytesIO()
    np.save(buffer, table, allow_pickle=False)
    data = buffer.getvalue()
    name = f"{split}-coverage-{job.run}.npy"
    _write(f"{job.directory}/{name}", data)
    info = FileInfo(name, len(data), hashlib.sha256(data).hexdigest())
    return Split(tuple(shards), info, dict(zip(langs, counts.tolist(), strict=True)))


def _check_skipped(config: CorpusConfig, stats: PartitionStats, report: Report) -> None:
    problems = {name: num for name, num in sorted(stats.skipped.items()) if name != NOT_SELECTED}
    if problems and config.bad_rows == "error":
        told = "; ".join(f"{num:,} x {name} (e.g. {stats.examples[name]})" for name, num in problems.items())
        raise CorpusError(
            f"corpus.input={config.input!r} has unusable rows: {told}; mend them, or set corpus.bad_rows=skip"
        )
    for name, num in sorted(stats.skipped.items()):
        report(f"left out {num:,} rows: {name} (e.g. {stats.examples[name]})")


def _what_changed(fs: Any, path: str, name: str, made_from: dict[str, str]) -> list[str]:
    """Why the corpora of this name that are already there do not serve."""
    lines = []
    root = path.rsplit("/", 1)[0]
    for other in sorted(fs.glob(f"{root}/{name}-*/{MANIFEST}")):
        try:
            theirs = Manifest.from_json(fs.cat_file(other).decode()).made_from
        except (KeyError, TypeError, ValueError):
            continue
        changed = [key for key, value in made_from.items() if theirs.get(key) != value]
        lines.append(f"{other.rsplit('/', 1)[0]} was made with another {', '.join(changed)}: preparing anew")
    return lines


def _read_dev_ids(path: str) -> frozenset[str] | None:
    if not path:
        return None
    fs, where = open_fs(path)
    if not fs.isfile(where):
        raise CorpusError(
            f"corpus.dev_ids={path!r} is not a file; give a file with one item id a line, or leave it out"
        )
    ids = frozenset(line.strip() for line in fs.cat_file(where).decode().splitlines() if line.strip())
    if not ids:
        raise CorpusError(f"corpus.dev_ids={path!r} names no item; leave it out to use corpus.dev_share")
    return ids


def _write(url: str, data: bytes) -> None:
    fs, path = open_fs(url)
    fs.pipe_file(path, data)


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()
