import json

import numpy as np
import pytest

from hbt_ray.corpus.manifest import MANIFEST, Corpus, Manifest
from hbt_ray.errors import CorpusError
from tests.corpus.build import has_lang, item_order, long_rows, write_corpus

ROWS = long_rows(40, ("de", "en", "hi"), ("a", "b"))


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    return write_corpus(tmp_path / "c", ROWS, monkeypatch=monkeypatch)


@pytest.fixture(autouse=True)
def directory(tmp_path):
    (tmp_path / "c").mkdir()
    return tmp_path / "c"


def test_round_trip(corpus):
    assert Manifest.from_json(corpus.manifest.to_json()) == corpus.manifest
    again = Corpus.open(corpus.directory)
    assert again.manifest == corpus.manifest
    again.verify()
    assert Corpus.open(f"file://{corpus.directory}").manifest == corpus.manifest


def test_counts_and_coverage_are_those_of_the_rows(corpus):
    split = corpus.manifest.splits["train"]
    assert (split.num_items, split.num_rows) == (40, len(ROWS))
    assert split.items_per_lang == {code: sum(row["lang"] == code for row in ROWS) for code in ("de", "en", "hi")}
    has = has_lang(corpus, "train")
    present = {(item, corpus.manifest.langs[lang]) for item, lang in np.argwhere(has)}
    ids = item_order(ROWS)
    assert {(ids[item], lang) for item, lang in present} == {(row["id"], row["lang"]) for row in ROWS}


def test_a_directory_without_a_manifest_is_no_corpus(tmp_path):
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(CorpusError, match=r"is not a prepared corpus \(no manifest\.json\); make one with jobs/"):
            Corpus.open(str(path))


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "null", "[]", '"x"', "3", "{}", '{"schema_version": 1}', '{"schema_version": 1, "splits": []}',
        '{"schema_version": 1, "splits": {"train": 3}}', "\udcff",
    ],
)  # fmt: skip
def test_foreign_json_is_one_clear_error(corpus, directory, text):
    (directory / MANIFEST).write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(CorpusError, match=r"manifest\.json cannot be read \(.+\); run jobs/prepare\.py again"):
        Corpus.open(corpus.directory)


def test_another_version_of_the_schema(corpus, directory):
    tree = json.loads((directory / MANIFEST).read_text())
    (directory / MANIFEST).write_text(json.dumps({**tree, "schema_version": 99}))
    with pytest.raises(CorpusError, match=r"schema_version Input should be 2 .*input_value=99"):
        Corpus.open(corpus.directory)


def test_unknown_fields_are_not_guessed_at(corpus, directory):
    tree = json.loads((directory / MANIFEST).read_text())
    (directory / MANIFEST).write_text(json.dumps({**tree, "more": 1}))
    with pytest.raises(CorpusError, match="cannot be read"):
        Corpus.open(corpus.directory)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_missing_cut_and_changed_files_are_named(corpus, directory, which):
    file = corpus.files[which]
    path = directory / file.name
    data = path.read_bytes()
    path.write_bytes(data[:-1])
    size = f"{len(data) - 1} bytes, the manifest says {len(data)}"
    with pytest.raises(CorpusError, match=rf"{file.name} does not match the manifest: {size}; remove .* and run"):
        Corpus.open(corpus.directory)
    path.unlink()
    with pytest.raises(CorpusError, match=rf"{file.name} does not match the manifest: no bytes"):
        Corpus.open(corpus.directory)
    path.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    with pytest.raises(CorpusError, match=rf"{file.name} does not match the manifest: its checksum"):
        Corpus.open(corpus.directory).verify()
