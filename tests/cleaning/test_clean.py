import itertools
import json
import pickle
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hbt_ray.cleaning import clean_corpus as clean_module
from hbt_ray.cleaning import partition as module
from hbt_ray.cleaning.clean_corpus import Cleaned, clean
from hbt_ray.cleaning.counts import CleanCounts, KeptCounts
from hbt_ray.cleaning.partition import first_rows, whole_items
from hbt_ray.cleaning.rejected import rejected_table, sample_lines, sample_rejected
from hbt_ray.cleaning.rules import judge
from hbt_ray.config import CleanConfig, CorpusConfig
from hbt_ray.corpus.inputs import find_inputs, read_unit
from hbt_ray.corpus.prepare import prepare
from hbt_ray.corpus.rows import check_rows
from hbt_ray.errors import ConfigError, CorpusError
from hbt_ray.model.encoder import Encoder
from hbt_ray.reports.corpus_card import clean_card, write_clean_card, write_prepared_card
from jobs import clean as clean_job

TOPICS = ("river", "mountain", "engine", "garden", "harbour", "market", "bridge", "forest", "library", "kitchen")


SHARED = "Diesen einen Satz hier hat ein anderer Satz auch."


def english(item):
    topic, other = TOPICS[item % 10], TOPICS[(item // 10 + 3) % 10]
    return {
        "question": f"What is said about the {topic} of place number {item + 100}?",
        "passage": f"The {topic} of place number {item + 100} lies behind the {other}, and {item * 37 + 1000} people "
        f"come to see it in every month of the year {1900 + item}; nobody has ever written down why.",
    }


def german(item):
    return {
        "question": f"Was wird über den Ort mit der Nummer {item + 100} gesagt?",
        "passage": f"Den Ort mit der Nummer {item + 100} findet man hinter einem anderen, und {item * 37 + 1000} Leute "
        f"kommen in jedem Monat des Jahres {1900 + item}, um ihn zu sehen; niemand hat je aufgeschrieben warum.",
    }


def rows_of(num_items):
    rows = []
    for item in range(num_items):
        name = {"id": f"i{item}", "source": f"s{item % 2}"}
        rows += [{**name, "lang": "en", **english(item)}, {**name, "lang": "deu", **german(item)}]
    return rows


def row(rows, id_, lang):
    return next(row for row in rows if row["id"] == id_ and row["lang"] == lang)


@pytest.fixture(scope="module")
def spoiled(tmp_path_factory):
    """An input of 40 items with what is wrong in it: (path, (id, lang) -> reason)."""
    rows, wrong = rows_of(40), {}

    def spoil(item, reason, **texts):
        row(rows, f"i{item}", "deu").update(texts)
        wrong[f"i{item}", "de"] = reason

    spoil(1, "length_ratio: passage", passage="Der Ort.")
    spoil(2, "wrong_language: passage", passage=english(3)["passage"])
    spoil(3, "untranslated: question", question=english(3)["question"])
    spoil(4, "repetition: passage", passage=german(4)["passage"][:60] + " immer wieder" * 25)
    spoil(
        5, "numbers: passage", passage=german(5)["passage"].replace("105", "").replace("1185", "").replace("1905", "")
    )
    spoil(6, "markup: passage", passage=german(6)["passage"] + " \ufffd")
    row(rows, "i20", "deu")["passage"] += " " + SHARED
    copies = {"en": english(7), "deu": german(7)}
    for lang, texts in copies.items():
        rows.append({"id": "copy", "source": "s1", "lang": lang, **texts})
    rows.append({"id": "english only", "source": "s1", "lang": "en", **english(7)})  # lacks a language: no duplicate
    rows.append({"id": "i8", "source": "s0", "lang": "fr", "question": " ", "passage": "vide"})
    path = tmp_path_factory.mktemp("spoiled")
    pq.write_table(pa.Table.from_pylist(rows), path / "rows.parquet")
    (path / "dev_ids.txt").write_text("i9\ni10\n")
    (path / "licences.json").write_text(json.dumps({"s0": "CC0 1.0"}))
    return path, wrong


@pytest.mark.ray
def test_the_job_cleans_once_and_shows_rejected_rows(ray_session, spoiled, tmp_path, capsys):
    path, _ = spoiled
    recipe = Path(__file__).parents[2] / "jobs" / "recipes" / "clean.yaml"
    arguments = ["--recipe", str(recipe), f"workspace={tmp_path}", f"corpus.input={path}", "clean.max_copied=0.7"]
    assert clean_job.main(arguments) == 0
    said = capsys.readouterr().out
    (directory,) = (tmp_path / "cleaned").glob("[!.]*")
    assert f"dev items: those in {path}/dev_ids.txt" in said
    assert f"kept  corpus.input={directory}/kept" in said
    assert (directory / "card.html").is_file()
    assert clean_job.main([*arguments, "--show", "markup", "--rows", "3"]) == 0
    said = capsys.readouterr().out
    assert "already there" in said
    assert "markup: passage (2)  de  i6  [s0]" in said
    assert f"against: {english(6)['question']}" in said


def all_rows(location):
    return [row for unit in find_inputs(location).units for table in read_unit(unit) for row in table.to_pylist()]


@pytest.mark.ray
def test_every_row_is_kept_or_rejected_with_its_reason(ray_session, spoiled, tmp_path, small_base):
    path, wrong = spoiled
    known = tmp_path / "known.parquet"
    texts = {"id": "known", "question": "What is said in Wien?", "passage": f"Vorher. {SHARED} Nachher."}
    pq.write_table(pa.Table.from_pylist([{**texts, "lang": "de"}, {**texts, "lang": "en", "passage": "z"}]), known)
    rules = CleanConfig(check_against=(f"parallel:{known}",), contamination="remove", max_copied=0.7)
    news = []
    found = clean(CorpusConfig(input=str(path)), rules, str(tmp_path / "cleaned"), report=news.append)
    kept, rejected = all_rows(found.kept), sample_rejected(found.directory, num=1000)
    expected = dict(wrong)
    gone = {row["id"] for row in rejected if row["reason"] == "duplicate"}
    assert len(gone) == 1
    assert gone < {"copy", "i7"}
    expected.update({(id_, lang): "duplicate" for id_ in gone for lang in ("en", "de")})
    shared = "contamination: shared run with parallel:known.parquet"
    expected.update({("i20", lang): shared for lang in ("en", "de")})  # in all languages, though one is found
    assert {(row["id"], row["lang"]): row["reason"] for row in rejected} == expected
    everything = {(row["id"], {"deu": "de"}.get(row["lang"], row["lang"])) for row in all_rows(str(path))}
    kept_keys = [(row["id"], row["lang"]) for row in kept]
    assert len(kept_keys) == len(set(kept_keys))
    assert set(kept_keys) == everything - set(expected) - {("i8", "fr")}
    for row_ in rejected:
        if row_["reason"] == "duplicate":
            assert {row_["id"], row_["other_id"]} == {"copy", "i7"}
            assert row_["other_question"] == english(7)["question"]
        elif row_["lang"] == "de":
            assert row_["other_passage"] == english(int(row_["id"][1:]))["passage"]
    counts = found.counts
    assert counts.unusable == {"empty question": 1}
    assert counts.rows == {"en": 42, "de": 41}
    assert counts.kept.rows == Counter(lang for _, lang in kept_keys)
    assert counts.kept.items == len({id_ for id_, _ in kept_keys}) == 40
    assert counts.kept.pairs == {"de en": 39 - len(wrong)}
    assert counts.kept.sources.total() == 40
    assert counts.contamination["parallel:known.parquet"]["shared run"] == {"de": 1}
    assert {reason: langs.total() for reason, langs in counts.rejected.items()} == Counter(expected.values())
    assert not list((tmp_path / "cleaned").glob("*/.work"))

    # What was kept is prepared with the same dev items, and the card of that says what was rejected.
    corpus = prepare(
        CorpusConfig(input=found.kept, dev_ids=f"{found.kept}/dev_ids.txt"), small_base, str(tmp_path / "c")
    )
    assert corpus.manifest.splits["dev"].num_items == 2
    write_prepared_card(corpus)
    card = json.loads(next((tmp_path / "c").glob("*/card.json")).read_text())
    assert {count["what"] for count in card["rejected"]} == set(expected.values())
    assert {row["source"]: row["licence"] for row in card["sources"]} == {"s0": "CC0 1.0", "s1": "not stated"}
    assert card["coverage"] == [[counts.kept.rows["de"], 39 - len(wrong)], [39 - len(wrong), 40]]

    # With a model, translations that it finds to mean something else are rejected too.
    table = check_rows(pa.Table.from_pylist(rows_of(3)))
    encoder = Encoder.load(small_base)
    english_, german_ = (
        encoder.encode([f"{texts(item)['question']}\n{texts(item)['passage']}" for item in range(3)], "passage")
        for texts in (english, german)
    )
    cosines = np.sum(english_ * german_, axis=1)
    judged = judge(table, CleanConfig(model=small_base, min_similarity=float(np.median(cosines)), rules=()))
    assert judged.reasons.tolist() == [
        "similarity" if row["lang"] == "de" and cosines[int(row["id"][1:])] < np.median(cosines) else ""
        for row in table.to_pylist()
    ]
    assert np.nanmin(judged.values) == pytest.approx(cosines.min(), abs=1e-5)

    again = clean(CorpusConfig(input=str(path)), rules, str(tmp_path / "cleaned"), report=news.append)
    assert "already there" in news[-1]
    assert again == found
    page = write_clean_card(found)
    assert "CC0 1.0" in Path(page).read_text()
    assert rejected_table(found).row_count == len(counts.rejected) + 1 + 2
    assert any("untranslated: question" in line for line in sample_lines(sample_rejected(found.directory, "untransl")))


def test_the_same_input_is_cleaned_alike_whatever_its_files_and_chunks(in_process, spoiled, tmp_path, monkeypatch):
    path, _ = spoiled
    rows = pq.read_table(path / "rows.parquet").to_pylist()
    many = tmp_path / "many"
    many.mkdir()
    for part in range(3):
        with (many / f"{part}.jsonl").open("w") as file:
            file.writelines(json.dumps(row) + "\n" for row in reversed(rows[part::3]))
    one = clean(CorpusConfig(input=str(path)), CleanConfig(), str(tmp_path / "one"), report=lambda line: None)
    monkeypatch.setattr(module, "CHUNK_ROWS", 3)
    other = clean(CorpusConfig(input=str(many)), CleanConfig(), str(tmp_path / "two"), report=lambda line: None)
    assert one.counts == other.counts
    assert all_rows(one.kept) == all_rows(other.kept)
    only = clean(
        CorpusConfig(input=str(path), langs=("de",)), CleanConfig(), str(tmp_path / "three"), report=lambda line: None
    )
    assert set(only.counts.rows) == {"de"}
    assert set(only.counts.rejected) == {
        "wrong_language: passage",
        "repetition: passage",
        "markup: passage",
        "duplicate",
    }


def test_a_stopped_job_goes_on_and_ends_alike(in_process, spoiled, tmp_path, monkeypatch):
    path, _ = spoiled
    config, rules = CorpusConfig(input=str(path)), CleanConfig(max_copied=0.7)
    whole = clean(config, rules, str(tmp_path / "whole"), report=lambda line: None)
    calls = Counter()

    def stopping(name, at):
        """The function of the module, interrupted after its work at its call number `at`."""
        function = getattr(clean_module, name)

        def call(*args):
            calls[name] += 1
            made = function(*args)
            if calls[name] == at:
                raise KeyboardInterrupt
            return made

        monkeypatch.setattr(clean_module, name, call)

    stopping("clean_partition", 3)
    stopping("find_duplicates", 1)
    stopping("remove_items", 1)
    stopping("put_in_place", 1)
    news = []
    for _ in range(4):
        with pytest.raises(KeyboardInterrupt):
            clean(config, rules, str(tmp_path / "stopped"), report=news.append)
    found = clean(config, rules, str(tmp_path / "stopped"), report=news.append)
    parts = len(list(Path(whole.kept).glob("*.parquet")))
    assert calls["clean_partition"] == parts + 1
    assert calls["remove_items"] == 2
    assert sum("going on where a stopped job was" in line for line in news) == 4
    assert f"cleaned 2/{parts} partitions" in news
    assert found.counts == whole.counts
    for place in ("kept", "rejected"):
        assert all_rows_of(f"{found.directory}/{place}") == all_rows_of(f"{whole.directory}/{place}")
    assert not (Path(found.directory) / ".work").exists()


def all_rows_of(directory):
    return {path.name: pq.read_table(path).to_pylist() for path in sorted(Path(directory).glob("*.parquet"))}


def test_languages_that_are_not_judged_are_said_once(in_process, tmp_path):
    rows = [{"id": f"i{item}", "lang": lang, **english(item)} for item in range(3) for lang in ("en", "tlh", "hi-Latn")]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "x.parquet")
    for rules, expected in ((CleanConfig(), 1), (CleanConfig(rules=("repetition",)), 0)):
        news = []
        found = clean(CorpusConfig(input=str(tmp_path / "x.parquet")), rules, str(tmp_path / "c"), report=news.append)
        said = "not judged by language, because the identifier does not know them: hi-Latn, tlh"
        assert news.count(said) == expected
        assert clean_card(found).facts.get("not judged by language") == ("hi-Latn, tlh" if expected else None)


def test_a_model_is_known_by_its_files(in_process, tmp_path, monkeypatch):
    monkeypatch.setattr(clean_module, "takes_gpu", lambda use_gpu: False)
    pq.write_table(pa.Table.from_pylist([{"id": "a", "lang": "en", **english(1)}]), tmp_path / "x.parquet")

    def cleaned(weights):
        (tmp_path / "model").mkdir(exist_ok=True)
        (tmp_path / "model" / "config.json").write_text("{}")
        (tmp_path / "model" / "model.safetensors").write_bytes(weights)
        rules = CleanConfig(model=str(tmp_path / "model"))
        return clean(CorpusConfig(input=str(tmp_path / "x.parquet")), rules, str(tmp_path / "c")).directory

    first = cleaned(b"one")
    assert cleaned(b"other") != first
    assert cleaned(b"one") == first
    with pytest.raises(ConfigError, match=r"clean\.model='no/such' cannot be had: .* the hub says"):
        clean(CorpusConfig(input=str(tmp_path / "x.parquet")), CleanConfig(model="no/such"), str(tmp_path / "c"))


def test_an_input_of_which_nothing_is_left(in_process, tmp_path):
    pq.write_table(pa.Table.from_pylist([{"id": "a", "lang": "de", **english(1)}]), tmp_path / "x.parquet")
    with pytest.raises(CorpusError, match=r"no row is left after cleaning; see .*/rejected"):
        clean(CorpusConfig(input=str(tmp_path / "x.parquet")), CleanConfig(), str(tmp_path / "c"))
    (directory,) = (tmp_path / "c").glob("[!.]*")
    assert Cleaned.open(str(directory)) is None
    assert len(sample_rejected(str(directory))) == 1


def test_slices_end_where_items_end():
    ids = ["a", "a", "a", "b", "c", "c", "d"]
    table = pa.table({"id": ids})
    for size in range(1, 9):
        parts = [part["id"].to_pylist() for part in whole_items(table, size)]
        assert [id_ for part in parts for id_ in part] == ids
        assert all(a[-1] != b[0] for a, b in itertools.pairwise(parts))
        assert all(len(part) >= size for part in parts[:-1])
    assert list(whole_items(pa.table({"id": pa.array([], pa.string())}), 3)) == []


def test_the_row_that_stands_for_an_item():
    rows = [("a", "de"), ("a", "en"), ("b", "de"), ("b", "fr"), ("c", "en")]
    table = pa.table({
        "id": [id_ for id_, _ in rows], "lang": [lang for _, lang in rows],
        "question": ["q"] * 5, "passage": ["p"] * 5,
    })  # fmt: skip
    assert first_rows(table, "en")["lang"].to_pylist() == ["en", "de", "en"]
    assert module.item_starts(table["id"]).tolist() == [0, 2, 4]


def test_counts_add_up():
    rows = pa.table({"id": ["a", "a", "b"], "lang": ["en", "de", "en"], "source": ["x", "x", "y"]})
    one = CleanCounts(items=2, rows=Counter(en=2, de=1), unusable=Counter({"empty id": 1}))
    one.reject("numbers: passage", ["de"])
    one.contamination = {"set": {"same question": Counter(en=1)}}
    one.kept.count_rows(rows)
    one.kept.count_rows(rows.slice(0, 0))
    assert one.kept == KeptCounts(2, Counter(en=2, de=1), Counter({"de en": 1}), Counter(x=1, y=1))
    again = pickle.loads(pickle.dumps(one))  # as it comes from a task
    again.add(one)
    assert again.items == 4
    assert again.rejected == {"numbers: passage": {"de": 2}}
    assert again.contamination["set"]["same question"] == {"en": 2}
    assert again.kept.pairs == {"de en": 2}
