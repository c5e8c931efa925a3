"""Retrieval sets of the shape of real ones, and vectors by which some answers are found and some missed."""

import numpy as np

from hbt_ray.arrays import IntArray, VectorArray
from hbt_ray.retrieval.sets.parallel import parallel_set
from hbt_ray.retrieval.sets.retrieval_set import RetrievalSet

DIM = 384
BLOCK_ROWS = 4096
NOISE = 2.0
"""Length of a text's own part against that of its topic and of its language, 1 each: mAP is neither 0 nor 1."""


def planted_vectors(rs: RetrievalSet, dim: int = DIM) -> tuple[VectorArray, VectorArray]:
    """Unit vectors (queries [Nq, dim], passages [Nd, dim]) of what is asked, the language, and noise."""
    rng = np.random.default_rng(0)
    keys, key = np.unique(rs.query_keys, return_inverse=True)
    topic = np.arange(rs.num_passages) + len(keys)  # a passage that answers nothing has a topic of its own
    topic[rs.gold_passages] = key[rs.gold_queries]
    topics = unit_vectors(rng, len(keys) + rs.num_passages, dim)
    langs = unit_vectors(rng, rs.num_langs, dim)

    def text(topic: IntArray, lang: IntArray) -> VectorArray:
        vectors: VectorArray = topics[topic] + langs[lang] + np.float32(NOISE) * unit_vectors(rng, len(topic), dim)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors

    return text(key, rs.query_langs), text(topic, rs.passage_langs)


def synthetic_xquad_r(num_langs: int = 11, num_questions: int = 1190, num_passages: int = 13_014) -> RetrievalSet:
    """Parallel questions, each answered by one passage in every language; some passages answer none, or several."""
    rng = np.random.default_rng(0)
    bounds = np.linspace(0, num_passages, num_langs + 1).astype(np.int64)
    answers = rng.integers(0, np.diff(bounds).min(), num_questions)
    gold = answers[:, None] + bounds[:-1]
    return RetrievalSet(
        name="synthetic xquad_r",
        langs=tuple(f"l{number:02}" for number in range(num_langs)),
        query_langs=np.repeat(np.arange(num_langs), num_questions),
        query_keys=np.tile(np.arange(num_questions), num_langs),
        passage_langs=np.repeat(np.arange(num_langs), np.diff(bounds)),
        passage_ids=np.arange(num_passages),
        gold_offsets=np.arange(num_langs * num_questions + 1) * num_langs,
        gold_passages=np.tile(gold, (num_langs, 1)).ravel(),
    )


def synthetic_ntrex(num_langs: int = 128, num_items: int = 123) -> RetrievalSet:
    """Items that are a question and a passage in every language."""
    langs = tuple(f"l{number:03}" for number in range(num_langs))
    return parallel_set("synthetic ntrex128", langs, np.ones((num_items, num_langs), dtype=bool))


def unit_vectors(rng: np.random.Generator, num_rows: int, dim: int) -> VectorArray:
    """Random unit vectors [num_rows, dim], made in place: a temporary of the full size would be a peak of memory."""
    vectors = np.empty((num_rows, dim), dtype=np.float32)
    for start in range(0, num_rows, BLOCK_ROWS):
        block = vectors[start : start + BLOCK_ROWS]
        rng.standard_normal(dtype=np.float32, out=block)
        block /= np.linalg.norm(block, axis=1, keepdims=True)
    return vectors
