"""A retrieval set from queries, passages and judgements as files give them; what does not fit is noted."""

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hbt_ray.errors import EvaluationError
from hbt_ray.retrieval.sets.lines import Judgement, Text, first_names
from hbt_ray.retrieval.sets.retrieval_set import RetrievalSet
from hbt_ray.retrieval.sets.text_columns import TextWriter
from hbt_ray.retrieval.sets.windows import Chunking, window_texts

NEVER_FOUND = "These count as relevant and never found, as in trec_eval, which lowers the scores"
LEFT_OUT = "These are left out, because they may be in a language that was not asked for"
"""What a note says of relevant passages that the corpus lacks."""

Read = Callable[[Path], Iterable[Text]]
"""The texts of a file."""


class SetBuilder:
    """Takes the files of one set language by language, in the order of `langs`, then makes the set.

    Passages and queries of one id in several languages are parallel: a judgement holds for all of them. Where
    ids are not shared between languages, `prefix` keeps the queries apart. With `chunking` the passages are
    documents, cut into windows. Texts and ids lie in Arrow buffers, so that a passage costs tens of bytes beyond
    its text: a pool may have tens of millions.
    """

    def __init__(
        self, name: str, langs: Sequence[str], chunking: Chunking | None = None, notes: Iterable[str] = ()
    ) -> None:
        self.name, self.langs = name, tuple(langs)
        self._chunking = chunking
        self._read_as = array("q")
        """Hashes of every passage: of its text, and of its title and text."""
        self._notes = list(notes)
        self._queries: list[dict[str, str]] = [{} for _ in self.langs]
        self._rows = [range(0) for _ in self.langs]
        """Rows of the passages of each language."""
        self._ids, self._texts = TextWriter(), TextWriter()
        self._num_windows = array("q")
        self._blank: list[str] = []
        self._no_id: Counter[str] = Counter()
        self._gold: dict[str, dict[int, int]] = {}
        self._lost: dict[str, list[int]] = {}

    def note(self, text: str) -> None:
        """Add a note to the set."""
        self._notes.append(text)

    def add_passages(self, lang: int, files: Sequence[Path], read: Read, unit: str = "line") -> None:
        """Add all passages of a language; languages come in ascending order. `read` numbers the `unit` of a file.

        Raises EvaluationError, with file and line, where an id comes twice.
        """
        assert not any(map(len, self._rows[lang:])), "passages are added language by language"
        first = len(self._ids)
        for path in files:
            for _, name, title, text in read(path):
                if name:
                    self._add_passage(name, title, text)
                else:
                    self._no_id[path.name] += 1
        self._rows[lang] = range(first, len(self._ids))
        ids = self._ids.column().chunks.slice(first)
        if pc.count_distinct(ids).as_py() < len(ids):
            _raise_repeat(files, read, unit)
        pa.default_memory_pool().release_unused()  # the hash table of all ids was large

    def add_queries(self, lang: int, path: Path, read: Read, prefix: str = "", unit: str = "line") -> None:
        """Add queries of a language; EvaluationError, with the line, for an id that comes twice, or no text."""
        queries = self._queries[lang]
        for number, name, _, text in read(path):
            if not name:
                self._no_id[path.name] += 1
                continue
            if prefix + name in queries:
                raise EvaluationError(
                    f"{path} {unit} {number} has the id {name}, which an earlier {unit} has; keep one of them."
                )
            if not text.strip():
                raise EvaluationError(f"{path} {unit} {number}: query {name} has no text; remove it, or give it one.")
            queries[prefix + name] = text

    def judge(
        self,
        path: Path,
        judgements: Iterable[Judgement],
        only: int | None = None,
        *,
        prefix: str = "",
        whole: bool = True,
    ) -> None:
        """Add judgements of all languages, or of `only` one, whose queries were added with `prefix`.

        A relevant passage that is not there counts as never found, unless the corpus is not the `whole` one.
        Names that have no query or passage are counted in a note. EvaluationError where two grades contradict.
        """
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
                f"{first_names(list(no_query))}."
            )
        rows = self._find(list({passage for judged in grades.values() for passage in judged}), langs)
        for query, judged in grades.items():
            gold = self._gold.setdefault(prefix + query, {})
            for passage, grade in judged.items():
                if grade > 0:
                    gold.update(dict.fromkeys(rows.get(passage, ()), grade))
            lost = [grade for passage, grade in judged.items() if grade > 0 and passage not in rows]
            if lost and whole:
                self._lost.setdefault(prefix + query, []).extend(lost)
        self._note_absent(where, total, grades, rows, NEVER_FOUND if whole else LEFT_OUT)

    def build(self, *, own: bool = False) -> RetrievalSet:
        """The set: passages in the order of their languages, as added; queries likewise, those with gold alone.

        With `own`, a query with id and text of a passage that is not relevant to it is that passage itself, in all
        languages: it is not ranked for it, as in BEIR (ArguAna, Quora).

        Raises EvaluationError where no query has a relevant passage.
        """
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
        for name, count in self._no_id.items():
            self.note(f"{count} entries of {name} have no id and are left out.")
        own_pairs = self._own(kept) if own else []
        self._note_left_out()
        num_passages = len(self._ids)
        text_passages = None
        if self._chunking is not None:
            self.note(self._chunking.note(num_passages, len(self._texts)))
            text_passages = np.repeat(np.arange(num_passages), np.frombuffer(self._num_windows, dtype=np.int64))
        gold = [sorted(self._gold.get(name, {}).items()) for name, _ in kept]
        grades = np.array([grade for pairs in gold for _, grade in pairs], dtype=np.int64)
        lost = [(row, grade) for row, (name, _) in enumerate(kept) for grade in self._lost.get(name, ())]
        return RetrievalSet(
            name=self.name,
            langs=self.langs,
            query_langs=np.array([lang for _, lang in kept]),
            query_keys=np.array([name for name, _ in kept]),
            passage_langs=np.repeat(np.arange(len(self.langs)), [len(rows) for rows in self._rows]),
            passage_ids=self._ids.column().to_numpy(),
            gold_offsets=np.cumsum([0, *map(len, gold)]),
            gold_passages=np.array([row for pairs in gold for row, _ in pairs]),
            gold_grades=None if (grades == 1).all() else grades,
            text_passages=text_passages,
            lost_queries=np.array([row for row, _ in lost], dtype=np.int64),
            lost_grades=np.array([grade for _, grade in lost], dtype=np.int64),
            own_queries=np.array([row for row, _ in own_pairs], dtype=np.int64),
            own_passages=np.array([row for _, row in own_pairs], dtype=np.int64),
            queries=[self._queries[lang][name] for name, lang in kept],
            passages=self._texts.column(),
            notes=tuple(self._notes),
        )

    def _add_passage(self, name: str, title: str, text: str) -> None:
        self._ids.append(name)
        self._read_as.extend((hash(text), hash(_joined(title, text))))
        if not title and not text:
            self._blank.append(name)
        if self._chunking is None:
            self._texts.append(_joined(title, text))
            return
        windows = window_texts(title, text, self._chunking)
        for window in windows:
            self._texts.append(window)
        self._num_windows.append(len(windows))

    def _find(self, names: list[str], langs: Sequence[int]) -> dict[str, list[int]]:
        """Those of `names` that `langs` have, with their rows in the order of `langs`."""
        ids: Any = self._ids.column().chunks
        rows_of: dict[str, list[int]] = {}
        for rows in (self._rows[lang] for lang in langs):
            if not names or not len(rows):
                continue
            place = pc.index_in(ids.slice(rows.start, len(rows)), value_set=pa.array(names, type=pa.large_string()))
            for row in pc.indices_nonzero(pc.is_valid(place)).to_pylist():
                rows_of.setdefault(names[place[row].as_py()], []).append(rows.start + row)
        return rows_of

    def _own(self, kept: Sequence[tuple[str, int]]) -> list[tuple[int, int]]:
        """(row of the query, row of a passage that is itself) of `kept` queries, by query."""
        texts: dict[str, set[int]] = {}
        for name, lang in kept:
            texts.setdefault(name, set()).add(hash(self._queries[lang][name].strip()))
        same = {
            name: rows
            for name, rows in self._find(list(texts), range(len(self.langs))).items()
            if not self._gold.get(name, {}).keys() & set(rows)
            and any(texts[name] & set(self._read_as[2 * row : 2 * row + 2]) for row in rows)
        }
        pairs = [(at, row) for at, (name, _) in enumerate(kept) for row in sorted(same.get(name, ()))]
        if pairs:
            self.note(
                f"{len({at for at, _ in pairs})} queries are passages themselves (of one id and text), which are not "
                "ranked for them, as in BEIR."
            )
        return pairs

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
            f"not there: {first_names(names)}.{lost}"
        )

    def _note_left_out(self) -> None:
        names = dict.fromkeys(name for texts in self._queries for name in texts)
        judged = [name for name in names if self._gold.get(name) == {} and name not in self._lost]
        if judged:
            self.note(
                f"{len(judged)} judged queries have no relevant passage here and are left out: {first_names(judged)}."
            )
        unjudged = sum(name not in self._gold for name in names)
        if unjudged:
            self.note(f"{unjudged} queries are not judged in this split and are left out.")
        if self._blank:
            self.note(f"{len(self._blank)} passages are empty, and ranked like the others: {first_names(self._blank)}.")


def _joined(title: str, text: str) -> str:
    return f"{title} {text}" if title and text else title or text


def _raise_repeat(files: Sequence[Path], read: Read, unit: str) -> NoReturn:
    """Reads the files of a language again, for the place where an id comes a second time."""
    seen: set[str] = set()
    for path in files:
        for number, name, _, _ in read(path):
            if name and name in seen:
                raise EvaluationError(
                    f"{path} {unit} {number} has the id {name}, which an earlier {unit} has; keep one of them."
                )
            seen.add(name)
    raise EvaluationError(f"{files[0]} changed while it was read; load the set again.")
