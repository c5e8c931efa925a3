"""MLDR (arXiv 2402.03216): questions on long documents in 13 languages, each with its own corpus."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from hbt_ray.errors import EvaluationError
from hbt_ray.reading.columns import id_of
from hbt_ray.retrieval.sets.builder import SetBuilder
from hbt_ray.retrieval.sets.lines import (
    Judgement,
    choose_langs,
    find_file,
    lang_of,
    need_file,
    read_passages,
    read_records,
    read_texts,
)
from hbt_ray.retrieval.sets.retrieval_set import RetrievalSet
from hbt_ray.retrieval.sets.windows import Chunking

PREFIX = "mldr-v1.0-"


def load_mldr(
    directory: str | Path,
    langs: Sequence[str] | None = None,
    *,
    name: str = "mldr",
    split: str = "test",
    chunking: Chunking | None = None,
    notes: Sequence[str] = (),
) -> RetrievalSet:
    """Load `mldr-v1.0-<lang>/corpus.jsonl.gz` and `mldr-v1.0-<lang>/<split>.jsonl.gz`, the files of Shitao/MLDR.

    A row of the corpus is {docid, text}; a row of a split {query_id, query, positive_passages: [{docid, text}],
    negative_passages}, of which the positive docids are the judgements. (`qrels/` of the release has the same
    ones, and is not read.) The directory of a language may also be called by its code, and files may lack .gz.
    `langs` chooses and orders the languages; None takes all that have a corpus, by code. `chunking` cuts the
    documents into windows of words; `notes` come first among those of the set.

    Questions are not parallel: keys are `<lang>:<query_id>`, and relevant documents are in the question's own
    language. In the pool, documents of other languages count as not relevant.

    Raises EvaluationError for missing or malformed files, languages that are not there and repeated ids. Positive
    documents that the corpus lacks, and queries left out, are in the notes of the set.
    """
    root = Path(directory)
    if not root.is_dir():
        raise EvaluationError(f"there is no directory {root}; pass the one that holds {PREFIX}<lang>.")
    have = {
        lang_of(path.name.removeprefix(PREFIX), path): path
        for path in sorted(root.iterdir())
        if path.is_dir() and find_file(path, "corpus.jsonl") is not None
    }
    chosen = choose_langs(langs, have, f"{root} has no {PREFIX}<lang>/corpus.jsonl[.gz] for")
    builder = SetBuilder(name, chosen, chunking, notes)
    for number, lang in enumerate(chosen):
        corpus, queries = need_file(have[lang], "corpus.jsonl"), need_file(have[lang], f"{split}.jsonl")
        builder.add_passages(number, [corpus], partial(read_passages, id_key="docid"))
        builder.add_queries(number, queries, partial(read_texts, id_key="query_id", text_key="query"), f"{lang}:")
        builder.judge(queries, _positives(queries), number, prefix=f"{lang}:")
    return builder.build()


def _positives(path: Path) -> Iterator[Judgement]:
    """Each positive passage of each query, of grade 1; EvaluationError where a row does not list them."""
    for number, record in read_records(path):
        passages = record.get("positive_passages")
        if not isinstance(passages, list) or not all(isinstance(one, dict) and "docid" in one for one in passages):
            raise EvaluationError(f"{path} line {number} needs the key 'positive_passages', a list of {{docid, text}}.")
        for passage in passages:
            yield Judgement(id_of(record.get("query_id")), id_of(passage["docid"]), 1)
