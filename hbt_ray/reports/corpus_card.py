"""The corpus card: what is in a corpus, what was left out of it and why, as Markdown, JSON and one HTML page."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hbt_ray.cleaning.clean_corpus import SUMMARY, Cleaned
from hbt_ray.cleaning.identify import unjudged
from hbt_ray.corpus.beside import stated_licences
from hbt_ray.corpus.inputs import KEPT
from hbt_ray.corpus.manifest import Corpus, Manifest
from hbt_ray.corpus.prepare import COUNTS
from hbt_ray.corpus.sources import SOURCES
from hbt_ray.kit.matrix import page_matrix
from hbt_ray.kit.page import render
from hbt_ray.languages import lang_name, unspaced
from hbt_ray.storage import open_fs, read_json, write_whole

HTML, MARKDOWN, JSON = "card.html", "card.md", "card.json"
MAX_MATRIX_LANGS = 24
"""Languages up to which the coverage matrix is in the Markdown too."""
MAX_LANGS = 8
"""Languages that are named with a reason, those with most rows first."""
NOT_STATED = "not stated"


@dataclass(frozen=True, kw_only=True)
class LangRow:
    """One language."""

    lang: str
    rows: int
    """Items that have it."""
    dev: int | None = None
    """Of these, dev items."""
    rejected: int | None = None
    """Rows that cleaning set aside."""
    query_tokens: Mapping[str, float] | None = None
    """mean, p50, p95, max, and the share that is cut."""
    passage_tokens: Mapping[str, float] | None = None
    tokens_per_word: float | None = None
    """Fertility of the tokenizer; None where words are not written apart."""
    tokens_per_char: float | None = None


@dataclass(frozen=True, kw_only=True)
class Count:
    """Rows that have something in common."""

    what: str
    rows: int
    share: float
    """Of the rows of the corpus before."""
    langs: tuple[tuple[str, int], ...] = ()
    """Those with most."""


@dataclass(frozen=True, kw_only=True)
class SourceRow:
    """One source."""

    source: str
    items: int
    licence: str
    citation: str = ""


@dataclass(frozen=True, kw_only=True)
class Card:
    """A corpus in numbers; plain types, so that its JSON is the same."""

    title: str
    kind: str
    """`prepared` or `cleaned`."""
    items: int
    rows: int
    facts: Mapping[str, str]
    """What it was made from, and how."""
    langs: tuple[LangRow, ...]
    coverage: tuple[tuple[int, ...], ...]
    """Items that have both languages, in the order of `langs`; a language with itself: items that have it."""
    rejected: tuple[Count, ...] = ()
    unusable: tuple[Count, ...] = ()
    contamination: tuple[Count, ...] = ()
    sources: tuple[SourceRow, ...] = ()


def write_clean_card(cleaned: Cleaned) -> str:
    """Write the card of a cleaned corpus beside it; returns where the page is."""
    return _write(cleaned.directory, clean_card(cleaned))


def write_prepared_card(corpus: Corpus) -> str:
    """The same of a prepared corpus, unless it has a card."""
    fs, path = open_fs(corpus.directory)
    counts = read_json(f"{corpus.directory}/{COUNTS}")
    if counts is None or fs.exists(f"{path}/{HTML}"):
        return f"{corpus.directory}/{HTML}"
    return _write(corpus.directory, prepared_card(corpus.directory, corpus.manifest, counts["pairs"], counts["whole"]))


def _write(directory: str, card: Card) -> str:
    for name, text in card_files(card).items():
        write_whole(f"{directory}/{name}", text.encode())
    return f"{directory}/{HTML}"


def card_files(card: Card) -> dict[str, str]:
    """File name -> text of each form."""
    langs = [row.lang for row in card.langs]
    both = np.array(card.coverage, float).reshape(len(langs), len(langs))
    share = both / np.maximum(1, np.minimum(both.diagonal()[:, None], both.diagonal()))

    def title(row: int, column: int) -> str:
        return f"{lang_name(langs[row])} and {lang_name(langs[column])}: {card.coverage[row][column]:,} items"

    context = {
        "card": card,
        "codes": langs,
        "matrix": page_matrix(langs, langs, share, (0.0, 1.0), lambda value: f"{100 * value:.0f}%", title),
        "max_matrix_langs": MAX_MATRIX_LANGS,
        "has_tokens": any(row.query_tokens for row in card.langs),
        "has_rejected": any(row.rejected is not None for row in card.langs),
        "rejected_rows": sum(reason.rows for reason in card.rejected),
    }
    return {
        HTML: render("hbt_ray.reports", "card.html.j2", **context),
        MARKDOWN: render("hbt_ray.reports", "card.md.j2", **context),
        JSON: json.dumps(dataclasses.asdict(card), indent=1, ensure_ascii=False) + "\n",
    }


def clean_card(cleaned: Cleaned) -> Card:
    """The card of a cleaned corpus."""
    counts, kept = cleaned.counts, cleaned.counts.kept
    rejected: Counter[str] = Counter()
    for by_lang in counts.rejected.values():
        rejected.update(by_lang)
    langs = sorted(counts.rows)
    rules = cleaned.settings["rules"]
    facts = {
        "input": str(cleaned.settings["input"]),
        "rows before": f"{counts.rows.total():,}",
        "items before": f"{counts.items:,}",
        "reference language": str(rules["reference_lang"]),
        "rules": ", ".join(rules["rules"]),
        "near-duplicates": f"from a similarity of {rules['max_jaccard']}" if rules["duplicates"] else "not looked for",
        "similarity model": rules["model"] or "none",
        "checked against": ", ".join(counts.contamination) or "nothing",
        "rows found there": "removed" if rules["contamination"] == "remove" else "reported",
    }
    if "wrong_language" in rules["rules"]:
        facts["not judged by language"] = ", ".join(unjudged(langs)) or "none"
    return Card(
        title=_name(cleaned.directory),
        kind="cleaned",
        items=kept.items,
        rows=kept.rows.total(),
        facts=facts,
        langs=tuple(LangRow(lang=lang, rows=kept.rows[lang], rejected=rejected[lang]) for lang in langs),
        coverage=coverage_of(langs, kept.rows, kept.pairs),
        **_left_out(cleaned),
        sources=source_rows(cleaned.kept, kept.sources),
    )


def prepared_card(
    directory: str, manifest: Manifest, pairs: Mapping[str, int], whole: Mapping[str, Mapping[str, int]]
) -> Card:
    """The card of a prepared corpus.

    Args:
        directory: of the corpus.
        manifest: of it.
        pairs: `a b` -> items with both languages.
        whole: language -> tokens, words and characters of the texts that were not cut.
    """
    splits, settings, groups = manifest.splits, manifest.settings, manifest.groups
    rows = {lang: sum(split.items_per_lang.get(lang, 0) for split in splits.values()) for lang in manifest.langs}
    sources: Counter[str] = Counter()
    for split in splits.values():
        for shard in split.shards:
            for source, num in shard.row_groups:
                sources[source] += num
    facts = {
        "input": str(settings["input"]),
        "train items": f"{splits['train'].num_items:,}",
        "dev items": f"{splits['dev'].num_items:,}",
        "tokenizer": _name(str(settings["base"])),
        "tokens of a question": f"at most {settings['max_query_tokens']}",
        "tokens of a passage": f"at most {settings['max_passage_tokens']}",
        "prefix of questions": repr(settings["query_prefix"]) if settings["query_prefix"] else "none",
        "prefix of passages": repr(settings["passage_prefix"]) if settings["passage_prefix"] else "none",
        "sharing passages": f"{groups.num_items:,} items in {groups.num_groups:,} groups of up to {groups.largest:,}",
        "fingerprint": manifest.fingerprint[:12],
    }
    cleaned = cleaned_input(str(settings["input"]))
    left_out = _left_out(cleaned) if cleaned else {}
    unusable = [_count(what, num, sum(rows.values())) for what, num in manifest.skipped.items()]
    return Card(
        title=_name(directory),
        kind="prepared",
        items=sum(split.num_items for split in splits.values()),
        rows=sum(rows.values()),
        facts=facts,
        langs=tuple(_lang_row(lang, rows[lang], manifest, whole.get(lang, {})) for lang in manifest.langs),
        coverage=coverage_of(manifest.langs, rows, pairs),
        **{**left_out, "unusable": (*left_out.get("unusable", ()), *unusable)},
        sources=source_rows(str(settings["input"]), sources),
    )


def cleaned_input(location: str) -> Cleaned | None:
    """The cleaned corpus of which `location` is the kept part, if it is one."""
    parent, _, last = location.rstrip("/").rpartition("/")
    if last != KEPT:
        return None
    fs, path = open_fs(f"{parent}/{SUMMARY}")
    return Cleaned.open(parent) if fs.exists(path) else None


def coverage_of(langs: Sequence[str], rows: Mapping[str, int], pairs: Mapping[str, int]) -> tuple[tuple[int, ...], ...]:
    """The matrix, from the rows of each language and the items of each pair `a b` (a < b)."""

    def both(a: str, b: str) -> int:
        return rows.get(a, 0) if a == b else pairs.get(" ".join(sorted((a, b))), 0)

    return tuple(tuple(both(a, b) for b in langs) for a in langs)


def source_rows(location: str, items: Mapping[str, int]) -> tuple[SourceRow, ...]:
    """The sources of the input `location` with their items, largest first.

    A licence is what `licences.json` beside the input states, else what is known of a named source.
    """
    stated = stated_licences(location)
    rows = []
    for source, num in sorted(items.items(), key=lambda pair: (-pair[1], pair[0])):
        entry = SOURCES.get(source)
        licence = stated.get(source) or (entry.licence if entry else NOT_STATED)
        rows.append(SourceRow(source=source, items=num, licence=licence, citation=entry.citation if entry else ""))
    return tuple(rows)


def _left_out(cleaned: Cleaned) -> dict[str, tuple[Count, ...]]:
    counts, total = cleaned.counts, cleaned.counts.rows.total()
    reasons = sorted(counts.rejected.items(), key=lambda pair: (-pair[1].total(), pair[0]))
    shared = [(f"{name}: {kind}", langs) for name, of in counts.contamination.items() for kind, langs in of.items()]
    return {
        "rejected": tuple(_count(reason, langs.total(), total, langs) for reason, langs in reasons),
        "unusable": tuple(_count(problem, num, total) for problem, num in counts.unusable.most_common()),
        "contamination": tuple(_count(what, langs.total(), total, langs) for what, langs in shared),
    }


def _count(what: str, rows: int, total: int, langs: Counter[str] | None = None) -> Count:
    most = () if langs is None else tuple(langs.most_common(MAX_LANGS))
    return Count(what=what, rows=rows, share=rows / max(1, total), langs=most)


def _lang_row(lang: str, rows: int, manifest: Manifest, whole: Mapping[str, int]) -> LangRow:
    tokens = manifest.tokens.get(lang, {})
    num_tokens, words, chars = (whole.get(name, 0) for name in ("tokens", "words", "chars"))
    return LangRow(
        lang=lang,
        rows=rows,
        dev=manifest.splits["dev"].items_per_lang.get(lang, 0),
        query_tokens=tokens.get("query"),
        passage_tokens=tokens.get("passage"),
        tokens_per_word=None if unspaced(lang) or not words else round(num_tokens / words, 3),
        tokens_per_char=round(num_tokens / chars, 3) if chars else None,
    )


def _name(path: str) -> str:
    return path.rstrip("/").rsplit("/", 1)[-1]
