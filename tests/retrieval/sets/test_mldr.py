"""MLDR in the files of its release."""

import pytest

from hbt_ray.errors import EvaluationError
from hbt_ray.retrieval.sets.catalog import load_set
from tests.retrieval.sets.test_catalog import gold_of, write_jsonl


def passage(name):
    return {"docid": name, "text": f"a long text of {name}"}


@pytest.fixture
def mldr(tmp_path):
    """English and German with the same ids; the second English question has no positive passage in the corpus."""
    for lang in ("en", "de"):
        folder = tmp_path / f"mldr-v1.0-{lang}"
        write_jsonl(folder / "corpus.jsonl.gz", [passage(name) for name in ("d1", "d2")])
        rows = [
            {"query_id": "q1", "query": f"{lang}?", "positive_passages": [passage("d2")], "negative_passages": []},
            {"query_id": "q2", "query": "b?", "positive_passages": [passage("d9")], "negative_passages": []},
        ]
        write_jsonl(folder / "test.jsonl.gz", rows if lang == "en" else rows[:1])
    (tmp_path / "qrels").mkdir()
    return tmp_path


def test_windows_and_truncated(mldr):
    rs = load_set(f"mldr:{mldr}?words=3&overlap=1")
    gold = {("de:q1", "de"): {("d2", "de"): 1}, ("en:q1", "en"): {("d2", "en"): 1}, ("en:q2", "en"): {}}
    assert gold_of(rs) == gold
    assert rs.num_lost.tolist() == [0, 0, 1]
    assert list(rs.queries) == ["de?", "en?", "b?"]
    assert list(rs.passages)[:2] == ["a long text", "text of d1"]
    assert rs.text_passages.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert rs.notes[0].startswith("test.jsonl.gz (en): 1 of 2 judgements (1 of them relevant) name passages that are")
    assert rs.notes[-1].startswith("4 documents are read in 8 windows of 3 words")
    cut = load_set(f"mldr_truncate:{mldr}", ["de"])
    assert (cut.langs, cut.num_passages, cut.text_passages) == (("de",), 2, None)
    assert "the rest is cut off" in cut.notes[0]


def test_wrong_input_is_named(mldr):
    with pytest.raises(EvaluationError, match=r"no mldr-v1.0-<lang>/corpus.jsonl\[.gz\] for fr; it has de, en"):
        load_set(f"mldr:{mldr}", ["fr"])
    with pytest.raises(EvaluationError, match=r"mldr-v1.0-de has no dev.jsonl\[.gz\]; it has corpus.jsonl.gz, test"):
        load_set(f"mldr:{mldr}?split=dev")
    write_jsonl(
        mldr / "mldr-v1.0-de" / "test.jsonl.gz", [{"query_id": "q1", "query": "q", "positive_passages": ["d1"]}]
    )
    with pytest.raises(EvaluationError, match=r"test.jsonl.gz line 1 needs the key 'positive_passages'"):
        load_set(f"mldr:{mldr}")
    write_jsonl(mldr / "mldr-v1.0-de" / "corpus.jsonl.gz", [{"_id": "d1", "text": "t"}])
    with pytest.raises(
        EvaluationError, match=r"corpus.jsonl.gz line 1 needs the keys 'docid' and 'text'.*has _id, text"
    ):
        load_set(f"mldr:{mldr}")
    with pytest.raises(EvaluationError, match="there is no directory"):
        load_set(f"mldr:{mldr / 'nowhere'}")
    with pytest.raises(EvaluationError, match="no directory for beir, but looks like mldr; try mldr:"):
        load_set(f"beir:{mldr}")
