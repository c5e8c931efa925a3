"""Whole translations on Ray, also killed ones; what they make is compared row for row."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hbt_ray.config import CorpusConfig, TranslateConfig
from hbt_ray.corpus.inputs import find_inputs, read_unit
from hbt_ray.corpus.prepare import prepare
from hbt_ray.errors import ClusterError, ConfigError, CorpusError
from hbt_ray.translation.codec import Codec
from hbt_ray.translation.estimate import estimate
from hbt_ray.translation.job import open_job, run_job
from hbt_ray.translation.translator import Splitter
from jobs import translate as translate_job
from tests.translation import toy

pytestmark = pytest.mark.ray
NUM_ITEMS = 60
SMALL = 2
REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def items():
    rng = random.Random(9)
    two = [" ".join(toy.sentence(rng) for _ in range(2)) for _ in range(NUM_ITEMS)]
    return [(f"i{at}", toy.sentence(rng, "?"), f"{text}\n\n{toy.sentence(rng, '!')}") for at, text in enumerate(two)]


def right(text):
    """The right answer of questions and passages as above."""
    blocks = []
    for block in text.split("\n\n"):
        sentences = block.replace(". ", ".|").split("|")
        blocks.append(" ".join(map(toy.answer, sentences)))
    return "\n\n".join(blocks)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory, items):
    """Two files of English rows; three items are there in German already, and one in Greek."""
    directory = tmp_path_factory.mktemp("input") / "corpus"
    directory.mkdir()
    english = [{"id": i, "lang": "en", "question": q, "passage": p, "source": "s", "weight": 2.0} for i, q, p in items]
    extra = [
        {"id": f"i{at}", "lang": lang, "question": "war da?", "passage": "ja.", "source": "s", "weight": 1.0}
        for at, lang in ((0, "de"), (7, "de"), (50, "deu"), (3, "el"))
    ]
    pq.write_table(pa.Table.from_pylist(english[:40] + extra), directory / "a.parquet")
    pq.write_table(pa.Table.from_pylist(english[40:]), directory / "b.parquet")
    (directory / "dev_ids.txt").write_text("i1\ni2\n")
    return directory


@pytest.fixture(scope="module")
def run(ray_session, corpus, toy_model):
    """Runs a translation: run(workspace, langs, **fields of the section) -> (store, manifest, news)."""

    def run_it(workspace, langs=("de",), *, progress=lambda *at: None, place=corpus, **fields):
        fields = {"precision": "float32", "rows_per_shard": SMALL, "cpus_per_translator": 1, **fields}
        config = TranslateConfig(langs=langs, model=str(toy_model), **fields)
        news = []
        read = CorpusConfig(input=str(place), dev_ids=str(place / "dev_ids.txt"))
        job = open_job(read, config, str(workspace), news.append)
        return job.store, run_job(job, news.append, progress), news

    return run_it


@pytest.fixture(scope="module")
def whole(run, tmp_path_factory):
    """A translation that nothing disturbed: its workspace, store, manifest, and what was told on the way."""
    workspace, seen = tmp_path_factory.mktemp("whole"), []
    store, manifest, _ = run(workspace, progress=lambda *at: seen.append(at))
    return workspace, store, manifest, seen


def all_rows(directory):
    """(id, lang) -> row of a corpus; each is there once."""
    rows = [row for unit in find_inputs(str(directory)).units for table in read_unit(unit) for row in table.to_pylist()]
    found = {(row["id"], row["lang"]): row for row in rows}
    assert len(found) == len(rows)
    return found


def shard_files(directory):
    """Path in the directory -> (bytes, time of change) of every shard, seen by readers or not."""
    return {
        path.relative_to(directory).as_posix().lstrip("_"): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in Path(directory).rglob("*.parquet")
    }


def same_rows(one, other):
    """Whether two directories have the same shards with the same rows, of the original and of German."""
    tables = [
        {
            path.relative_to(root).as_posix(): pq.read_table(path).to_pylist()
            for name in ("original", "de")
            for path in Path(root).glob(f"{name}/*.parquet")
        }
        for root in (one, other)
    ]
    return bool(tables[0]) and tables[0] == tables[1]


def test_a_corpus_is_translated_row_by_row(whole, items, corpus):
    _, store, manifest, seen = whole
    rows, before = all_rows(store.directory), all_rows(corpus)
    assert {key: row for key, row in rows.items() if key in before} == before
    fresh = {key: row for key, row in rows.items() if key not in before and key[1] == "de"}
    assert fresh == {
        (id_, "de"): {
            "id": id_, "lang": "de", "question": right(q), "passage": right(p), "source": "s", "weight": 2.0,
        }
        for id_, q, p in items
        if id_ not in ("i0", "i7", "i50")
    }  # fmt: skip
    assert manifest["langs"]["de"]["num_rows"] == len(fresh) == 57
    assert manifest["langs"]["de"]["num_cut"] == manifest["langs"]["de"]["num_empty"] == 0
    assert manifest["original"]["langs"] == {"de": 3, "el": 1, "en": 60}
    assert seen[-1][:3] == ("de", 57, 57)
    assert "tokens/s" in seen[-1][3]
    table = pq.read_table(f"{store.directory}/de")
    assert set(table["translated_from"].to_pylist()) == {"en"}
    assert {text.split(":")[0] for text in table["translator"].to_pylist()} == {"ctranslate2"}


def test_what_is_done_is_not_done_again(whole, run, corpus, small_base, tmp_path):
    workspace, store, first, _ = whole
    rows, files = all_rows(store.directory), shard_files(store.directory)
    num_shards = first["langs"]["de"]["shards"]
    _, _, news = run(workspace)
    assert f"de: all {num_shards} shards are done" in news
    assert shard_files(store.directory) == files

    again, manifest, _ = run(workspace, ["zh"])  # a language more: the others are not touched
    assert again.directory == store.directory
    assert {name: file for name, file in shard_files(store.directory).items() if not name.startswith("zh/")} == files
    assert set(manifest["langs"]) == {"de", "zh"}
    assert set(all_rows(store.directory)) == set(rows) | {(f"i{at}", "zh") for at in range(NUM_ITEMS)}

    place = shutil.copytree(corpus, tmp_path / "corpus")
    rng = random.Random(1)
    row = {"id": "new", "lang": "en", "question": toy.sentence(rng), "passage": toy.sentence(rng)}
    pq.write_table(pa.Table.from_pylist([row]), place / "c.parquet")
    grown, _, news = run(workspace, place=place)
    assert f"{store.directory} was made with another input: translating anew in {grown.directory}" in news
    assert f"de: {num_shards} shards taken from other translations of the same rows" in news
    assert set(all_rows(grown.directory)) == set(rows) | {("new", "en"), ("new", "de")}

    config = CorpusConfig(input=grown.directory, dev_ids=f"{grown.directory}/dev_ids.txt")
    prepared = prepare(config, small_base, str(tmp_path / "corpora"))
    assert prepared.manifest.splits["train"].items_per_lang == {"de": 59, "el": 1, "en": 59}
    assert prepared.manifest.splits["dev"].items_per_lang == {"de": 2, "el": 0, "en": 2}


@pytest.mark.drill
def test_a_killed_translator_redoes_no_finished_shard(run, ray_session, whole, tmp_path):
    from ray.util.state import list_actors

    killed: list[int] = []
    there: dict[str, object] = {}

    def kill(*at):
        if killed:
            return
        actors = list_actors(filters=[("state", "=", "ALIVE")], detail=True, limit=1000)
        killed.extend(actor.pid for actor in actors if "ShardTranslator" in actor.class_name)
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        (root,) = (tmp_path / "translations").glob("*")
        there.update(shard_files(root))

    store, manifest, _ = run(tmp_path, progress=kill)
    assert killed
    finished = {name: file for name, file in there.items() if name.startswith("de/")}
    assert 0 < len(finished) < manifest["langs"]["de"]["shards"]
    after = shard_files(store.directory)
    assert {name: after[name] for name in finished} == finished
    assert same_rows(store.directory, whole[1].directory)


def test_a_killed_driver_goes_on_where_it_was(run, ray_session, whole, corpus, toy_model, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"workspace: {tmp_path}\ncorpus: {{input: {corpus}}}\ntranslate: {{langs: [de], model: {toy_model}, "
        f"precision: float32, rows_per_shard: {SMALL}, cpus_per_translator: 1}}\n"
    )
    driver = subprocess.Popen(
        [sys.executable, "jobs/translate.py", "--recipe", str(recipe)],
        cwd=REPOSITORY,
        env={**os.environ, "RAY_ADDRESS": ray_session.get_runtime_context().gcs_address},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    root = tmp_path / "translations"
    try:
        deadline = time.monotonic() + 240
        while not list(root.glob("*/_de/*.parquet")):
            assert driver.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.002)
    finally:
        driver.send_signal(signal.SIGKILL)
        driver.wait()
    time.sleep(1)  # its translator is told by the cluster
    (directory,) = root.glob("*")
    finished = {name: file for name, file in shard_files(directory).items() if name.startswith("de/")}
    assert not (directory / "manifest.json").exists()
    assert not (directory / "de").exists()  # nobody reads half a language
    store, manifest, news = run(tmp_path)
    shards = manifest["langs"]["de"]["shards"]
    assert 0 < len(finished) < shards
    assert store.directory == str(directory)
    assert f"de: {len(finished)} of {shards} shards are done, going on" in news
    after = shard_files(directory)
    assert {name: after[name] for name in finished} == finished
    assert same_rows(store.directory, whole[1].directory)


def test_costs_are_told_beforehand(ray_session, corpus, toy_model, tmp_path, capsys):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"workspace: {tmp_path / 'work'}\ncorpus: {{input: {corpus}}}\ntranslate: {{langs: [de, zh], "
        f"model: {toy_model}, precision: float32, rows_per_shard: 10, cpus_per_translator: 1}}\n"
    )
    assert translate_job.main(["--recipe", str(recipe), "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "tokens/s of one" in out
    assert not (tmp_path / "work" / "translations").exists()
    config = TranslateConfig(
        langs=("de", "zh"), model=str(toy_model), precision="float32", tokens_per_second=36.0,
        cpus_per_translator=1,
    )  # fmt: skip
    job = open_job(CorpusConfig(input=str(corpus)), config, str(tmp_path / "work"))
    german, chinese = estimate(job)
    assert (german.num_rows, chinese.num_rows) == (57, 60)
    splitter = Splitter(Codec("toy", str(toy_model), "en"), config, "en")
    texts = [row[role] for row in all_rows(corpus).values() if row["lang"] == "en" for role in ("question", "passage")]
    assert chinese.num_chars == sum(map(len, texts))
    assert chinese.num_tokens == splitter.num_tokens(texts, "zh")  # the sample is all there is
    assert chinese.hours == pytest.approx(chinese.num_tokens / 36 / job.num_translators / 3600)


def test_what_cannot_be_done_is_told_in_one_line(run, corpus, tmp_path):
    place = shutil.copytree(corpus, tmp_path / "corpus")
    for fields, error, message in (
        ({"langs": ()}, ConfigError, r"name the languages to translate to"),
        ({"langs": ("de", "ger")}, ConfigError, r"a language is named twice"),
        ({"langs": ("en",)}, ConfigError, r"en is translate\.source_lang"),
        ({"langs": ("eo",)}, ConfigError, r"translate\.langs='eo' is not allowed: model .* it has af, "),
        ({"use_gpu": True}, ClusterError, r"translation needs 1 CPU and 1 GPU on one node"),
        ({"source_lang": "fr"}, CorpusError, r"has no rows in translate\.source_lang='fr'; it has en \(60\), de \(3\)"),
    ):
        with pytest.raises(error, match=message) as told:
            run(tmp_path, place=place, **fields)
        assert "\n" not in str(told.value)
    bad = {"id": "x", "lang": "en", "question": " ", "passage": "p"}
    pq.write_table(pa.Table.from_pylist([bad]), place / "d.parquet")
    with pytest.raises(CorpusError, match=r"has unusable rows: 1 x empty question \(e\.g\. id x, lang en\)"):
        run(tmp_path, place=place)
