"""XQuAD-R and MLQA-R (LAReQA, arXiv 2004.05484): answer sentences in many languages to parallel questions."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from hbt_ray.errors import EvaluationError
from hbt_ray.retrieval.sets.lareqa_files import find_files, read_language
from hbt_ray.retrieval.sets.retrieval_set import RetrievalSet

CandidateText = Literal["sentence", "sentence_in_context"]
CANDIDATE_TEXTS: dict[CandidateText, Callable[[str, str], str]] = {
    "sentence": lambda sentence, context: sentence,
    # The sentence comes first, so that a length limit cuts the context and never the sentence.
    "sentence_in_context": lambda sentence, context: f"{sentence}\n{context}",
}
"""What is encoded as a candidate: its sentence, or the sentence, a line break and its whole paragraph."""


def load_lareqa(
    directory: str | Path,
    langs: Sequence[str] | None = None,
    candidates: CandidateText = "sentence",
    name: str = "xquad_r",
) -> RetrievalSet:
    """Load the language files of `directory` as one retrieval set with one pool of candidates.

    Each `<lang>.json` or `<lang>.json.gz` is in the upstream form (SQuAD form with `sentences` and
    `sentence_breaks`) or the derived one (`contexts`, `candidates`, `questions`); both give the same set.
    `langs` chooses and orders the languages; None takes all, by code. Questions with one id are translations
    of each other, so the gold of a question is what answers that id in any of the languages loaded.

    Raises EvaluationError for a missing directory or language, malformed JSON, an empty file, ids that come
    twice, gold that is not among the candidates, and a question whose answer lies in no candidate.
    """
    if candidates not in CANDIDATE_TEXTS:
        raise EvaluationError(f"candidates is {candidates!r}, but must be one of {', '.join(CANDIDATE_TEXTS)}.")
    files = find_files(Path(directory))
    chosen = tuple(files) if langs is None else tuple(langs)
    missing = [lang for lang in chosen if lang not in files]
    if missing:
        raise EvaluationError(
            f"{directory} has no file <lang>.json[.gz] for {', '.join(missing)}; it has {', '.join(files)}."
        )
    contents = [read_language(files[lang], lang) for lang in chosen]
    text = CANDIDATE_TEXTS[candidates]
    gold: dict[str, list[int]] = {}
    first_row = 0
    for content in contents:
        row = {candidate: first_row + number for number, candidate in enumerate(content.candidate_ids)}
        for question, answers in zip(content.question_ids, content.gold, strict=True):
            gold.setdefault(question, []).extend(row[answer] for answer in dict.fromkeys(answers))
        first_row += len(row)
    keys = [key for content in contents for key in content.question_ids]
    return RetrievalSet(
        name=name,
        langs=chosen,
        query_langs=_lang_of([len(content.question_ids) for content in contents]),
        query_keys=np.array(keys),
        passage_langs=_lang_of([len(content.candidate_ids) for content in contents]),
        passage_ids=np.array([key for content in contents for key in content.candidate_ids]),
        gold_offsets=np.cumsum([0, *(len(gold[key]) for key in keys)]),
        gold_passages=np.concatenate([gold[key] for key in keys]),
        queries=[text for content in contents for text in content.questions],
        passages=[
            text(sentence, context)
            for content in contents
            for sentence, context in zip(content.sentences, content.contexts, strict=True)
        ],
    )


def _lang_of(counts: list[int]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.repeat(np.arange(len(counts)), counts)
