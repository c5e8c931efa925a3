import datasets
import pytest
from datasets import Features, List, Value

from hbt_ray.corpus.inputs import find_inputs, read_unit
from hbt_ray.corpus.readers import named as reader
from hbt_ray.corpus.readers import units
from hbt_ray.corpus.rows import SCHEMA, check_rows
from hbt_ray.corpus.sources import SOURCES
from hbt_ray.errors import CorpusError

TEXT, BOOL, INT = Value("string"), Value("bool"), Value("int64")
SQUAD_FEATURES = Features(
    id=TEXT, title=TEXT, context=TEXT, question=TEXT, answers={"text": List(TEXT), "answer_start": List(Value("int32"))}
)
PASSAGES = List({"docid": TEXT, "title": TEXT, "text": TEXT})


def squad(id_, question, *answers):
    spans = {"text": list(answers), "answer_start": [0 for _ in answers]}
    return {"id": id_, "title": "T", "context": f"About {question}", "question": question, "answers": spans}


def passage(title, text):
    return {"docid": "1#2", "title": title, "text": text}


CASES = {
    "squad": ("plain_text", SQUAD_FEATURES, [squad("a1", "who", "x")], [("a1", "who", "About who", None)]),
    "squad_v2": (
        "squad_v2",
        SQUAD_FEATURES,
        [squad("a1", "who"), squad("a2", "why", "x", "y")],
        [("a2", "why", "About why", None)],
    ),
    "newsqa": (
        "default",
        Features(
            context=TEXT,
            question=TEXT,
            answers=List(TEXT),
            key=TEXT,
            labels=List({"end": List(INT), "start": List(INT)}),
        ),
        [
            {
                "context": "(CNN) -- News",
                "question": "What?",
                "answers": ["News"],
                "key": "k1",
                "labels": [{"end": [4], "start": [2]}],
            }
        ],
        [("k1", "What?", "(CNN) -- News", None)],
    ),
    "duorc": (
        "ParaphraseRC",
        Features(
            plot_id=TEXT, plot=TEXT, title=TEXT, question_id=TEXT, question=TEXT, answers=List(TEXT), no_answer=BOOL
        ),
        [
            {"plot_id": "p", "plot": "A plot", "title": "T", "question_id": q, "question": f"{q}?", "answers": ["a"],
             "no_answer": none}
            for q, none in (("q1", False), ("q2", True))
        ],
        [("q1", "q1?", "A plot", None)],
    ),
    "natural_questions": (
        "pair",
        Features(query=TEXT, answer=TEXT),
        [{"query": "q0", "answer": "a0"}, {"query": "q1", "answer": "a1"}],
        [("0", "q0", "a0", None), ("1", "q1", "a1", None)],
    ),
    "yahoo_qa": (
        "title-answer-pair",
        Features(title=TEXT, answer=TEXT),
        [{"title": "why is the sky blue", "answer": "light"}],
        [("0", "why is the sky blue", "light", None)],
    ),
    "wikiqa": (
        "default",
        Features(
            question_id=TEXT,
            question=TEXT,
            document_title=TEXT,
            answer=TEXT,
            label=datasets.ClassLabel(names=["0", "1"]),
        ),
        [
            {"question_id": q, "question": f"{q}?", "document_title": "D", "answer": a, "label": label}
            for q, a, label in (("Q1", "no", 0), ("Q1", "yes", 1), ("Q1", "also", 1), ("Q2", "un", 0), ("Q3", "y", 1))
        ],
        [("Q1", "Q1?", "yes", ["no"]), ("Q1-1", "Q1?", "also", ["no"]), ("Q3", "Q3?", "y", None)],
    ),
    "entity_questions": (
        "default",
        Features(question=TEXT, answers=List(TEXT), ctxs=List({"id": TEXT, "title": TEXT, "text": TEXT, "score": TEXT,
                                                               "has_answer": BOOL})),
        [
            {"question": "Where was X born?", "answers": ["Y"], "ctxs": [
                {"id": "1", "title": "Z", "text": "no", "score": "9", "has_answer": False},
                {"id": "2", "title": "X", "text": "was born in Y", "score": "8", "has_answer": True},
                {"id": "3", "title": "", "text": "in Y too", "score": "7", "has_answer": True},
            ]},
            {"question": "Who?", "answers": ["W"], "ctxs": [
                {"id": "1", "title": "Z", "text": "no", "score": "9", "has_answer": False}]},
        ],
        [("0", "Where was X born?", "X was born in Y", ["Z no"])],
    ),
    "mfaq": (
        "en",
        Features(
            domain=TEXT, qa_pairs=List({"question": TEXT, "answer": TEXT, "language": TEXT}), num_pairs=INT, id=INT,
            language=TEXT,
        ),
        [
            {"domain": "x.com", "num_pairs": 2, "id": 7, "language": "en", "qa_pairs": [
                {"question": f"q{n}?", "answer": f"a{n}", "language": "en"} for n in range(2)]}
        ],
        [("7-0", "q0?", "a0", None), ("7-1", "q1?", "a1", None)],
    ),
    "mr_tydi": (
        "english",
        Features(query_id=TEXT, query=TEXT, positive_passages=PASSAGES, negative_passages=PASSAGES),
        [
            {"query_id": "1", "query": "When?", "positive_passages": [passage("A", "in 1920"), passage("", "1920")],
             "negative_passages": [passage("B", "no"), passage("C", "nor")]}
        ],
        [("1", "When?", "A in 1920", ["B no", "C nor"]), ("1-1", "When?", "1920", ["B no", "C nor"])],
    ),
    "mmarco": (
        "english",
        Features(query=TEXT, positive=TEXT, negative=TEXT),
        [{"query": "q0", "positive": "p0", "negative": "n0"}, {"query": "q1", "positive": "p1", "negative": " "}],
        [("0", "q0", "p0", ["n0"]), ("1", "q1", "p1", None)],
    ),
}  # fmt: skip


def save(directory, config, features, rows):
    datasets.Dataset.from_list(rows, features=features).save_to_disk(directory / config)


def read(location):
    tables = [check_rows(table) for unit in find_inputs(location).units for table in read_unit(unit)]
    return [row for table in tables for row in table.to_pylist()]


def test_every_source_has_a_case_here():
    assert set(CASES) == set(SOURCES)
    assert all(source.licence and source.citation and source.configs for source in SOURCES.values())


@pytest.mark.parametrize("name", sorted(CASES))
def test_rows_of_a_set_become_items(name, tmp_path):
    config, features, rows, expected = CASES[name]
    save(tmp_path, config, features, rows)
    items = read(f"source:{name}:{tmp_path}?langs=en")
    scope = f"{name}:en" if name in ("mfaq", "mr_tydi") else name
    assert [(row["id"], row["question"], row["passage"], row["negatives"]) for row in items] == [
        (f"{scope}:{id_}", question, passage, negatives) for id_, question, passage, negatives in expected
    ]
    assert {(row["lang"], row["source"], row["problem"]) for row in items} == {("en", name, None)}


def test_languages_of_a_triple_are_one_item(tmp_path, monkeypatch):
    monkeypatch.setattr(units, "ROWS_A_UNIT", 2)
    monkeypatch.setattr(reader, "READ_ROWS", 2)
    _, features, _, _ = CASES["mmarco"]
    for config, code in (("english", "en"), ("german", "de")):
        rows = [{"query": f"{code} q{n}", "positive": f"{code} p{n}", "negative": f"{code} n{n}"} for n in range(5)]
        save(tmp_path, config, features, rows)
    items = read(f"source:mmarco:{tmp_path}?langs=en+deu&rows=3")
    assert [(row["id"], row["question"]) for row in items] == [
        (f"mmarco:{n}", f"{code} q{n}") for code in ("en", "de") for n in range(3)
    ]
    assert len(find_inputs(f"source:mmarco:{tmp_path}?langs=en").units) == 3


def test_the_same_id_in_languages_that_are_no_translations_is_two_items(tmp_path):
    _, features, rows, _ = CASES["mr_tydi"]
    for config in ("english", "finnish"):
        save(tmp_path, config, features, [{**rows[0], "query": f"{config}?"}])
    items = read(f"source:mr_tydi:{tmp_path}?langs=en+fi")
    assert [(row["id"], row["question"]) for row in items] == [
        (f"mr_tydi:{lang}:{number}", f"{config}?")
        for lang, config in (("en", "english"), ("fi", "finnish"))
        for number in ("1", "1-1")
    ]
    parallel = {name for name, source in SOURCES.items() if source.parallel}
    assert parallel == {"mmarco"}


def test_candidates_of_a_question_stay_in_one_unit(tmp_path, monkeypatch):
    monkeypatch.setattr(units, "ROWS_A_UNIT", 2)
    config, features, rows, expected = CASES["wikiqa"]
    save(tmp_path, config, features, rows)
    assert len(find_inputs(f"source:wikiqa:{tmp_path}").units) == 1
    assert len(read(f"source:wikiqa:{tmp_path}")) == len(expected)


def test_what_cannot_be_read_is_one_clear_line(tmp_path, monkeypatch):
    with pytest.raises(CorpusError, match="source:sqad is not known; there are duorc, "):
        find_inputs("source:sqad")
    with pytest.raises(CorpusError, match="has no sw; it has ar, de"):
        find_inputs("source:mmarco?langs=sw")
    with pytest.raises(CorpusError, match="has the option 'lang'; it takes langs, rows, split"):
        find_inputs("source:mmarco?lang=en")
    with pytest.raises(CorpusError, match="rows='0' is not a number above 0"):
        find_inputs("source:mmarco?rows=0")
    with pytest.raises(CorpusError, match="entity_questions is not on the hub; give its directory"):
        find_inputs("source:entity_questions")
    save(tmp_path, "plain_text", Features(id=TEXT, text=TEXT), [{"id": "a", "text": "b"}])
    with pytest.raises(CorpusError, match=r"source:squad rows 0-0 are not as its entry says .*; columns: id, text"):
        read(f"source:squad:{tmp_path}")


def test_without_network_one_line_says_what_to_do(monkeypatch):
    def offline(*args, **kwargs):
        raise ConnectionError("Couldn't reach the Hugging Face Hub")

    monkeypatch.setattr(datasets, "load_dataset", offline)
    reader._load.cache_clear()
    with pytest.raises(CorpusError) as caught:
        find_inputs("source:squad")
    message = str(caught.value)
    assert "\n" not in message
    for part in ("rajpurkar/squad (plain_text, train)", "ConnectionError", "go online", "source:squad:DIRECTORY"):
        assert part in message


def test_the_hub_is_asked_for_what_the_entry_says(monkeypatch):
    asked = []

    def load_dataset(*args, **kwargs):
        asked.append((*args, kwargs))
        return datasets.Dataset.from_list(CASES["mr_tydi"][2], features=CASES["mr_tydi"][1])

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    reader._load.cache_clear()
    assert len(read("source:mr_tydi?langs=en")) == 2
    reader._load.cache_clear()
    assert asked == [("castorini/mr-tydi", "english", {"split": "train", "revision": "refs/convert/parquet"})]


def test_tables_have_the_schema_that_checks_give(tmp_path):
    config, features, rows, _ = CASES["mr_tydi"]
    save(tmp_path, config, features, rows)
    (unit,) = find_inputs(f"source:mr_tydi:{tmp_path}?langs=en").units
    (table,) = read_unit(unit)
    assert check_rows(table).schema == SCHEMA
