"""BEIR directories (arXiv 2104.08663), in one language or several, of passages or of long documents."""

from collections.abc import Sequence
from pathlib import Path

from hbt_ray.errors import EvaluationError
from hbt_ray.languages import UNKNOWN
from hbt_ray.retrieval.sets.builder import SetBuilder
from hbt_ray.retrieval.sets.lines import (
    choose_langs,
    find_file,
    known_langs,
    lang_of,
    need_file,
    read_beir_qrels,
    read_passages,
    read_texts,
)
from hbt_ray.retrieval.sets.retrieval_set import RetrievalSet
from hbt_ray.retrieval.sets.windows import Chunking

SPLITS = ("test", "dev", "val", "validation")
"""The splits that are taken, in this order, where none is asked for."""


def load_beir(
    directory: str | Path,
    langs: Sequence[str] | None = None,
    *,
    name: str = "beir",
    split: str = "",
    chunking: Chunking | None = None,
    notes: Sequence[str] = (),
) -> RetrievalSet:
    """Load `corpus.jsonl`, `queries.jsonl` and `qrels/<split>.tsv`, each maybe with .gz.

    In place of the first two may stand `corpus/*.parquet` and `queries/*.parquet`, with the same columns.

    With `queries.<lang>.jsonl` and `corpus.<lang>.jsonl` in place of these the directory has several languages
    (`langs` chooses and orders them): queries of one id are parallel, and a judgement holds for the passage of
    that id in every language that has it. Every query language is then scored on every corpus language and on
    the pool. Without them `langs` is the one code to call the language by, "und" if it is not given.
    A query that is a passage itself is not ranked against it (`SetBuilder.build`).
    A passage reads as its title, a space and its text; `chunking` cuts it into windows of words.
    `notes` come first among those of the set.

    Raises EvaluationError for missing or malformed files, languages that are not there and repeated ids. What
    judgements name without its being there, and queries left out, are in the notes of the set.
    """
    root = Path(directory)
    queries, corpus = (_by_lang(root, side) for side in ("queries", "corpus"))
    have = {*queries, *corpus}
    if have:
        for side, files in (("queries", queries), ("corpus", corpus)):
            if not files:
                raise EvaluationError(
                    f"{root} has files by language, but none named {side}.<lang>.jsonl[.gz]; add the language to the "
                    f"name of {side}.jsonl."
                )
        lack = f"{root} has neither queries.<lang>.jsonl nor corpus.<lang>.jsonl for"
        chosen = choose_langs(langs, have, lack)
    else:
        chosen = known_langs(langs or (UNKNOWN,))
        if len(chosen) > 1:
            raise EvaluationError(f"{root} is of one language, but langs is {', '.join(chosen)}; give one code.")
        queries, corpus = ({chosen[0]: _whole_side(root, side)} for side in ("queries", "corpus"))
    qrels = need_file(root / "qrels", *(f"{name}.tsv" for name in ((split,) if split else SPLITS)))
    builder = SetBuilder(name, chosen, chunking, notes)
    for number, lang in enumerate(chosen):
        builder.add_passages(number, corpus.get(lang, []), read_passages)
        if lang not in corpus:
            builder.note(f"{lang} has no corpus: its queries are ranked in the other languages alone.")
        for path in queries.get(lang, []):
            builder.add_queries(number, path, read_texts)
        if lang not in queries:
            builder.note(f"{lang} has no queries: its passages are ranked for the other languages alone.")
    builder.judge(qrels, read_beir_qrels(qrels), whole=have <= set(chosen))
    return builder.build(own=True)


def _by_lang(root: Path, side: str) -> dict[str, list[Path]]:
    """Language -> its `<side>.<lang>.jsonl[.gz]`."""
    if not root.is_dir():
        raise EvaluationError(f"there is no directory {root}; pass the one that holds corpus.jsonl[.gz].")
    files: dict[str, list[Path]] = {}
    seen: set[str] = set()
    for path in sorted(root.glob(f"{side}.*.jsonl*")):
        name = path.name.removesuffix(".gz")
        if name.endswith(".jsonl") and name not in seen:  # x.jsonl goes before x.jsonl.gz
            seen.add(name)
            files.setdefault(lang_of(name.removeprefix(f"{side}.").removesuffix(".jsonl"), path), []).append(path)
    return files


def _whole_side(root: Path, side: str) -> list[Path]:
    """The one JSON-lines file of a side, or else its Parquet files."""
    parquet = sorted((root / side).glob("*.parquet"))
    return parquet if parquet and find_file(root, f"{side}.jsonl") is None else [need_file(root, f"{side}.jsonl")]
