"""Sets whose passages are several texts, and the checks of grades and parts."""

import numpy as np
import pytest

from hbt_ray.errors import EvaluationError
from hbt_ray.retrieval.scoring.ranks import gold_ranks
from hbt_ray.retrieval.scoring.score import score
from hbt_ray.retrieval.scoring.search import search, search_set
from hbt_ray.retrieval.sets.retrieval_set import RetrievalSet
from tests.retrieval.conftest import brute_ranking, random_set, tied_vectors


def parted_set(rng, **sizes):
    """(a random set of passages with 1 to 4 texts each, the same set with one text a passage)."""
    rs = random_set(rng, **sizes)
    parts = np.repeat(np.arange(rs.num_passages), rng.integers(1, 5, rs.num_passages))
    return RetrievalSet(**{**vars(rs), "text_passages": parts}), rs


def best_scores(rs, queries, texts):
    scores = queries @ texts.T
    return np.stack([scores[:, rs.text_passages == row].max(axis=1) for row in range(rs.num_passages)], axis=1)


@pytest.mark.parametrize("tile_bytes", [1, 2**20])
def test_ranks_are_by_the_best_text(tile_bytes):
    for seed in range(5):
        rng = np.random.default_rng(seed)
        parted, _ = parted_set(rng, num_queries=40, num_passages=30)
        queries, texts = tied_vectors(rng, 40), tied_vectors(rng, parted.num_texts)
        scores = best_scores(parted, queries, texts)
        got = gold_ranks(parted, queries, texts, tile_bytes)
        for pair, (query, row) in enumerate(zip(parted.gold_queries, parted.gold_passages, strict=True)):
            same = np.flatnonzero(parted.passage_langs == parted.passage_langs[row])
            for ranks, rows in ((got.within, same), (got.pooled, np.arange(30))):
                assert ranks[pair] == 1 + np.flatnonzero(brute_ranking(scores[query], rows) == row)[0]


def test_search_is_by_passage(monkeypatch):
    for seed in range(3):
        rng = np.random.default_rng(seed)
        parted, plain = parted_set(rng, num_queries=20, num_passages=30)
        queries, texts = tied_vectors(rng, 20), tied_vectors(rng, parted.num_texts)
        scores = best_scores(parted, queries, texts)
        want = np.stack([brute_ranking(row, np.arange(30)) for row in scores])
        for tile in (1, 2**20):
            monkeypatch.setattr("hbt_ray.retrieval.scoring.search.TILE_BYTES", tile)
            got = search_set(parted, queries, texts, 7)
            np.testing.assert_array_equal(got.ids, want[:, :7])
            np.testing.assert_array_equal(got.scores, np.take_along_axis(scores, want[:, :7], axis=1))
        assert search_set(parted, queries, texts, 99).ids.shape == (20, 30)
        passages = tied_vectors(rng, 30)
        np.testing.assert_array_equal(search_set(plain, queries, passages, 7).ids, search(queries, passages, 7).ids)


def test_one_text_a_passage_scores_as_without_parts():
    rng = np.random.default_rng(0)
    rs = random_set(rng, num_queries=40, num_passages=30)
    parted = RetrievalSet(**{**vars(rs), "text_passages": np.arange(30)})
    queries, passages = tied_vectors(rng, 40), tied_vectors(rng, 30)
    assert score(parted, queries, passages).to_json() == score(rs, queries, passages).to_json()


@pytest.mark.parametrize(
    ("field", "values", "message"),
    [
        ("text_passages", [0, 1, 1], "must name every passage, in ascending order"),
        ("text_passages", [0, 2, 1], "must name every passage, in ascending order"),
        ("text_passages", [0, 1, 3], r"text_passages\[2\] is 3"),
        ("gold_grades", [1, 0, 1], "holds grades below 1"),
        ("gold_grades", [1, 1], r"gold_grades has shape \(2,\)"),
        ("passages", ["one", "two"], "2 passages but 3 rows"),
    ],
)
def test_wrong_parts_and_grades_are_named(field, values, message):
    fields = {
        "name": "tiny",
        "langs": ("en",),
        "query_langs": [0, 0],
        "query_keys": [0, 1],
        "passage_langs": [0, 0, 0],
        "passage_ids": [0, 1, 2],
        "gold_offsets": [0, 2, 3],
        "gold_passages": [0, 1, 2],
    }
    with pytest.raises(EvaluationError, match=message):
        RetrievalSet(**{**fields, field: values})


def test_vectors_are_those_of_the_texts():
    rng = np.random.default_rng(0)
    parted, _ = parted_set(rng, num_queries=5, num_passages=6)
    with pytest.raises(EvaluationError, match=f"needs {parted.num_texts} rows"):
        gold_ranks(parted, tied_vectors(rng, 5), tied_vectors(rng, parted.num_texts + 1))


def test_texts_are_encoded_and_scored():
    """Each query is the last word of its document, which only a window far from the beginning holds."""

    def encode(texts):
        return np.array([[1.0 if f"w{at}" in text.split() else 0.0 for at in range(40)] for text in texts])

    documents = [[f"w{number}" for number in range(first, first + 10)] for first in range(0, 40, 10)]
    texts = [" ".join(words[at : at + 5]) for words in documents for at in (0, 5)]
    rs = RetrievalSet(
        name="long",
        langs=("en",),
        query_langs=[0] * 4,
        query_keys=range(4),
        passage_langs=[0] * 4,
        passage_ids=range(4),
        gold_offsets=range(5),
        gold_passages=range(4),
        text_passages=[0, 0, 1, 1, 2, 2, 3, 3],
        queries=[words[-1] for words in documents],
        passages=texts,
    )
    scores = score(rs, encode(rs.queries), encode(rs.passages), top_k=2)
    assert scores.headline()["mono_map"] == 1.0
    assert scores.num_passages.tolist() == [4]
