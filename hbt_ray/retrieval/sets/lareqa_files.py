"""The two file forms of LAReQA (arXiv 2004.05484), one file a language, read into one structure."""

import gzip
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hbt_ray.errors import EvaluationError

SHOWN = 5
"""Ids that an error message lists."""


@dataclass(kw_only=True)
class LanguageFile:
    """Candidates and questions of one language, in the order of the file."""

    candidate_ids: list[str] = field(default_factory=list)
    sentences: list[str] = field(default_factory=list)
    contexts: list[str] = field(default_factory=list)
    """The paragraph that each candidate sentence stands in."""
    question_ids: list[str] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    gold: list[list[str]] = field(default_factory=list)
    """Candidate ids, of this language, that answer each question."""


def find_files(directory: Path) -> dict[str, Path]:
    """Language code -> its `<lang>.json` or `<lang>.json.gz`; EvaluationError if there is nothing to find."""
    if not directory.is_dir():
        raise EvaluationError(
            f"there is no directory {directory}; pass the one with the files <lang>.json[.gz] of XQuAD-R."
        )
    found: dict[str, Path] = {}
    for path in sorted(directory.iterdir()):
        lang = path.name.removesuffix(".gz").removesuffix(".json")
        if path.name in (f"{lang}.json", f"{lang}.json.gz") and lang != "gold_all_langs":
            found.setdefault(lang, path)
    if not found:
        raise EvaluationError(
            f"{directory} holds no file <lang>.json or <lang>.json.gz; pass the one with the language files."
        )
    return found


def read_language(path: Path, lang: str) -> LanguageFile:
    """Read one file of either form; EvaluationError, naming the file, where it is malformed."""
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
        content = FORMS[form](document, lang)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        what = f"the key {error} is missing" if isinstance(error, KeyError) else str(error)
        raise EvaluationError(f"{path} is malformed: {what}; fetch it again.") from error
    return _checked(content, path)


def _derived(document: dict[str, Any], lang: str) -> LanguageFile:
    """`contexts` by id, `candidates` {id, ctx, text}, `questions` {id, text, gold}."""
    contexts = document["contexts"]
    return LanguageFile(
        candidate_ids=[candidate["id"] for candidate in document["candidates"]],
        sentences=[candidate["text"] for candidate in document["candidates"]],
        contexts=[contexts[candidate["ctx"]]["text"] for candidate in document["candidates"]],
        question_ids=[question["id"] for question in document["questions"]],
        questions=[question["text"] for question in document["questions"]],
        gold=[list(question["gold"]) for question in document["questions"]],
    )


def _upstream(document: dict[str, Any], lang: str) -> LanguageFile:
    """SQuAD form with `sentences` and `sentence_breaks`, [start, end) offsets into the paragraph's `context`.

    The gold sentence is the one whose [start, end) holds `answer_start`, even if the answer goes on after it.
    """
    content = LanguageFile()
    for article_number, article in enumerate(document["data"]):
        for number, paragraph in enumerate(article["paragraphs"]):
            prefix = f"{lang}:{article_number}:{number}"
            breaks = paragraph["sentence_breaks"]
            for sentence_number, (sentence, _) in enumerate(zip(paragraph["sentences"], breaks, strict=True)):
                content.candidate_ids.append(f"{prefix}:{sentence_number}")
                content.sentences.append(sentence)
                content.contexts.append(paragraph["context"])
            for question in paragraph["qas"]:
                starts = {answer["answer_start"] for answer in question["answers"]}
                content.question_ids.append(question["id"])
                content.questions.append(question["question"])
                content.gold.append(
                    [
                        f"{prefix}:{sentence_number}"
                        for sentence_number, (start, end) in enumerate(breaks)
                        if any(start <= answer < end for answer in starts)
                    ]
                )
    return content


FORMS: dict[str, Callable[[dict[str, Any], str], LanguageFile]] = {"candidates": _derived, "data": _upstream}
"""The key that tells a form -> its reader."""


def _checked(content: LanguageFile, path: Path) -> LanguageFile:
    for what, ids in (("candidate", content.candidate_ids), ("question", content.question_ids)):
        if not ids:
            raise EvaluationError(f"{path} has no {what}s; fetch it again.")
        seen: set[str] = set()
        repeats = [name for name in ids if name in seen or seen.add(name)]  # type: ignore[func-returns-value]
        if repeats:
            raise EvaluationError(f"{path} has {_listed(repeats)} as {what} id more than once; keep one of each.")
    texts = {
        "candidates": zip(content.candidate_ids, content.sentences, strict=True),
        "questions": zip(content.question_ids, content.questions, strict=True),
    }
    for what, rows in texts.items():
        blank = [name for name, text in rows if not isinstance(text, str) or not text.strip()]
        if blank:
            raise EvaluationError(f"{path} has {what} without text: {_listed(blank)}; remove them.")
    known = set(content.candidate_ids)
    absent = [name for gold in content.gold for name in gold if name not in known]
    if absent:
        raise EvaluationError(
            f"{path} names gold candidates that it does not contain: {_listed(absent)}; "
            "take candidates and questions from one release."
        )
    lost = [name for name, gold in zip(content.question_ids, content.gold, strict=True) if not gold]
    if lost:
        raise EvaluationError(
            f"{path} has questions whose answer lies in no candidate: {_listed(lost)}; "
            "check that answer_start counts characters, as the sentence breaks do."
        )
    return content


def _listed(names: list[str]) -> str:
    more = f", ... ({len(names)} in all)" if len(names) > SHOWN else f" ({len(names)} in all)"
    return ", ".join(names[:SHOWN]) + more
