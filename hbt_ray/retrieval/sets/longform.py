"""A parallel set in long form: Parquet rows of id, lang, question and passage, in any number of languages."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import permutations
from pathlib import Path
from typing import NamedTuple

from hbt_ray.errors import EvaluationError
from hbt_ray.languages import lang_hint
from hbt_ray.reading.columns import id_of, lang_if_known
from hbt_ray.retrieval.sets.builder import SetBuilder
from hbt_ray.retrieval.sets.lines import Judgement, choose_langs, first_names, read_parquet
from hbt_ray.retrieval.sets.retrieval_set import RetrievalSet

COLUMNS = ("id", "lang", "question", "passage")


class Item(NamedTuple):
    """An item in one language; `number` is its row, counted over all files."""

    number: int
    id: str
    question: str
    passage: str


def load_longform(path: str | Path, langs: Sequence[str] | None = None, *, name: str = "parallel") -> RetrievalSet:
    """Load a Parquet file, or all `*.parquet` of a directory, as the set question -> passage.

    A row is one item in one language. A question is answered by its item's passage in every language, and by
    passages of its languages with the same text as one of these. `langs` chooses and orders the languages;
    None takes all, by code. Rows without an id, a known language, a question or a passage are left out and counted in
    the notes.

    Raises EvaluationError for a missing or unreadable file, missing columns or languages, and an id that comes
    twice in a language.
    """
    root = Path(path)
    items: dict[str, list[Item]] = {}
    place: dict[str, int] = {}
    unusable: Counter[str] = Counter()
    for number, (item, lang, known, question, passage) in enumerate(_rows(root), start=1):
        if not item or not known:
            unusable["no id" if not item else _wrong_lang(lang)] += 1
            continue
        place.setdefault(item, len(place))
        items.setdefault(lang, []).append(Item(number, item, question, passage))
    chosen = choose_langs(langs, items, f"{root} has no rows in")
    whole = {
        lang: sorted(
            (item for item in items[lang] if item.question.strip() and item.passage.strip()),
            key=lambda item: place[item.id],
        )
        for lang in chosen
    }
    kept = {item.number for lang in chosen for item in whole[lang]}
    blank = [(item.number, item.id) for lang in chosen for item in items[lang] if item.number not in kept]
    names = first_names([name for _, name in sorted(blank)])
    notes = [f"{count} rows have {what} and are left out." for what, count in unusable.items()]
    notes += [f"{len(blank)} rows have no question or no passage and are left out: {names}."] if blank else []
    builder = SetBuilder(name, chosen, notes=notes)
    for lang_number, lang in enumerate(chosen):
        passages = [(item.number, item.id, "", item.passage) for item in whole[lang]]
        questions = [(item.number, item.id, "", item.question) for item in whole[lang]]
        builder.add_passages(lang_number, [root], {root: passages}.__getitem__, "row")
        builder.add_queries(lang_number, root, {root: questions}.__getitem__, unit="row")
    builder.judge(root, (Judgement(item.id, item.id, 1) for lang in chosen for item in whole[lang]))
    for lang_number, lang in enumerate(chosen):
        if pairs := list(_same_text(whole[lang])):
            builder.judge(root, pairs, lang_number)
    return builder.build()


def _same_text(items: Sequence[Item]) -> Iterator[Judgement]:
    """Each item with every other one of its language whose passage reads the same."""
    by_text: dict[str, list[str]] = {}
    for item in items:
        by_text.setdefault(item.passage, []).append(item.id)
    for names in by_text.values():
        yield from (Judgement(name, other, 1) for name, other in permutations(names, 2))


def _wrong_lang(lang: str) -> str:
    hint = f" ({hint})" if (hint := lang_hint(lang)) else ""
    return f"the unknown language code {lang!r}{hint}" if lang else "no language"


def _rows(path: Path) -> Iterator[tuple[str, str, bool, str, str]]:
    """Id, language, whether that is known, question and passage of each row."""
    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    if not files or not files[0].is_file():
        raise EvaluationError(f"there is no Parquet file at {path}; pass a file, or a directory of *.parquet.")
    for file in files:
        for _, row in read_parquet(file, COLUMNS):
            lang, known = lang_if_known(row["lang"] or "")
            yield id_of(row["id"]), lang, known, row["question"] or "", row["passage"] or ""
