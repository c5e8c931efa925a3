"""MIRACL (TACL 2023): Wikipedia passages and native questions in 18 languages, each with its own corpus."""

import re
from collections.abc import Sequence
from pathlib import Path

from hbt_ray.errors import EvaluationError
from hbt_ray.retrieval.sets.builder import SetBuilder
from hbt_ray.retrieval.sets.lines import listed, need_file, read_texts, read_trec_qrels, read_tsv_texts
from hbt_ray.retrieval.sets.retrieval_set import RetrievalSet


def load_miracl(
    directory: str | Path, langs: Sequence[str] | None = None, split: str = "dev", name: str = "miracl"
) -> RetrievalSet:
    """Load topics, qrels (TREC) and the corpus of each language, in one of two layouts.

    That of the release, the data sets miracl/miracl and miracl/miracl-corpus in one directory:
    `miracl-v1.0-<lang>/{topics,qrels}/{topics,qrels}.miracl-v1.0-<lang>-<split>.tsv` and
    `miracl-corpus-v1.0-<lang>/docs-*.jsonl.gz`. Or one directory a language: `<lang>/topics.<split>.tsv`,
    `<lang>/qrels.<split>.tsv` (or under their names of the release) and all files `<lang>/corpus*.jsonl` and
    `<lang>/docs-*.jsonl`, in numeric order. Every file maybe with .gz. `langs` chooses and orders the
    languages; None takes all that have a corpus, by code.

    Questions are not parallel: question 5 of one language is another than question 5 of the next, so keys are
    `<lang>:<id>`, and relevant passages are in the question's own language. In the pool, passages of other
    languages count as not relevant, though nobody has judged them.

    Raises EvaluationError for missing or malformed files, languages that are not there and repeated ids. What
    judgements name without its being there, and queries left out, are in the notes of the set.
    """
    root = Path(directory)
    if not root.is_dir():
        raise EvaluationError(f"there is no directory {root}; pass the one with a directory for each language.")
    have = _corpora(root)
    chosen = tuple(langs) if langs else tuple(sorted(have))
    absent = [lang for lang in chosen if lang not in have]
    if absent or not chosen:
        raise EvaluationError(
            f"{root} has no directory with a corpus (corpus*.jsonl[.gz] or docs-*.jsonl[.gz]) for "
            f"{listed(absent) or 'any language'}; it has {', '.join(sorted(have)) or 'none'}."
        )
    builder = SetBuilder(name, chosen)
    for number, lang in enumerate(chosen):
        for path in have[lang]:
            for line, passage, title, text in read_texts(path, "docid"):
                builder.add_passage(path, line, number, passage, title, text)
        topics, qrels = (_need(root, lang, kind, split) for kind in ("topics", "qrels"))
        for line, query, text in read_tsv_texts(topics):
            builder.add_query(topics, line, number, f"{lang}:{query}", text)
        builder.judge(qrels, read_trec_qrels(qrels), (f"{lang}:", number))
    return builder.build()


def _corpora(root: Path) -> dict[str, list[Path]]:
    """Language -> the parts of its corpus in numeric order: docs-2 before docs-10."""
    found = {}
    for folder in root.iterdir():
        if folder.is_dir():
            kept = [path for path in folder.iterdir() if re.fullmatch(r"(corpus|docs-).*\.jsonl(\.gz)?", path.name)]
            if kept:
                parts = sorted(
                    kept, key=lambda path: [int(s) if s.isdigit() else s for s in re.split(r"(\d+)", path.name)]
                )
                found[re.sub(r"^miracl-corpus-v[\d.]+-", "", folder.name)] = parts
    return found


def _need(root: Path, lang: str, kind: str, split: str) -> Path:
    """The file of topics or qrels."""
    release = f"{kind}.miracl-v1.0-{lang}-{split}.tsv"
    folder = root / f"miracl-v1.0-{lang}" / kind
    return need_file(folder, release) if folder.is_dir() else need_file(root / lang, f"{kind}.{split}.tsv", release)
