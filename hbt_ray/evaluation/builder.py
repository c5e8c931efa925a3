"""A retrieval set from queries, passages and judgements as files give them; what does not fit is noted."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from hbt_ray.errors import EvaluationError
from hbt_ray.evaluation.chunks import Chunking, window_texts
from hbt_ray.evaluation.lines import Judgement, listed
from hbt_ray.evaluation.sets import RetrievalSet


class SetBuilder:
    """Takes the files of one set language by language, then makes the set.

    Passages and queries of one id in several languages are parallel: a judgement holds for all of them. Where
    ids are not shared between languages, `scope` keeps them apart.
    """

    def __init__(self, name: str, langs: tuple[str, ...]) -> None:
        self.name, self.langs = name, langs
        self._queries: dict[tuple[str, int], str] = {}
        self._titles: list[str] = []
        self._texts: list[str] = []
        self._passages: dict[tuple[str, int], int] = {}
        self._gold: dict[str, dict[str, int]] = {}
        self._langs_of: dict[str, range | tuple[int]] = {}
        self._notes: list[str] = []

    def add_passage(self, path: Path, number: int, lang: int, name: str, title: str, text: str) -> None:
        """Add the passage on line `number` of `path`; EvaluationError if its language has the id already."""
        if (name, lang) in self._passages:
            raise EvaluationError(
                f"{path} line {number} has the id {name}, which an earlier line has; keep one of them."
            )
        self._passages[name, lang] = len(self._texts)
        self._titles.append(title.strip())
        self._texts.append(text.strip())

    def add_query(self, path: Path, number: int, lang: int, name: str, text: str) -> None:
        """Add the query on line `number` of `path`; EvaluationError for an id that comes twice, or no text."""
        if (name, lang) in self._queries:
            raise EvaluationError(
                f"{path} line {number} has the id {name}, which an earlier line has; keep one of them."
            )
        if not text.strip():
            raise EvaluationError(f"{path} line {number}: query {name} has no text; remove it, or give it one.")
        self._queries[name, lang] = text

    def judge(self, path: Path, judgements: Iterable[Judgement], scope: tuple[str, int] | None = None) -> None:
        """Add judgements; with `scope` (prefix, language) the ids are those of one language, stored with `prefix`.

        Names that have no query or passage are counted in a note. EvaluationError where two grades contradict.
        """
        prefix, only = scope or ("", None)
        langs: range | tuple[int] = range(len(self.langs)) if only is None else (only,)
        no_query: dict[str, int] = {}
        no_passage: dict[str, int] = {}
        lost = total = 0
        for query, passage, grade in judgements:
            total += 1
            key = prefix + query
            if not any((key, lang) in self._queries for lang in langs):
                no_query[query] = no_query.get(query, 0) + 1
                continue
            self._langs_of[key] = langs
            grades = self._gold.setdefault(key, {})
            if grades.setdefault(passage, grade) != grade:
                raise EvaluationError(
                    f"{path} judges query {query} and passage {passage} as {grades[passage]} and as {grade}; keep one."
                )
            if not any((passage, lang) in self._passages for lang in langs):
                no_passage[passage] = no_passage.get(passage, 0) + 1
                lost += grade > 0
        if not total:
            raise EvaluationError(f"{path} has no judgements; fetch it again.")
        if no_query:
            self._notes.append(
                f"{path.name}{self._where(only)}: {sum(no_query.values())} of {total} judgements name queries that "
                f"are not there: {listed(list(no_query))}."
            )
        if no_passage:
            self._notes.append(
                f"{path.name}{self._where(only)}: {sum(no_passage.values())} of {total} judgements ({lost} of them "
                f"relevant) name passages that are not there: {listed(list(no_passage))}."
            )

    def build(self, chunking: Chunking | None = None) -> RetrievalSet:
        """The set: passages in the order of their languages, as added; queries likewise, those with gold alone.

        Raises EvaluationError where no query has a relevant passage.
        """
        order = sorted(self._passages, key=lambda key: (key[1], self._passages[key]))
        row = {key: at for at, key in enumerate(order)}
        grades_of = {key: self._rows(grades, row, self._langs_of[key]) for key, grades in self._gold.items()}
        kept = [key for key in sorted(self._queries, key=lambda key: key[1]) if grades_of.get(key[0])]
        if not kept:
            raise EvaluationError(
                f"no query of set {self.name!r} has a relevant passage: {' '.join(self._notes) or 'no judgements'} "
                "Take queries, passages and judgements from one release."
            )
        self._note_left_out(grades_of)
        blank = [key[0] for key in order if not self._titles[self._passages[key]] + self._texts[self._passages[key]]]
        if blank:
            self._notes.append(f"{len(blank)} passages are empty, and ranked like the others: {listed(blank)}.")
        titled = [(self._titles[self._passages[key]], self._texts[self._passages[key]]) for key in order]
        texts, parts = [f"{title} {text}".strip() for title, text in titled], None
        if chunking is not None:
            texts, parts = window_texts(titled, chunking)
            self._notes.append(chunking.note(len(titled), len(texts)))
        gold = [grades_of[key[0]] for key in kept]
        grades = np.array([grade for rows in gold for _, grade in rows], dtype=np.int64)
        return RetrievalSet(
            name=self.name,
            langs=self.langs,
            query_langs=np.array([lang for _, lang in kept]),
            query_keys=np.array([name for name, _ in kept]),
            passage_langs=np.array([lang for _, lang in order]),
            passage_ids=np.array([name for name, _ in order]),
            gold_offsets=np.cumsum([0, *map(len, gold)]),
            gold_passages=np.array([at for rows in gold for at, _ in rows]),
            gold_grades=None if (grades == 1).all() else grades,
            text_passages=parts,
            queries=[self._queries[key] for key in kept],
            passages=texts,
            notes=tuple(self._notes),
        )

    def note(self, text: str) -> None:
        """Add a note to the set."""
        self._notes.append(text)

    def _rows(
        self, grades: dict[str, int], row: dict[tuple[str, int], int], langs: range | tuple[int]
    ) -> list[tuple[int, int]]:
        """(passage row, grade) of the relevant passages, in every one of `langs` that has them, by row."""
        places = ((row.get((passage, lang)), grade) for passage, grade in grades.items() if grade > 0 for lang in langs)
        return sorted((at, grade) for at, grade in places if at is not None)

    def _note_left_out(self, grades_of: dict[str, list[tuple[int, int]]]) -> None:
        judged = list(dict.fromkeys(name for name, _ in self._queries if grades_of.get(name) == []))
        if judged:
            self._notes.append(
                f"{len(judged)} judged queries have no relevant passage here and are left out: {listed(judged)}."
            )
        unjudged = len({name for name, _ in self._queries if name not in grades_of})
        if unjudged:
            self._notes.append(f"{unjudged} queries are not judged in this split and are left out.")

    def _where(self, lang: int | None) -> str:
        return "" if lang is None else f" ({self.langs[lang]})"
