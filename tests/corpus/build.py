"""A prepared corpus written by hand, without Ray, and what its rows must be read as."""

import hashlib
import io
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa

from hbt_ray.corpus import shards
from hbt_ray.corpus.manifest import MANIFEST, Corpus, FileInfo, Manifest, ShardInfo, Split
from hbt_ray.corpus.passages import own_labels
from hbt_ray.corpus.rows import check_rows

ROLE_ID = {"query": 7, "passage": 9}


def own_groups(table):
    """Labels for the rows of `drop_problems` in which every item is a group of its own."""
    labels = own_labels(list(dict.fromkeys(table["id"].to_pylist())))
    return shards.Labels(labels, np.zeros(len(labels), bool))


def tokenise(texts, role):
    """One id a character, behind one of the role."""
    rows = [[ROLE_ID[role], *map(ord, text)] for text in texts]
    flat = [token for row in rows for token in row]
    return np.array(flat, np.int32), np.array([len(row) for row in rows], np.int32)


def long_rows(num_items, langs, sources=("s",), *, seed=0):
    """Rows in long form with irregular coverage; texts and weights say what they belong to."""
    rng = np.random.default_rng(seed)
    rows = []
    for item in range(num_items):
        source = sources[int(len(sources) * rng.random() ** 2)]  # of different sizes
        has = rng.random(len(langs)) < 0.7
        has[int(rng.integers(len(langs)))] = True
        weight = float(rng.integers(1, 5))
        rows += [
            {
                "id": f"i{item}",
                "lang": lang,
                "source": source,
                "question": f"{lang} question {item}?",
                "passage": f"{lang} passage {item} " + "x" * int(rng.integers(1, 9)),
                "weight": weight,
                "negatives": [f"not {lang} {item} {number}" for number in range(item % 4)],
            }
            for lang, there in zip(langs, has, strict=True)
            if there
        ]
    return rows


def write_corpus(directory: Path, rows, *, num_shards=2, rows_a_group=8, num_negatives=0, monkeypatch):
    """The corpus of long rows, with small row groups; a shard has the languages of its own items only."""
    monkeypatch.setattr(shards, "MIN_ROW_GROUP", rows_a_group)
    monkeypatch.setattr(shards, "MAX_ROW_GROUP", rows_a_group)
    langs = tuple(sorted({row["lang"] for row in rows}))
    infos, bits, counts = [], [], np.zeros(len(langs), int)
    for number in range(num_shards):
        of_shard = [row for row in rows if shards.text_hash(row["id"]) % num_shards == number]
        stats = shards.PartitionStats()
        table = shards.drop_problems(check_rows(pa.Table.from_pylist(of_shard)), stats)
        assert stats.skipped == Counter()
        langs_of_shard = sorted({row["lang"] for row in of_shard})
        wide = shards.widen(table, langs_of_shard, tokenise, stats, own_groups(table), num_negatives=num_negatives)
        buffer = io.BytesIO()
        groups = shards.write_shard(wide, buffer)
        infos.append(ShardInfo(*write(directory, f"train-{number:05d}.parquet", buffer.getvalue()), tuple(groups)))
        has = np.stack(
            [
                wide[f"hash_{code}"].is_valid().to_numpy()
                if f"hash_{code}" in wide.column_names
                else np.zeros(wide.num_rows, bool)
                for code in langs
            ],
            axis=1,
        )
        bits.append(np.packbits(has, axis=1))
        counts += has.sum(axis=0)
    buffer = io.BytesIO()
    np.save(buffer, np.concatenate(bits))
    split = Split(
        tuple(infos),
        FileInfo(*write(directory, "train-coverage.npy", buffer.getvalue())),
        dict(zip(langs, counts.tolist(), strict=True)),
    )
    manifest = Manifest(
        fingerprint="f" * 64,
        made_from={"input": "by hand"},
        settings={"base": "none"},
        langs=langs,
        splits={"train": split},
        skipped={"empty question": 2},
        ignored_files=("notes.parquet: has neither question nor passage",),
        tokens={"en": {"query": {"mean": 3.5}}},
        num_negatives=num_negatives,
    )
    (directory / MANIFEST).write_text(manifest.to_json())
    return Corpus.open(str(directory))


def write(directory: Path, name: str, data: bytes) -> tuple[str, int, str]:
    (directory / name).write_bytes(data)
    return name, len(data), hashlib.sha256(data).hexdigest()


def has_lang(corpus, split):
    """bool [items, languages of the manifest]: which item has which language."""
    return np.unpackbits(corpus.packed_coverage(split), axis=1, count=len(corpus.manifest.langs)).astype(bool)


def item_order(rows, num_shards=2):
    """Ids in the order of item numbers: by shard, source, and a hash of the id."""
    source = {row["id"]: row["source"] for row in rows}
    return sorted(source, key=lambda id_: (shards.text_hash(id_) % num_shards, source[id_], shards.text_hash(id_), id_))
