"""MIRACL (TACL 2023): Wikipedia passages and native questions in 18 languages, each with its own corpus."""

import re
from collections.abc import Sequence
from pathlib import Path

from hbt_ray.errors import EvaluationError
from hbt_ray.evaluation.builder import SetBuilder
from hbt_ray.evaluation.lines import listed, need_file, read_texts, read_trec_qrels, read_tsv_texts
from hbt_ray.evaluation.sets import RetrievalSet


def load_miracl(
    directory: str | Path, langs: Sequence[str] | None = None, split: str = "dev", name: str = "miracl"
) -> RetrievalSet:
    """Load `<lang>/topics.<split>.tsv`, `<lang>/qrels.<split>.tsv` (TREC) and the corpus files of each language.

    Topics and qrels may also have their names of the release (`topics.miracl-v1.0-<lang>-<split>.tsv`); the
    corpus of a language is all files `corpus*.jsonl` and `docs-*.jsonl` in its directory, in numeric order,
    every file maybe with .gz. `langs` chooses and orders the languages; None takes all, by code.

    Questions are not parallel: question 5 of one language is another than question 5 of the next, so keys are
    `<lang>:<id>`, and relevant passages are in the question's own language. In the pool, passages of other
    languages count as not relevant, though nobody has judged them.

    Raises EvaluationError for missing or malformed files, languages that are not there and repeated ids. What
    judgements name without its being there, and queries left out, are in the notes of the set.
    """
    root = Path(directory)
    if not root.is_dir():
        raise EvaluationError(f"there is no directory {root}; pass the one with a directory for each language.")
    have = [path.name for path in sorted(root.iterdir()) if path.is_dir() and _corpus_files(path)]
    chosen = tuple(langs) if langs else tuple(have)
    absent = [lang for lang in chosen if lang not in have]
    if absent or not chosen:
        raise EvaluationError(
            f"{root} has no directory with a corpus (corpus*.jsonl[.gz] or docs-*.jsonl[.gz]) for "
            f"{listed(absent) or 'any language'}; it has {', '.join(have) or 'none'}."
        )
    builder = SetBuilder(name, chosen)
    for number, lang in enumerate(chosen):
        folder = root / lang
        for path in _corpus_files(folder):
            for line, passage, title, text in read_texts(path, "docid"):
                builder.add_passage(path, line, number, passage, title, text)
        topics, qrels = (
            need_file(folder, f"{kind}.{split}.tsv", f"{kind}.miracl-v1.0-{lang}-{split}.tsv")
            for kind in ("topics", "qrels")
        )
        for line, query, text in read_tsv_texts(topics):
            builder.add_query(topics, line, number, f"{lang}:{query}", text)
        builder.judge(qrels, read_trec_qrels(qrels), (f"{lang}:", number))
    return builder.build()


def _corpus_files(folder: Path) -> list[Path]:
    """The parts of a corpus in numeric order: docs-2 before docs-10."""
    kept = [path for path in folder.iterdir() if re.fullmatch(r"(corpus|docs-).*\.jsonl(\.gz)?", path.name)]
    return sorted(kept, key=lambda path: [int(s) if s.isdigit() else s for s in re.split(r"(\d+)", path.name)])
