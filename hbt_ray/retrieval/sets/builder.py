"""A retrieval set from queries, passages and judgements as files give them; what does not fit is noted."""

from array import array
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hbt_ray.errors import EvaluationError
from hbt_ray.retrieval.sets.lines import Judgement, listed
from hbt_ray.retrieval.sets.passages import PassageIds
from hbt_ray.retrieval.sets.retrieval_set import RetrievalSet
from hbt_ray.retrieval.sets.text_columns import TextWriter
from hbt_ray.retrieval.sets.windows import Chunking, window_texts

NEVER_FOUND = "These count as relevant and never found, as in trec_eval, which lowers the scores"
LEFT_OUT = "These are left out, because they may be in a language that was not asked for"
"""What a note says of relevant passages that the corpus lacks."""


class SetBuilder:
    """Takes the files of one set language by language, in the order of `langs`, then makes the set.

    Passages and queries of one id in several languages are parallel: a judgement holds for all of them. Where
    ids are not shared between languages, `scope` keeps them apart. With `chunking` the passages are documents,
    cut into windows. Texts and ids lie in Arrow buffers, so that a passage costs tens of bytes beyond its text.
    """

    def __init__(self, name: str, langs: tuple[str, ...], chunking: Chunking | None = None) -> None:
        self.name, self.langs = name, langs
        self._chunking = chunking
        self._queries: list[dict[str, str]] = [{} for _ in langs]
        self._ids = PassageIds(len(langs))
        self._texts = TextWriter()
        self._num_windows = array("q")
        self._blank: list[str] = []
        self._gold: dict[str, dict[int, int]] = {}
        self._lost: dict[str, list[int]] = {}
        self._notes: list[str] = []

    def add_passage(self, path: Path, number: int, lang: int, name: str, title: str, text: str) -> None:
        """Add the passage on line `number` of `path`; languages come in ascending order.

        Raises EvaluationError, with file and line, where the language before had an id twice.
        """
        self._ids.append(path, number, lang, name)
        title, text = title.strip(), text.strip()
        if not title and not text:
            self._blank.append(name)
        cut = [f"{title} {text}".strip()] if self._chunking is None else window_texts(title, text, self._chunking)
        for window in cut:
            self._texts.append(window)
        if self._chunking is not None:
            self._num_windows.append(len(cut))

    def add_query(self, path: Path, number: int, lang: int, name: str, text: str) -> None:
        """Add the query on line `number` of `path`; EvaluationError for an id that comes twice, or no text."""
        if name in self._queries[lang]:
            raise EvaluationError(
                f"{path} line {number} has the id {name}, which an earlier line has; keep one of them."
            )
        if not text.strip():
            raise EvaluationError(f"{path} line {number}: query {name} has no text; remove it, or give it one.")
        self._queries[lang][name] = text

    def judge(
        self,
        path: Path,
        judgements: Iterable[Judgement],
        scope: tuple[str, int] | None = None,
        *,
        whole: bool = True,
    ) -> None:
        """Add judgements; with `scope` (prefix, language) the ids are those of one language, stored with `prefix`.

        A relevant passage that is not there counts as never found, unless the corpus is not the `whole` one.
        Names that have no query or passage are counted in a note. EvaluationError where two grades contradict,
        and where a language has a passage id twice.
        """
        prefix, only = scope or ("", None)
        langs: Sequence[int] = range(len(self.langs)) if only is None else (only,)
        grades: dict[str, dict[str, int]] = {}
        no_query: dict[str, int] = {}
        total = 0
        for query, passage, grade in judgements:
            total += 1
            if not any(prefix + query in self._queries[lang] for lang in langs):
                no_query[query] = no_query.get(query, 0) + 1
            elif grades.setdefault(query, {}).setdefault(passage, grade) != grade:
                raise EvaluationError(
                    f"{path} judges query {query} and passage {passage} as {grades[query][passage]} and as {grade}; "
                    "keep one."
                )
        if not total:
            raise EvaluationError(f"{path} has no judgements; fetch it again.")
        where = f"{path.name}{'' if only is None else f' ({self.langs[only]})'}: "
        if no_query:
            self.note(
                f"{where}{sum(no_query.values())} of {total} judgements name queries that are not there: "
                f"{listed(list(no_query))}."
            )
        rows = self._ids.rows({passage for judged in grades.values() for passage in judged}, langs)
        for query, judged in grades.items():
            self._gold[prefix + query] = {
                row: grade for passage, grade in judged.items() if grade > 0 for row in rows.get(passage, ())
            }
            lost = [grade for passage, grade in judged.items() if grade > 0 and passage not in rows]
            if lost and whole:
                self._lost[prefix + query] = lost
        self._note_absent(where, total, grades, rows, NEVER_FOUND if whole else LEFT_OUT)

    def build(self) -> RetrievalSet:
        """The set: passages in the order of their languages, as added; queries likewise, those with gold alone.

        Raises EvaluationError where no query has a relevant passage, or the last language has an id twice.
        """
        self._ids.check()
        kept = [
            (name, lang)
            for lang, texts in enumerate(self._queries)
            for name in texts
            if self._gold.get(name) or name in self._lost
        ]
        if not any(self._gold.get(name) for name, _ in kept):
            raise EvaluationError(
                f"no query of set {self.name!r} has a relevant passage: {' '.join(self._notes) or 'no judgements'} "
                "Take queries, passages and judgements from one release."
            )
        self._note_left_out()
        if self._blank:
            self.note(f"{len(self._blank)} passages are empty, and ranked like the others: {listed(self._blank)}.")
        if self._chunking is not None:
            self.note(self._chunking.note(len(self._ids), len(self._texts)))
        gold = [sorted(self._gold[name].items()) for name, _ in kept]
        grades = np.array([grade for pairs in gold for _, grade in pairs], dtype=np.int64)
        lost = [(at, grade) for at, (name, _) in enumerate(kept) for grade in self._lost.get(name, ())]
        return RetrievalSet(
            name=self.name,
            langs=self.langs,
            query_langs=np.array([lang for _, lang in kept]),
            query_keys=np.array([name for name, _ in kept]),
            passage_langs=self._ids.langs(),
            passage_ids=self._ids.names(),
            gold_offsets=np.cumsum([0, *map(len, gold)]),
            gold_passages=np.array([row for pairs in gold for row, _ in pairs]),
            gold_grades=None if (grades == 1).all() else grades,
            text_passages=self._text_passages(),
            lost_queries=np.array([at for at, _ in lost], dtype=np.int64),
            lost_grades=np.array([grade for _, grade in lost], dtype=np.int64),
            queries=[self._queries[lang][name] for name, lang in kept],
            passages=self._texts.column(),
            notes=tuple(self._notes),
        )

    def note(self, text: str) -> None:
        """Add a note to the set."""
        self._notes.append(text)

    def _text_passages(self) -> Any:
        if self._chunking is None:
            return None
        return np.repeat(np.arange(len(self._ids)), np.frombuffer(self._num_windows, dtype=np.int64))

    def _note_absent(
        self, where: str, total: int, grades: dict[str, dict[str, int]], rows: dict[str, list[int]], effect: str
    ) -> None:
        absent = [
            (query, passage, grade)
            for query, judged in grades.items()
            for passage, grade in judged.items()
            if passage not in rows
        ]
        if not absent:
            return
        names = list(dict.fromkeys(passage for _, passage, _ in absent))
        relevant = [query for query, _, grade in absent if grade > 0]
        lost = f" {effect}, of {len(set(relevant))} queries." if relevant else ""
        self.note(
            f"{where}{len(absent)} of {total} judgements ({len(relevant)} of them relevant) name passages that are "
            f"not there: {listed(names)}.{lost}"
        )

    def _note_left_out(self) -> None:
        names = dict.fromkeys(name for texts in self._queries for name in texts)
        judged = [name for name in names if self._gold.get(name) == {} and name not in self._lost]
        if judged:
            self.note(f"{len(judged)} judged queries have no relevant passage here and are left out: {listed(judged)}.")
        unjudged = sum(name not in self._gold for name in names)
        if unjudged:
            self.note(f"{unjudged} queries are not judged in this split and are left out.")
