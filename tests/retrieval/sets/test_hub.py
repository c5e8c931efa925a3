"""Fetched sets: a stand-in hub with the public layouts, filtered by the patterns as the hub's client does it."""

import gzip
import shutil
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError
from huggingface_hub.utils import filter_repo_objects

from hbt_ray.errors import EvaluationError
from hbt_ray.retrieval.sets import hub
from hbt_ray.retrieval.sets.catalog import load_set
from hbt_ray.retrieval.sets.hub import fetch_set
from tests.retrieval.sets.test_catalog import docs, gold_of, write_jsonl, write_qrels


@pytest.fixture
def repos(tmp_path):
    """repository -> its files, with some that no set needs."""
    root = tmp_path / "repositories"
    for lang in ("de", "sw"):
        text = {"docid": "1#0", "title": lang, "text": "text"}
        write_jsonl(root / f"miracl/miracl-corpus/miracl-corpus-v1.0-{lang}/docs-0.jsonl.gz", [text])
        for split in ("train", "dev"):
            names = {kind: f"{kind}/{kind}.miracl-v1.0-{lang}-{split}.tsv" for kind in ("topics", "qrels")}
            folder = root / f"miracl/miracl/miracl-v1.0-{lang}"
            write_qrels(folder / names["topics"], [("5", f"{split} question")], "")
            write_qrels(folder / names["qrels"], [("5", "Q0", "1#0", 1)], "")
        passage = {"docid": f"doc-{lang}-1", "text": "a b c"}
        folder = root / f"Shitao/MLDR/mldr-v1.0-{lang}"
        write_jsonl(folder / "corpus.jsonl.gz", [passage])
        row = {"query_id": f"q-{lang}-1", "query": "q", "positive_passages": [passage], "negative_passages": []}
        for split in ("train", "test"):
            write_jsonl(folder / f"{split}.jsonl.gz", [row])
    for side, names in (("corpus", ("a", "b")), ("queries", ("q1",))):
        path = root / "BeIR/scifact" / side / f"{side}-00000-of-00001.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(docs(*names)), path)
    write_jsonl(root / "BeIR/nfcorpus/corpus.jsonl.gz", docs("a", "b"))
    write_jsonl(root / "BeIR/nfcorpus/queries.jsonl.gz", docs("q1"))
    for name in ("scifact", "nfcorpus"):
        write_qrels(root / f"BeIR/{name}-qrels/test.tsv", [("q1", "b", 1)])
        (root / f"BeIR/{name}-qrels/README.md").write_text("about")
    return root


@pytest.fixture
def online(repos, tmp_path, monkeypatch):
    """`load_set` against the stand-in; gives the directory of the cache."""

    def snapshot(repo_id, *, repo_type, allow_patterns, local_dir):
        assert repo_type == "dataset"
        source = repos / repo_id
        files = [str(path.relative_to(source)) for path in source.rglob("*") if path.is_file()]
        for file in filter_repo_objects(files, allow_patterns=allow_patterns):
            (local_dir / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / file, local_dir / file)

    def cache(library, *, namespace, subfolder):
        return tmp_path / "cache" / library / namespace / subfolder

    monkeypatch.setattr(hub, "cached_assets_path", cache)
    monkeypatch.setitem(fetch_set.__kwdefaults__, "snapshot", snapshot)
    return tmp_path / "cache" / "hbt_ray"


def held(directory):
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())


def test_miracl(online):
    rs = load_set("miracl:hub", ["sw"])
    assert gold_of(rs) == {("sw:5", "sw"): {("1#0", "sw"): 1}}
    assert list(rs.queries) == ["dev question"]
    assert held(online / "miracl" / "default") == [
        "miracl-corpus-v1.0-sw/docs-0.jsonl.gz",
        "miracl-v1.0-sw/qrels/qrels.miracl-v1.0-sw-dev.tsv",
        "miracl-v1.0-sw/topics/topics.miracl-v1.0-sw-dev.tsv",
    ]
    both = load_set("miracl:hub?langs=sw,de&split=train")
    assert list(both.queries) == ["train question", "train question"]
    assert list(both.query_keys) == ["sw:5", "de:5"]


def test_mldr(online):
    rs = load_set("mldr:hub?words=2&overlap=0", ["de"])
    assert gold_of(rs) == {("de:q-de-1", "de"): {("doc-de-1", "de"): 1}}
    assert list(rs.passages) == ["a b", "c"]
    assert held(online / "mldr" / "default") == ["mldr-v1.0-de/corpus.jsonl.gz", "mldr-v1.0-de/test.jsonl.gz"]
    assert load_set("mldr_truncate:hub?langs=de").num_texts == 1


@pytest.mark.parametrize("name", ["scifact", "nfcorpus"])
def test_beir_as_parquet_or_json_lines(online, name):
    rs = load_set(f"beir:hub?name={name}", ["en"])
    assert gold_of(rs) == {("q1", "en"): {("b", "en"): 1}}
    assert "qrels/test.tsv" in held(online / "beir" / name)
    assert "qrels/README.md" not in held(online / "beir" / name)


@pytest.mark.data
def test_xquad_r_comes_from_its_authors(xquad_r, tmp_path, monkeypatch):
    opened = []

    def urlopen(url, timeout):
        opened.append(url)
        return gzip.open(xquad_r / "original" / f"{url.rpartition('/')[2]}.gz")

    monkeypatch.setattr(hub, "urlopen", urlopen)
    monkeypatch.setattr(hub, "cached_assets_path", lambda *_, **__: tmp_path)
    for _ in range(2):
        rs = load_set("xquad_r:hub", ["en", "th"])
    assert (rs.num_queries, rs.num_passages) == (2 * 1190, 1180 + 852)
    assert opened == [f"{hub.XQUAD_R.url}/{lang}.json" for lang in ("en", "th")]
    assert held(tmp_path) == ["en.json", "th.json"]


def test_offline_is_one_clear_line(tmp_path, monkeypatch):
    def snapshot(*_, **__):
        raise LocalEntryNotFoundError("Cannot find an appropriate cached snapshot folder.\nOffline.")

    with pytest.raises(
        EvaluationError, match=r"the data set Shitao/MLDR cannot be fetched from the hub.*go online"
    ) as e:
        fetch_set(hub.MLDR, ["de"], "test", snapshot=snapshot, root=tmp_path)
    assert "\n" not in str(e.value)
    # The hub's own client, which the tests keep offline.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(EvaluationError, match=r"miracl/miracl cannot be fetched from the hub.*pass a directory"):
        fetch_set(hub.MIRACL, ["sw"], "dev", root=tmp_path / "empty")
    absent = replace(hub.XQUAD_R, url=(tmp_path / "none").as_uri())
    with pytest.raises(EvaluationError, match=r"none/en.json cannot be fetched.*go online, or pass a directory"):
        fetch_set(absent, ["en"], root=tmp_path)
    assert held(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "langs", "message"),
    [
        ("miracl:hub", [], "fetches the languages that are asked for, and none is; name some of ar, bn"),
        ("mldr:hub", ["xx"], "mldr:hub has no xx; name some of ar, de"),
        ("beir:hub", [], "needs the option name, such as beir:hub.name=scifact"),
        ("mldr:hub?name=x", ["de"], "has the option 'name'; mldr takes langs, split, words, overlap"),
        (
            "parallel:hub",
            [],
            "parallel:hub is not known; xquad_r, mlqa_r, .*beir, miracl, mldr, mldr_truncate can be fetched",
        ),
        ("beir:elsewhere?name=x", [], "has the option 'name'; beir takes langs, split"),
    ],
)
def test_wrong_names_are_told(name, langs, message):
    with pytest.raises(EvaluationError, match=message):
        load_set(name, langs)
