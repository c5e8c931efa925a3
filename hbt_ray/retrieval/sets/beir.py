"""BEIR directories (arXiv 2104.08663), in one language or several, of passages or of long documents."""

from collections.abc import Sequence
from pathlib import Path

from hbt_ray.errors import EvaluationError
from hbt_ray.languages import UNKNOWN
from hbt_ray.retrieval.sets.builder import SetBuilder
from hbt_ray.retrieval.sets.lines import find_file, listed, need_file, read_beir_qrels, read_texts
from hbt_ray.retrieval.sets.retrieval_set import RetrievalSet
from hbt_ray.retrieval.sets.windows import Chunking

SPLITS = ("test", "dev", "val", "validation")
"""The splits that are taken, in this order, where none is asked for."""


def load_beir(
    directory: str | Path,
    langs: Sequence[str] | None = None,
    split: str = "",
    chunking: Chunking | None = None,
    name: str = "beir",
    notes: Sequence[str] = (),
) -> RetrievalSet:
    """Load `corpus.jsonl`, `queries.jsonl` and `qrels/<split>.tsv`, each maybe with .gz.

    In place of the first two may stand `corpus/*.parquet` and `queries/*.parquet`, with the same columns.

    With `queries.<lang>.jsonl` and `corpus.<lang>.jsonl` in place of these the directory has several languages
    (`langs` chooses and orders them): queries of one id are parallel, and a judgement holds for the passage of
    that id in every language that has it. Every query language is then scored on every corpus language and on
    the pool. Without them `langs` is the one code to call the language by, "und" if it is not given.
    A passage reads as its title, a space and its text; `chunking` cuts it into windows of words.
    `notes` come first among those of the set.

    Raises EvaluationError for missing or malformed files, languages that are not there and repeated ids. What
    judgements name without its being there, and queries left out, are in the notes of the set.
    """
    root = Path(directory)
    sides = {side: _languages(root, side) for side in ("queries", "corpus")}
    several = bool(sides["queries"] or sides["corpus"])
    if not several:
        sides = {side: {(langs or (UNKNOWN,))[0]: _whole_side(root, side)} for side in sides}
    for side, files in sides.items():
        if not files:
            raise EvaluationError(
                f"{root} has files by language, but none named {side}.<lang>.jsonl[.gz]; add the language to the "
                f"name of {side}.jsonl."
            )
    have = list(dict.fromkeys([*sides["queries"], *sides["corpus"]]))
    chosen = tuple(langs) if langs else tuple(sorted(have))
    absent = [lang for lang in chosen if lang not in have]
    if absent and several:
        raise EvaluationError(
            f"{root} has neither queries.<lang>.jsonl nor corpus.<lang>.jsonl for {listed(absent)}; "
            f"it has {', '.join(sorted(have))}."
        )
    if len(chosen) > 1 and not several:
        raise EvaluationError(f"{root} is of one language, but langs is {', '.join(chosen)}; give one code.")
    qrels = _qrels(root / "qrels", split)
    builder = SetBuilder(name, chosen, chunking)
    for note in notes:
        builder.note(note)
    for number, lang in enumerate(chosen):
        if lang in sides["corpus"]:
            for path in sides["corpus"][lang]:
                for line, passage, title, text in read_texts(path):
                    builder.add_passage(path, line, number, passage, title, text)
        else:
            builder.note(f"{lang} has no corpus: its queries are ranked in the other languages alone.")
        if lang in sides["queries"]:
            for path in sides["queries"][lang]:
                for line, query, _, text in read_texts(path):
                    builder.add_query(path, line, number, query, text)
        else:
            builder.note(f"{lang} has no queries: its passages are ranked for the other languages alone.")
    builder.judge(qrels, read_beir_qrels(qrels), whole=set(have) <= set(chosen) or not several)
    return builder.build()


def _languages(root: Path, side: str) -> dict[str, list[Path]]:
    """Language -> its `<side>.<lang>.jsonl[.gz]`."""
    if not root.is_dir():
        raise EvaluationError(f"there is no directory {root}; pass the one that holds corpus.jsonl[.gz].")
    names = {
        path.name.removesuffix(".gz").removesuffix(".jsonl"): path for path in sorted(root.glob(f"{side}.*.jsonl*"))
    }
    return {name.removeprefix(f"{side}."): [path] for name, path in names.items() if path.suffix in (".jsonl", ".gz")}


def _whole_side(root: Path, side: str) -> list[Path]:
    """The one JSON-lines file of a side, or else its Parquet files."""
    parquet = sorted((root / side).glob("*.parquet"))
    return parquet if parquet and find_file(root, f"{side}.jsonl") is None else [need_file(root, f"{side}.jsonl")]


def _qrels(directory: Path, split: str) -> Path:
    return need_file(directory, *(f"{name}.tsv" for name in ((split,) if split else SPLITS)))
