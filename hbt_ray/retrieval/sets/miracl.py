"""MIRACL (TACL 2023): Wikipedia passages and native questions in 18 languages, each with its own corpus."""

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from hbt_ray.errors import EvaluationError
from hbt_ray.retrieval.sets.builder import SetBuilder
from hbt_ray.retrieval.sets.lines import (
    choose_langs,
    lang_of,
    need_file,
    read_passages,
    read_trec_qrels,
    read_tsv_texts,
)
from hbt_ray.retrieval.sets.retrieval_set import RetrievalSet


def load_miracl(
    directory: str | Path, langs: Sequence[str] | None = None, *, name: str = "miracl", split: str = "dev"
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
    lack = f"{root} has no directory with a corpus (corpus*.jsonl[.gz] or docs-*.jsonl[.gz]) for"
    chosen = choose_langs(langs, have, lack)
    builder = SetBuilder(name, chosen)
    for number, lang in enumerate(chosen):
        raw, corpus = have[lang]
        builder.add_passages(number, corpus, partial(read_passages, id_key="docid"))
        topics, qrels = (_need(root, raw, kind, split) for kind in ("topics", "qrels"))
        builder.add_queries(number, topics, read_tsv_texts, f"{lang}:")
        builder.judge(qrels, read_trec_qrels(qrels), number, prefix=f"{lang}:")
    return builder.build()


def _corpora(root: Path) -> dict[str, tuple[str, list[Path]]]:
    """Language -> its code in the names of files, the parts of its corpus in numeric order: docs-2 before docs-10."""
    corpora: dict[str, tuple[str, list[Path]]] = {}
    for path in sorted(root.glob("*/*.jsonl*"), key=_numeric):
        if re.fullmatch(r"(corpus|docs-).*\.jsonl(\.gz)?", path.name):
            raw = re.sub(r"^miracl-corpus-v[\d.]+-", "", path.parent.name)
            corpora.setdefault(lang_of(raw, path.parent), (raw, []))[1].append(path)
    return corpora


def _numeric(path: Path) -> list[int | str]:
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path.name)]


def _need(root: Path, lang: str, kind: str, split: str) -> Path:
    """The file of topics or qrels."""
    release = f"{kind}.miracl-v1.0-{lang}-{split}.tsv"
    folder = root / f"miracl-v1.0-{lang}" / kind
    return need_file(folder, release) if folder.is_dir() else need_file(root / lang, f"{kind}.{split}.tsv", release)
