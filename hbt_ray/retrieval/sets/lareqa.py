"""XQuAD-R and MLQA-R (LAReQA, arXiv 2004.05484): answer sentences in many languages to parallel questions."""

import gzip
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hbt_ray.errors import EvaluationError
from hbt_ray.retrieval.sets.builder import SetBuilder
from hbt_ray.retrieval.sets.lines import Judgement, choose_langs, first_names, lang_of
from hbt_ray.retrieval.sets.retrieval_set import RetrievalSet


class Candidate(NamedTuple):
    """A sentence, with the paragraph that it stands in."""

    id: str
    text: str
    context: str


class Question(NamedTuple):
    """A question of one language; `gold` are the ids of the candidates that answer it."""

    id: str
    text: str
    gold: list[str]


Content = tuple[list[Candidate], list[Question]]
"""Of one file, in its order."""


def load_lareqa(
    directory: str | Path,
    langs: Sequence[str] | None = None,
    *,
    name: str = "xquad_r",
    in_context: bool = False,
) -> RetrievalSet:
    """Load the language files of `directory` as one retrieval set with one pool of candidates.

    Each `<lang>.json` or `<lang>.json.gz` is in the upstream form (SQuAD form with `sentences` and
    `sentence_breaks`) or the derived one (`contexts`, `candidates`, `questions`); both give the same set.
    `langs` chooses and orders the languages; None takes all, by code. Questions with one id are translations
    of each other, so the gold of a question is what answers that id in any of the languages loaded.
    A candidate is encoded as its sentence, or `in_context` as the sentence, a line break and its whole paragraph.

    Raises EvaluationError for a missing directory or language, malformed JSON, an empty file, ids that come
    twice, gold that is not among the candidates, and a question whose answer lies in no candidate.
    """
    files = _find_files(Path(directory))
    chosen = choose_langs(langs, files, f"{directory} has no file <lang>.json[.gz] for")
    builder = SetBuilder(name, chosen)
    for number, lang in enumerate(chosen):
        path = files[lang]
        candidates, questions = _read(path, lang)
        # The sentence comes first, so that a length limit cuts the paragraph and never the sentence.
        texts = [f"{one.text}\n{one.context}" if in_context else one.text for one in candidates]
        passages = [(row, one.id, "", text) for row, (one, text) in enumerate(zip(candidates, texts, strict=True), 1)]
        asked = [(row, one.id, "", one.text) for row, one in enumerate(questions, 1)]
        builder.add_passages(number, [path], {path: passages}.__getitem__, "candidate")
        builder.add_queries(number, path, {path: asked}.__getitem__, unit="question")
        builder.judge(path, (Judgement(one.id, gold, 1) for one in questions for gold in one.gold), number)
    return builder.build()


def _find_files(directory: Path) -> dict[str, Path]:
    """Language code -> its `<lang>.json` or `<lang>.json.gz`; EvaluationError if there is nothing to find."""
    if not directory.is_dir():
        raise EvaluationError(
            f"there is no directory {directory}; pass the one with the files <lang>.json[.gz] of XQuAD-R."
        )
    files: dict[str, Path] = {}
    for path in sorted(directory.iterdir()):
        lang = path.name.removesuffix(".gz").removesuffix(".json")
        if path.name in (f"{lang}.json", f"{lang}.json.gz") and lang != "gold_all_langs":
            files.setdefault(lang_of(lang, path), path)
    if not files:
        raise EvaluationError(
            f"{directory} holds no file <lang>.json or <lang>.json.gz; pass the one with the language files."
        )
    return files


def _read(path: Path, lang: str) -> Content:
    """Candidates and questions of a file of either form; EvaluationError, naming the file, where it is malformed."""
    try:
        raw = path.read_bytes()
        document = json.loads(gzip.decompress(raw) if path.suffix == ".gz" else raw)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise EvaluationError(f"{path} is not readable JSON ({error}); fetch it again.") from error
    form = next((key for key in FORMS if isinstance(document, dict) and key in document), None)
    if form is None:
        raise EvaluationError(
            f"{path} has neither 'candidates' (the derived form) nor 'data' (the upstream form); "
            "pass the files of XQuAD-R or MLQA-R."
        )
    try:
        candidates, questions = FORMS[form](document, lang)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        what = f"the key {error} is missing" if isinstance(error, KeyError) else str(error)
        raise EvaluationError(f"{path} is malformed: {what}; fetch it again.") from error
    known = {candidate.id for candidate in candidates}
    for names, what, todo in (
        (_blank(candidates), "candidates without text", "remove them"),
        (_blank(questions), "questions without text", "remove them"),
        (
            [gold for question in questions for gold in question.gold if gold not in known],
            "gold candidates that it does not contain",
            "take candidates and questions from one release",
        ),
        (
            [question.id for question in questions if not question.gold],
            "questions whose answer lies in no candidate",
            "check that answer_start counts characters, as the sentence breaks do",
        ),
    ):
        if names:
            raise EvaluationError(f"{path} has {what}: {first_names(names)}; {todo}.")
    if not candidates or not questions:
        raise EvaluationError(f"{path} has no {'questions' if candidates else 'candidates'}; fetch it again.")
    return candidates, questions


def _blank(rows: Iterable[Candidate | Question]) -> list[str]:
    return [row.id for row in rows if not isinstance(row.text, str) or not row.text.strip()]


def _derived(document: dict[str, Any], lang: str) -> Content:
    """`contexts` by id, `candidates` {id, ctx, text}, `questions` {id, text, gold}."""
    contexts = document["contexts"]
    return (
        [Candidate(row["id"], row["text"], contexts[row["ctx"]]["text"]) for row in document["candidates"]],
        [Question(row["id"], row["text"], list(row["gold"])) for row in document["questions"]],
    )


def _upstream(document: dict[str, Any], lang: str) -> Content:
    """SQuAD form with `sentences` and `sentence_breaks`, [start, end) offsets into the paragraph's `context`.

    The gold sentence is the one whose [start, end) holds `answer_start`, even if the answer goes on after it.
    """
    candidates: list[Candidate] = []
    questions: list[Question] = []
    for prefix, paragraph in _paragraphs(document, lang):
        breaks = paragraph["sentence_breaks"]
        names = [f"{prefix}:{number}" for number in range(len(breaks))]
        for name, sentence in zip(names, paragraph["sentences"], strict=True):
            candidates.append(Candidate(name, sentence, paragraph["context"]))
        for row in paragraph["qas"]:
            starts = {answer["answer_start"] for answer in row["answers"]}
            gold = [
                name
                for name, (start, end) in zip(names, breaks, strict=True)
                if any(start <= answer < end for answer in starts)
            ]
            questions.append(Question(row["id"], row["question"], gold))
    return candidates, questions


def _paragraphs(document: dict[str, Any], lang: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """(beginning of the ids of its sentences, paragraph)."""
    for article_number, article in enumerate(document["data"]):
        for number, paragraph in enumerate(article["paragraphs"]):
            yield f"{lang}:{article_number}:{number}", paragraph


FORMS: dict[str, Callable[[dict[str, Any], str], Content]] = {"candidates": _derived, "data": _upstream}
"""The key that tells a form -> its reader."""
