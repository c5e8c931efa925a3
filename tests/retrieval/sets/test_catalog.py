"""Retrieval sets from the public file forms, small ones written here and the real ones."""

import gzip
import json

import ir_measures
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hbt_ray.errors import EvaluationError
from hbt_ray.evaluation.worst import worst_queries
from hbt_ray.retrieval.scoring.score import score
from hbt_ray.retrieval.sets.builder import LEFT_OUT, NEVER_FOUND
from hbt_ray.retrieval.sets.catalog import OPTIONS, SETS, load_set, parse_name, sets_help
from hbt_ray.retrieval.sets.windows import Chunking, window_texts, windows
from tests.retrieval.conftest import rank_metrics


def write_jsonl(path, rows):
    text = "".join(json.dumps(row) + "\n" for row in rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


def write_qrels(path, rows, header="query-id\tcorpus-id\tscore\n"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(header + "".join("\t".join(map(str, row)) + "\n" for row in rows))


def docs(*names, **extra):
    return [{"_id": name, "title": f"T{name}", "text": f"text of {name}", **extra} for name in names]


def gold_of(rs):
    """(query key, query language) -> {(passage id, passage language): grade}."""
    found = {}
    for query in range(rs.num_queries):
        pairs = range(rs.gold_offsets[query], rs.gold_offsets[query + 1])
        found[str(rs.query_keys[query]), rs.langs[rs.query_langs[query]]] = {
            (str(rs.passage_ids[rs.gold_passages[at]]), rs.langs[rs.gold_langs[at]]): int(rs.grades[at]) for at in pairs
        }
    return found


@pytest.fixture
def beir(tmp_path):
    write_jsonl(tmp_path / "corpus.jsonl.gz", docs("a", "b", "c"))
    write_jsonl(tmp_path / "queries.jsonl", docs("q1", "q2", "q3"))
    write_qrels(tmp_path / "qrels" / "test.tsv", [("q1", "a", 2), ("q1", "b", 0), ("q2", "c", 1)])
    return tmp_path


@pytest.mark.parametrize("header", ["query-id\tcorpus-id\tscore\n", ""])
def test_beir(beir, header):
    write_qrels(beir / "qrels" / "test.tsv", [("q1", "a", 2), ("q1", "b", 0), ("q2", "c", 1)], header)
    rs = load_set(f"beir:{beir}", ["en"])
    assert gold_of(rs) == {("q1", "en"): {("a", "en"): 2}, ("q2", "en"): {("c", "en"): 1}}
    assert list(rs.passages) == ["Ta text of a", "Tb text of b", "Tc text of c"]
    assert list(rs.queries) == ["text of q1", "text of q2"]
    assert rs.notes == ("1 queries are not judged in this split and are left out.",)
    assert load_set(f"beir:{beir}").langs == ("und",)


def test_beir_in_parquet_is_the_same_set(beir, tmp_path):
    want = load_set(f"beir:{beir}")
    other = tmp_path / "parquet"
    for side, file in (("corpus", "corpus.jsonl.gz"), ("queries", "queries.jsonl")):
        raw = (beir / file).read_bytes()
        rows = [json.loads(line) for line in (gzip.decompress(raw) if file.endswith("gz") else raw).splitlines()]
        (other / side).mkdir(parents=True)
        for part in range(2):
            pq.write_table(pa.Table.from_pylist(rows[part::2]), other / side / f"{side}-0000{part}-of-00002.parquet")
    (beir / "qrels").rename(other / "qrels")
    got = load_set(f"beir:{other}")
    assert gold_of(got) == gold_of(want)
    assert sorted(got.passages) == sorted(want.passages)
    (other / "corpus" / "corpus-00000-of-00002.parquet").write_bytes(b"none")
    with pytest.raises(EvaluationError, match=r"00000-of-00002.parquet is not a readable Parquet file"):
        load_set(f"beir:{other}")


def test_languages_can_be_in_the_name(several):
    assert load_set(f"beir:{several}?langs=th,en").langs == ("th", "en")
    assert load_set(f"beir:{several}?langs=th,en", ["de"]).langs == ("de",)


def test_files_that_are_cut_or_in_another_encoding(beir):
    whole = (beir / "corpus.jsonl.gz").read_bytes()
    (beir / "corpus.jsonl.gz").write_bytes(whole[:-12])
    with pytest.raises(EvaluationError, match=r"corpus.jsonl.gz: damaged, or cut off, after line \d; fetch it again"):
        load_set(f"beir:{beir}")
    (beir / "corpus.jsonl.gz").write_bytes(whole[:12] + bytes(20) + whole[32:])
    with pytest.raises(EvaluationError, match=r"corpus.jsonl.gz: damaged, or cut off, after line 0"):
        load_set(f"beir:{beir}")
    (beir / "corpus.jsonl.gz").write_bytes(gzip.compress('{"_id": "a", "text": "é"}\n'.encode("latin-1")))
    with pytest.raises(EvaluationError, match=r"corpus.jsonl.gz is not in UTF-8, but in Latin-1"):
        load_set(f"beir:{beir}")
    (beir / "corpus.jsonl.gz").write_bytes(gzip.compress('\ufeff{"_id": "a", "text": "é"}\n'.encode()))
    assert list(load_set(f"beir:{beir}").passages) == ["é"]


def test_a_repeated_id_is_found_behind_blank_lines_and_in_the_second_language(several):
    rows = [*docs("a", "b", "c"), *docs("b")]
    text = "".join(json.dumps(row) + "\n\n" for row in rows)
    (several / "corpus.en.jsonl").write_text(text)
    with pytest.raises(EvaluationError, match=r"corpus.en.jsonl line 7 has the id b"):
        load_set(f"beir:{several}")


def test_relevant_passages_that_are_absent_count_as_in_trec_eval(beir):
    rows = [("q1", "a", 1), ("q1", "b", 1), ("q1", "gone", 2), ("q2", "gone", 1), ("q3", "c", 1)]
    write_qrels(beir / "qrels" / "test.tsv", rows)
    rs = load_set(f"beir:{beir}")
    assert f"{NEVER_FOUND}, of 2 queries." in rs.notes[0]
    vectors = np.eye(3, 4, dtype=np.float32) + np.float32(0.1)
    queries = np.stack([vectors[0] + vectors[1] / 2, vectors[0], vectors[2]])
    ranked = rank_metrics(rs, queries, vectors).means()
    scores = score(rs, queries, vectors)
    run = [
        ir_measures.ScoredDoc(key, str(rs.passage_ids[row]), -float(rank))
        for key, ranking in zip(["q1", "q2", "q3"], np.argsort(-(queries @ vectors.T), axis=1), strict=True)
        for rank, row in enumerate(ranking)
    ]
    qrels = [ir_measures.Qrel(query, passage, grade) for query, passage, grade in rows]
    measures = [ir_measures.R @ 100, ir_measures.nDCG @ 10, ir_measures.RR @ 10, ir_measures.AP]
    want = [float(value) for value in map(ir_measures.calc_aggregate(measures, qrels, run).get, measures)]
    for where in ("mono", "pool"):
        got = [ranked[f"{where}_{name}"] for name in ("r100", "ndcg10", "mrr10")]
        assert [*got, scores.headline()[f"{where}_map"]] == pytest.approx(want)
    assert [query.key for query in worst_queries(rs, queries, vectors, scores)] == ["q1", "q3"]


@pytest.mark.parametrize(("kind", "form"), [("miracl", "beir"), ("mldr", "beir"), ("xquad_r", "beir")])
def test_a_directory_of_another_benchmark_is_told(beir, kind, form):
    with pytest.raises(EvaluationError, match=f"no directory for {kind}, but looks like {form}; try {form}:"):
        load_set(f"{kind}:{beir}")


def test_a_directory_one_level_too_high_is_told(several, tmp_path_factory):
    above = tmp_path_factory.mktemp("above")
    several.rename(above / "set")
    with pytest.raises(EvaluationError, match=f"no directory for beir, but set in it is; pass {above / 'set'}"):
        load_set(f"beir:{above}")


def test_beir_splits(beir):
    write_qrels(beir / "qrels" / "train.tsv", [("q3", "a", 1)])
    assert list(gold_of(load_set(f"beir:{beir}?split=train"))) == [("q3", "und")]
    with pytest.raises(EvaluationError, match=r"no dev.tsv\[.gz\]; it has test.tsv, train.tsv"):
        load_set(f"beir:{beir}?split=dev")


def test_what_does_not_fit_is_noted_and_not_logged(beir, caplog):
    write_jsonl(beir / "corpus.jsonl.gz", [*docs("a", "b"), {"_id": "c", "text": " "}])
    rows = [("q1", "a", 1), ("q2", "x", 1), ("q2", "y", 0), ("q9", "a", 1), ("q3", "b", 0)]
    write_qrels(beir / "qrels" / "test.tsv", rows)
    rs = load_set(f"beir:{beir}")
    assert rs.notes == (
        "test.tsv: 1 of 5 judgements name queries that are not there: q9.",
        f"test.tsv: 2 of 5 judgements (1 of them relevant) name passages that are not there: x, y. {NEVER_FOUND}, "
        "of 1 queries.",
        "1 judged queries have no relevant passage here and are left out: q3.",
        "1 passages are empty, and ranked like the others: c.",
    )
    assert not caplog.records  # whoever shows the scores shows the notes, once
    assert list(rs.query_keys) == ["q1", "q2"]
    assert rs.num_lost.tolist() == [0, 1]
    assert rs.num_passages == 3


def replace_line(path, text):
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("corpus.jsonl.gz", '{"_id": "a", "text": "t"}\n\n{', r"corpus.jsonl.gz line 3: not valid JSON"),
        ("corpus.jsonl.gz", '{"_id": "a"}', r"corpus.jsonl.gz line 1 needs the keys '_id' and 'text'"),
        (
            "corpus.jsonl.gz",
            '{"_id": ["a"], "text": "t"}',
            r"line 1 needs the keys '_id' and 'text' .*it has _id, text",
        ),
        ("corpus.jsonl.gz", "[]", r"line 1 is '\[\]'; a JSON object"),
        ("corpus.jsonl.gz", '{"_id": "a", "text": "\\ud800"}', r"line 1: not valid JSON .*surrogates not allowed"),
        ("corpus.jsonl.gz", '{"_id": "a", "text": "t"}\n' * 2, r"corpus.jsonl.gz line 2 has the id a"),
        ("queries.jsonl", '{"_id": "q1", "text": "t"}\n' * 2, r"queries.jsonl line 2 has the id q1"),
        ("queries.jsonl", '{"_id": "q1", "text": " "}\n', r"queries.jsonl line 1: query q1 has no text"),
        ("qrels/test.tsv", "q1\ta\n", r"test.tsv line 1 is 'q1 a', but needs query-id"),
        ("qrels/test.tsv", "q1\ta\t1\nq2\ta\thigh\n", r"test.tsv line 2 is 'q2 a high'"),
        ("qrels/test.tsv", "q1\ta\t1\nq1\ta\t2\n", r"q1 and passage a as 1 and as 2"),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\n", r"test.tsv has no judgements"),
        ("qrels/test.tsv", "q1\ta\t0\n", r"no query of set 'beir' has a relevant passage"),
    ],
)
def test_malformed_files_are_named_with_the_line(beir, file, text, message):
    replace_line(beir / file, text)
    with pytest.raises(EvaluationError, match=message):
        load_set(f"beir:{beir}")


def test_what_is_missing_is_named(beir, tmp_path):
    with pytest.raises(EvaluationError, match="there is no directory"):
        load_set(f"beir:{tmp_path / 'nowhere'}")
    with pytest.raises(EvaluationError, match="give one code"):
        load_set(f"beir:{beir}", ["en", "de"])
    (beir / "corpus.jsonl.gz").write_bytes(b"not gzip")
    with pytest.raises(EvaluationError, match=r"corpus.jsonl.gz: damaged, or cut off, after line 0"):
        load_set(f"beir:{beir}")
    (beir / "corpus.jsonl.gz").unlink()
    with pytest.raises(EvaluationError, match=r"has no corpus.jsonl\[.gz\]; it has qrels, queries.jsonl"):
        load_set(f"beir:{beir}")
    with pytest.raises(EvaluationError, match="has the option 'words'; beir takes langs, split"):
        load_set(f"beir:{beir}?words=3")
    with pytest.raises(EvaluationError, match="not KIND:DIRECTORY or KIND:hub with KIND one of xquad_r"):
        load_set(f"trec:{beir}")


@pytest.fixture
def several(tmp_path):
    """Passage a in English and German, b in German; queries in English, German and (without a corpus) Thai."""
    write_jsonl(tmp_path / "corpus.en.jsonl", docs("a", "c"))
    write_jsonl(tmp_path / "corpus.de.jsonl.gz", docs("a", "b"))
    for lang in ("en", "de", "th"):
        write_jsonl(tmp_path / f"queries.{lang}.jsonl", docs("q1", "q2"))
    write_qrels(tmp_path / "qrels" / "dev.tsv", [("q1", "a", 1), ("q2", "b", 3)])
    return tmp_path


def test_beir_of_several_languages(several):
    rs = load_set(f"beir:{several}")
    assert rs.langs == ("de", "en", "th")
    both = {("a", "de"): 1, ("a", "en"): 1}
    assert gold_of(rs) == {("q1", lang): both for lang in rs.langs} | {
        ("q2", lang): {("b", "de"): 3} for lang in rs.langs
    }
    assert rs.notes == ("th has no corpus: its queries are ranked in the other languages alone.",)
    chosen = load_set(f"beir:{several}", ["en", "th"])
    assert gold_of(chosen) == {("q1", lang): {("a", "en"): 1} for lang in ("en", "th")}
    assert "1 judged queries have no relevant passage here and are left out: q2." in chosen.notes
    assert any(LEFT_OUT in note for note in chosen.notes)
    with pytest.raises(EvaluationError, match="for fr; it has de, en, th"):
        load_set(f"beir:{several}", ["en", "fr"])
    for path in several.glob("corpus.*"):
        path.unlink()
    with pytest.raises(EvaluationError, match=r"none named corpus.<lang>.jsonl"):
        load_set(f"beir:{several}")


@pytest.fixture
def miracl(tmp_path):
    """English and German use the same ids for other questions and passages; German has its corpus in 2 files."""
    for lang, names in (("en", ["1#0", "1#1"]), ("de", ["1#0", "2#0"])):
        rows = [{"docid": name, "title": lang, "text": name} for name in names]
        for number, row in enumerate(rows if lang == "de" else [rows]):
            part = f"docs-{9 + number}.jsonl.gz" if lang == "de" else "corpus.jsonl"
            write_jsonl(tmp_path / lang / part, [row] if lang == "de" else row)
        (tmp_path / lang / "topics.dev.tsv").write_text(f"5\tquestion in {lang}?\n6\tother\n")
    write_qrels(tmp_path / "en" / "qrels.dev.tsv", [(5, "Q0", "1#1", 1), (6, "Q0", "2#0", 1)], "")
    write_qrels(tmp_path / "de" / "qrels.dev.tsv", [(5, "Q0", "1#0", 1), (5, "Q0", "2#0", 0)], "")
    return tmp_path


def test_miracl(miracl):
    rs = load_set(f"miracl:{miracl}")
    assert gold_of(rs) == {("de:5", "de"): {("1#0", "de"): 1}, ("en:5", "en"): {("1#1", "en"): 1}, ("en:6", "en"): {}}
    assert rs.num_lost.tolist() == [0, 0, 1]
    assert list(rs.passages) == ["de 1#0", "de 2#0", "en 1#0", "en 1#1"]  # docs-9 before docs-10
    # 2#0 is a passage of German alone, so the English judgement names one that is not there.
    assert rs.notes == (
        "qrels.dev.tsv (en): 1 of 2 judgements (1 of them relevant) name passages that are not there: 2#0. "
        f"{NEVER_FOUND}, of 1 queries.",
        "1 queries are not judged in this split and are left out.",
    )
    with pytest.raises(EvaluationError, match="for th; it has de, en"):
        load_set(f"miracl:{miracl}", ["th"])
    with pytest.raises(EvaluationError, match=r"no topics.train.tsv\[.gz\] or topics.miracl-v1.0-en-train"):
        load_set(f"miracl:{miracl}?split=train", ["en"])
    (miracl / "en" / "topics.dev.tsv").write_text("5 no tab\n")
    with pytest.raises(EvaluationError, match=r"topics.dev.tsv line 1 is '5 no tab'"):
        load_set(f"miracl:{miracl}")


def test_windows():
    text = "one two  three four five"
    assert windows(text, Chunking(words=3, overlap=1)) == ["one two  three", "three four five"]
    assert windows(text, Chunking(words=2, overlap=0)) == ["one two", "three four", "five"]
    assert windows(text, Chunking(words=9, overlap=8)) == [text]
    assert windows(" ", Chunking()) == [""]
    assert windows("日本語のab文", Chunking(words=3, overlap=1)) == ["日本語", "語のab", "ab文"]
    assert window_texts("T", "a b c", Chunking(words=2, overlap=0)) == ["T a b", "T c"]
    assert window_texts("", "d", Chunking()) == ["d"]
    with pytest.raises(EvaluationError, match="windows of 3 words with an overlap of 3"):
        Chunking(words=3, overlap=3)


def test_every_word_is_in_a_window_and_none_but_the_overlap_twice():
    for count in range(1, 40):
        words = [f"w{number}" for number in range(count)]
        cut = [window.split() for window in windows(" ".join(words), Chunking(words=7, overlap=3))]
        assert cut[0] + [word for window in cut[1:] for word in window[3:]] == words
        assert all(len(window) > 3 for window in cut[1:])


def test_long_documents_by_windows_or_cut(beir):
    rs = load_set(f"longdoc:{beir}?words=2&overlap=1")
    assert list(rs.passages) == [f"T{name} {part}" for name in "abc" for part in ("text of", f"of {name}")]
    assert rs.text_passages.tolist() == [0, 0, 1, 1, 2, 2]
    assert (rs.num_passages, rs.num_texts) == (3, 6)
    assert "3 documents are read in 6 windows of 2 words, overlapping by 1" in rs.notes[-1]
    cut = load_set(f"longdoc_truncate:{beir}")
    assert cut.text_passages is None
    assert "the rest is cut off" in cut.notes[0]
    with pytest.raises(EvaluationError, match="option words of the retrieval set is 'two'"):
        load_set(f"longdoc:{beir}?words=two")


def write_long(path, rows):
    names = ("id", "lang", "question", "passage")
    pq.write_table(pa.table({name: [row[at] for row in rows] for at, name in enumerate(names)}), path)


def test_long_form(tmp_path):
    path = tmp_path / "set.parquet"
    rows = [
        ("x", "en", "q x", "same"),
        ("y", "en", "q y", "same"),
        ("z", "en", "q z", " "),
        ("y", "de", "f y", "p y"),
        ("x", "de", "f x", "p x"),
    ]
    write_long(path, rows)
    rs = load_set(f"parallel:{path}")
    assert list(rs.queries) == ["f x", "f y", "q x", "q y"]
    assert list(rs.passages) == ["p x", "p y", "same", "same"]
    assert list(rs.passage_ids) == list(rs.query_keys) == ["x", "y", "x", "y"]
    english = {("x", "en"): 1, ("y", "en"): 1}  # one text, so relevant where one of them is
    want = {key: english | {(key, "de"): 1} for key in "xy"}
    assert gold_of(rs) == {(key, lang): want[key] for lang in ("de", "en") for key in "xy"}
    assert rs.notes == ("1 rows have no question or no passage and are left out: z.",)
    assert load_set(f"parallel:{tmp_path}", ["en"]).langs == ("en",)
    with pytest.raises(EvaluationError, match="no rows in th; it has de, en"):
        load_set(f"parallel:{path}", ["th"])
    write_long(path, [*rows, rows[0]])
    with pytest.raises(EvaluationError, match="row 6 has the id x, which an earlier row has"):
        load_set(f"parallel:{path}")
    pq.write_table(pa.table({"id": ["x"]}), path)
    with pytest.raises(EvaluationError, match="lacks the columns lang, question, passage"):
        load_set(f"parallel:{path}")
    path.write_bytes(b"no Parquet")
    with pytest.raises(EvaluationError, match="not a readable Parquet file"):
        load_set(f"parallel:{path}")
    with pytest.raises(EvaluationError, match="no Parquet file at"):
        load_set(f"parallel:{tmp_path / 'nowhere'}")


@pytest.mark.data
def test_the_real_sets_have_their_published_sizes(real_data):
    small = real_data / "ir_small"
    scifact = load_set(f"beir:{small / 'scifact'}", ["en"])
    assert (scifact.num_queries, scifact.num_passages, len(scifact.gold_passages)) == (300, 5183, 339)
    stories = load_set(f"longdoc:{small / 'fairytaleqa_longdoc_en'}?split=val", ["en"])
    assert stories.num_passages == 278
    assert (np.bincount(stories.text_passages) > 0).all()
    languages = load_set(
        f"parallel:{real_data / 'many_lang_parallel' / 'ntrex128_headline_qa.parquet'}", ["deu", "zul"]
    )
    assert np.bincount(languages.query_langs).tolist() == [123, 123]


def test_help_lists_every_kind_and_option_and_each_is_taken():
    text = sets_help()
    fetched = {kind: entry.allowed(True)[len(entry.allowed(False)) :] for kind, entry in SETS.items()}
    for kind, entry in SETS.items():
        (line,) = (line for line in text.splitlines() if line[2:].startswith(f"{kind} "))
        options = ["langs", *entry.options, *(f"{option} (hub)" for option in fetched[kind])]
        assert line.endswith(f"{entry.about}: {', '.join(options)}")
        assert line.startswith("+ ") is bool(entry.hub)
        for option in entry.options:
            assert parse_name(f"{kind}:x?{option}=1")[2] == {option: "1"}
        for option in fetched[kind]:
            assert parse_name(f"{kind}:hub?{option}=1")[2] == {option: "1"}
    taken = {"langs", *fetched["beir"]}.union(*(entry.options for entry in SETS.values()))
    for option in taken:
        assert f"\n  {option} " in text.partition("options of sets:")[2]
    assert set(OPTIONS) == taken
    assert max(map(len, text.splitlines())) <= 110
