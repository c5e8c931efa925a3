"""Texts that a corpus shares with a set that models will be scored on: equal questions, and runs of words.

Of a set nothing but hashes is held: one of each question, and one of each run of `clean.run_words` words in its
questions and passages (`clean.run_chars` characters in languages that write no spaces). A text that is too short for a
run is one as a whole, from `MIN_WORDS` words: an equal text is found, what holds it is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hbt_ray.cleaning.hashing import normalise, runs, tokens
from hbt_ray.config.clean import CleanConfig
from hbt_ray.corpus.shards import text_hash
from hbt_ray.errors import ConfigError
from hbt_ray.languages import unspaced
from hbt_ray.retrieval.sets.retrieval_set import RetrievalSet

BATCH = 4096
MIN_WORDS, MIN_CHARS = 4, 8
"""Words, or characters in languages that write no spaces, that a text must have to be compared: shorter ones are common
phrases."""


@dataclass(frozen=True)
class KnownTexts:
    """Hashes of the texts of one retrieval set."""

    name: str
    questions: np.ndarray
    """uint64, sorted and distinct: normalised questions."""
    runs: np.ndarray
    """uint64, sorted and distinct: runs of words of questions and passages."""
    num_short: int = 0
    """Passages that are too short to be compared."""


@dataclass(frozen=True)
class Overlap:
    """Texts of rows that are in a set too."""

    same_question: np.ndarray
    """bool [n]."""
    shared_runs: np.ndarray
    """int64 [n]: runs of question, passage and negatives that the set has too."""


def known_texts(retrieval_set: RetrievalSet, name: str, config: CleanConfig) -> KnownTexts:
    """The hashes of a set.

    Raises:
        ConfigError: the set has no texts.
    """
    if retrieval_set.queries is None or retrieval_set.passages is None:
        raise ConfigError(f"clean.check_against: {name} has no texts to compare with")
    langs = [retrieval_set.langs[lang] for lang in retrieval_set.query_langs]
    owners = (
        np.arange(len(retrieval_set.passages)) if retrieval_set.text_passages is None else retrieval_set.text_passages
    )
    passage_langs = [retrieval_set.langs[retrieval_set.passage_langs[owner]] for owner in owners]
    asked = {normalise(text) for text in retrieval_set.queries} - {""}
    questions = np.sort(np.array([text_hash(text) for text in asked], np.uint64))
    question_runs, _ = _distinct_runs(
        retrieval_set.queries, langs, config
    )  # short questions are compared as a whole anyhow
    passage_runs, num_short = _distinct_runs(retrieval_set.passages, passage_langs, config)
    return KnownTexts(name, questions, np.union1d(question_runs, passage_runs), num_short)


def overlap(
    questions: Sequence[str],
    passages: Sequence[str],
    langs: Sequence[str],
    known: KnownTexts,
    config: CleanConfig,
    negatives: Sequence[Sequence[str] | None] = (),
) -> Overlap:
    """Texts of rows that are in a set too; `negatives` are in the language of their row, none where it is empty."""
    hashes = np.array([text_hash(normalise(text)) for text in questions], np.uint64)
    shared = np.zeros(len(langs), np.int64)
    others = [(row, text) for row, texts in enumerate(negatives) for text in texts or ()]
    for texts in (list(enumerate(questions)), list(enumerate(passages)), others):
        parts = [runs_of(text, langs[row], config) for row, text in texts]
        owner = np.repeat(np.array([row for row, _ in texts], np.int64), [len(part) for part in parts])
        flat = np.concatenate(parts) if parts else np.zeros(0, np.uint64)
        shared += np.bincount(owner[_among(flat, known.runs)], minlength=len(langs))
    return Overlap(_among(hashes, known.questions), shared)


def runs_of(text: str, lang: str, config: CleanConfig) -> np.ndarray:
    """uint64: the runs of a text that are compared: all of it where it is shorter than one, none where too short."""
    sequence = tokens(text, lang)
    length, least = (config.run_chars, MIN_CHARS) if unspaced(lang) else (config.run_words, MIN_WORDS)
    return runs(sequence, min(length, max(least, len(sequence))))


def _distinct_runs(texts: Sequence[str], langs: Sequence[str], config: CleanConfig) -> tuple[np.ndarray, int]:
    """The runs of all texts, and how many texts have none."""
    out, num_short = np.zeros(0, np.uint64), 0
    for start in range(0, len(texts), BATCH):
        batch = zip(texts[start : start + BATCH], langs[start : start + BATCH], strict=True)
        parts = [runs_of(text, lang, config) for text, lang in batch]
        num_short += sum(not len(part) for part in parts)
        out = np.union1d(out, np.concatenate(parts))
    return out, num_short


def _among(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """bool [n]: which values are in a sorted array."""
    if not len(known):
        return np.zeros(len(values), bool)
    places = np.minimum(np.searchsorted(known, values), len(known) - 1)
    among: np.ndarray = known[places] == values
    return among
