"""Public question-passage sets by name, for `source:NAME` in `corpus.input`; a new set is an entry of `SOURCES`."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SOURCE = "source:"
CONVERTED = "refs/convert/parquet"
"""Revision of sets that have a script: `datasets` runs none any more, so they are read as the hub converted them."""

Row = Mapping[str, Any]
"""A row as the set has it."""
Items = Iterator[dict[str, Any]]
"""Dicts of `id` (unique in the configuration, see `Source.parallel`), `question`, `passage`, and `negatives` if any."""
ToItems = Callable[[Sequence[Row], int], Items]
"""(consecutive rows, number of the first in its split) -> their items."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """A public set: where it is, how its rows become items, and under which terms it may be used."""

    hub: str
    """Data set of the Hugging Face hub; empty if the hub has none and a directory must be given."""
    configs: Mapping[str, str]
    """Language (canonical code) -> configuration of the data set that holds it."""
    revision: str | None = None
    items: ToItems
    parallel: bool = False
    """Whether an id is the same item in every language (translations); otherwise each language has its own ids."""
    whole: bool = False
    """Whether an item's rows are consecutive and must be read together, so that the set is one unit."""
    licence: str
    """As the set states it."""
    citation: str

    @property
    def by_lang(self) -> bool:
        """Whether the same id in two languages is two items."""
        return len(self.configs) > 1 and not self.parallel


def pairs(
    question: str,
    passage: str,
    *,
    id_: str = "",
    negative: str = "",
    keep: Callable[[Row], bool] = lambda row: True,
) -> ToItems:
    """A row is a question and its passage; without `id_` rows are numbered; `negative` holds one text or a list."""

    def items(rows: Sequence[Row], first: int) -> Items:
        for number, row in enumerate(rows, first):
            if keep(row):
                wrong = row[negative] if negative else []
                wrong = wrong if isinstance(wrong, list) else [wrong]
                yield from _items(row[id_] if id_ else number, row[question], [row[passage]], wrong)

    return items


def judged(question: str, positives: str, negatives: str, *, id_: str) -> ToItems:
    """A row is a question with lists of passages `{title, text}`; each positive is an item with all the negatives."""

    def items(rows: Sequence[Row], first: int) -> Items:
        for row in rows:
            yield from _items(row[id_], row[question], _titled(row[positives]), _titled(row[negatives]))

    return items


def retrieved(question: str, passages: str, right: str) -> ToItems:
    """A row is a question with ranked passages `{title, text}`, `right` if they have the answer.

    The first right one is the passage, the wrong ones are the negatives; a question without a right one is left out.
    """

    def items(rows: Sequence[Row], first: int) -> Items:
        for number, row in enumerate(rows, first):
            candidates = _structs(row[passages])
            positives = [passage for passage in candidates if passage[right]]
            wrong = [passage for passage in candidates if not passage[right]]
            yield from _items(number, row[question], _titled(positives[:1]), _titled(wrong))

    return items


def labelled(question: str, passage: str, label: str, *, id_: str) -> ToItems:
    """A row is a candidate with a label 0 or 1; rows of one `id_` are consecutive, those of label 0 are negatives."""

    def items(rows: Sequence[Row], first: int) -> Items:
        for name, group in itertools.groupby(rows, lambda row: row[id_]):
            candidates = list(group)
            wrong = [row[passage] for row in candidates if not row[label]]
            right = [row for row in candidates if row[label]]
            if right:
                yield from _items(name, right[0][question], [row[passage] for row in right], wrong)

    return items


def nested(column: str, question: str, answer: str, *, id_: str) -> ToItems:
    """A row is a page with a list of pairs."""

    def items(rows: Sequence[Row], first: int) -> Items:
        for row in rows:
            for number, pair in enumerate(_structs(row[column])):
                yield from _items(f"{row[id_]}-{number}", pair[question], [pair[answer]])

    return items


def _items(name: object, question: str, positives: Sequence[str], negatives: Sequence[str] = ()) -> Items:
    """One item per positive: `name`, `name-1`, `name-2`, ..."""
    for number, passage in enumerate(positives):
        item = {"id": f"{name}-{number}" if number else f"{name}", "question": question, "passage": passage}
        yield item | ({"negatives": list(negatives)} if negatives else {})


def _structs(value: Any) -> list[Row]:
    """A list of structs, which `datasets` gives as such or as a struct of lists."""
    if not isinstance(value, dict):
        return list(value)
    return [dict(zip(value, values, strict=True)) for values in zip(*value.values(), strict=True)]


def _titled(passages: Any) -> list[str]:
    return [" ".join(filter(None, (row.get("title", ""), row["text"]))) for row in _structs(passages)]


def _configs(names: str) -> dict[str, str]:
    """`en:english de` -> {"en": "english", "de": "de"}."""
    return {name.partition(":")[0]: name.rpartition(":")[2] for name in names.split()}


SOURCES: dict[str, Source] = {
    "squad": Source(
        hub="rajpurkar/squad",
        configs={"en": "plain_text"},
        items=pairs("question", "context", id_="id"),
        licence="CC BY-SA 4.0",
        citation="https://arxiv.org/abs/1606.05250",
    ),
    "squad_v2": Source(
        hub="rajpurkar/squad_v2",
        configs={"en": "squad_v2"},
        items=pairs("question", "context", id_="id", keep=lambda row: bool(row["answers"]["text"])),
        licence="CC BY-SA 4.0",
        citation="https://arxiv.org/abs/1806.03822",
    ),
    "natural_questions": Source(
        hub="sentence-transformers/natural-questions",
        configs={"en": "pair"},
        items=pairs("query", "answer"),
        licence="not stated by this copy; Natural Questions is CC BY-SA 3.0",
        citation="https://aclanthology.org/Q19-1026",
    ),
    "newsqa": Source(
        hub="lucadiliello/newsqa",
        configs={"en": "default"},
        items=pairs("question", "context", id_="key"),
        licence="not stated by this copy (that of MRQA 2019); the articles are CNN's",
        citation="https://arxiv.org/abs/1611.09830",
    ),
    "wikiqa": Source(
        hub="microsoft/wiki_qa",
        configs={"en": "default"},
        items=labelled("question", "answer", "label", id_="question_id"),
        whole=True,
        licence="Microsoft Research Data License Agreement",  # not verified: the wording on the hub
        citation="https://aclanthology.org/D15-1237",
    ),
    "duorc": Source(
        hub="ibm-research/duorc",
        configs={"en": "ParaphraseRC"},
        items=pairs("question", "plot", id_="question_id", keep=lambda row: not row["no_answer"]),  # ids: not verified
        licence="MIT",
        citation="https://arxiv.org/abs/1804.07927",
    ),
    "yahoo_qa": Source(
        hub="sentence-transformers/yahoo-answers",
        configs={"en": "title-answer-pair"},
        items=pairs("title", "answer"),  # not verified: names of the columns
        licence="not stated",
        citation="https://www.kaggle.com/datasets/soumikrakshit/yahoo-answers-dataset",
    ),
    "entity_questions": Source(
        hub="",  # princeton-nlp/EntityQuestions has questions without passages: retrieve them first, as its code does
        configs={"en": "default"},
        items=retrieved("question", "ctxs", "has_answer"),  # not verified: that its output has the format of DPR
        licence="MIT; passages are those that are retrieved (Wikipedia, CC BY-SA)",
        citation="https://arxiv.org/abs/2109.08535",
    ),
    "mfaq": Source(
        hub="clips/mfaq",
        configs=_configs("cs da de en es fi fr he hr hu id it nl no pl pt ro ru sv tr vi"),
        revision=CONVERTED,  # not verified: that it has all rows; nor for the next two
        items=nested("qa_pairs", "question", "answer", id_="id"),
        licence="CC0 1.0 for the packaging; the texts are their owners'",
        citation="https://arxiv.org/abs/2109.12870",
    ),
    "mr_tydi": Source(
        hub="castorini/mr-tydi",
        configs=_configs(
            "ar:arabic bn:bengali en:english fi:finnish id:indonesian ja:japanese ko:korean ru:russian sw:swahili "
            "te:telugu th:thai"
        ),
        revision=CONVERTED,
        items=judged("query", "positive_passages", "negative_passages", id_="query_id"),
        licence="Apache-2.0",
        citation="https://arxiv.org/abs/2108.08787",
    ),
    "mmarco": Source(
        hub="unicamp-dl/mmarco",
        configs=_configs(
            "ar:arabic de:german en:english es:spanish fr:french hi:hindi id:indonesian it:italian ja:japanese "
            "nl:dutch pt:portuguese ru:russian vi:vietnamese zh:chinese"
        ),
        revision=CONVERTED,
        items=pairs("query", "positive", negative="negative"),
        parallel=True,  # the triples of all languages are in one order (not verified for the converted copy)
        licence="Apache-2.0; MS MARCO is for research that is not commercial",
        citation="https://arxiv.org/abs/2108.13897",
    ),
}
"""Name, as in `source:NAME` and in the rows' column `source` -> the set."""
