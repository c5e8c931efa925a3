"""Cards from what preparing and cleaning have counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from hbt_ray.cleaning.clean import SUMMARY, Cleaned
from hbt_ray.cleaning.known_langs import unjudged
from hbt_ray.corpus.inputs import KEPT
from hbt_ray.corpus.manifest import Manifest
from hbt_ray.languages import unspaced
from hbt_ray.reports.corpus_card.card import Card, Count, LangRow, coverage_of
from hbt_ray.reports.corpus_card.licences import source_rows
from hbt_ray.storage import open_fs


def clean_card(found: Cleaned) -> Card:
    """The card of a cleaned corpus."""
    counts, kept = found.counts, found.counts.kept
    total = counts.rows.total()
    rejected: Counter[str] = Counter()
    for by_lang in counts.rejected.values():
        rejected.update(by_lang)
    langs = sorted(counts.rows)
    rules = found.settings["rules"]
    facts = {
        "input": str(found.settings["input"]),
        "rows before": f"{total:,}",
        "items before": f"{counts.items:,}",
        "reference language": str(rules["reference_lang"]),
        "rules": ", ".join(rules["rules"]),
        "near-duplicates": f"from a similarity of {rules['max_jaccard']}" if rules["duplicates"] else "not looked for",
        "similarity model": rules["model"] or "none",
        "checked against": ", ".join(counts.contamination) or "nothing",
        "what is found there": "removed" if rules["contamination"] == "remove" else "reported",
    }
    if "wrong_language" in rules["rules"]:
        facts["not judged by language"] = ", ".join(unjudged(langs)) or "none"
    return Card(
        title=found.directory.rstrip("/").rsplit("/", 1)[-1],
        kind="cleaned",
        items=kept.items,
        rows=kept.rows.total(),
        facts=facts,
        langs=tuple(LangRow(lang=lang, rows=kept.rows[lang], rejected=rejected[lang]) for lang in langs),
        coverage=coverage_of(langs, kept.rows, kept.pairs),
        **_left_out(found),
        sources=source_rows(found.kept, kept.sources),
    )


def prepare_card(
    directory: str, manifest: Manifest, pairs: Mapping[str, int], whole: Mapping[str, Mapping[str, int]]
) -> Card:
    """The card of a prepared corpus.

    Args:
        directory: of the corpus.
        manifest: of it.
        pairs: `a b` -> items with both languages.
        whole: language -> tokens, words and characters of the texts that were not cut.
    """
    splits = manifest.splits
    rows = {lang: sum(split.items_per_lang.get(lang, 0) for split in splits.values()) for lang in manifest.langs}
    sources: Counter[str] = Counter()
    for split in splits.values():
        for shard in split.shards:
            for source, num in shard.row_groups:
                sources[source] += num
    settings = manifest.settings
    items = sum(split.num_items for split in splits.values())
    facts = {
        "input": str(settings["input"]),
        "train items": f"{splits['train'].num_items:,}",
        "dev items": f"{splits['dev'].num_items:,}",
        "tokenizer": str(settings["base"]).rstrip("/").rsplit("/", 1)[-1],
        "tokens of a question": f"at most {settings['max_query_tokens']}",
        "tokens of a passage": f"at most {settings['max_passage_tokens']}",
        "prefix of questions": repr(settings["query_prefix"]) if settings["query_prefix"] else "none",
        "prefix of passages": repr(settings["passage_prefix"]) if settings["passage_prefix"] else "none",
        "fingerprint": manifest.fingerprint[:12],
    }
    cleaned = cleaned_input(str(settings["input"]))
    unusable = [
        Count(what=name, rows=num, share=num / max(1, sum(rows.values()))) for name, num in manifest.skipped.items()
    ]
    left_out = _left_out(cleaned) if cleaned else {}
    return Card(
        title=directory.rstrip("/").rsplit("/", 1)[-1],
        kind="prepared",
        items=items,
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


def _left_out(found: Cleaned) -> dict[str, tuple[Count, ...]]:
    counts = found.counts
    total = counts.rows.total()
    reasons = sorted(counts.rejected.items(), key=lambda pair: (-pair[1].total(), pair[0]))
    return {
        "rejected": tuple(Count.of(reason, langs, total) for reason, langs in reasons),
        "unusable": tuple(
            Count(what=problem, rows=num, share=num / max(1, total)) for problem, num in counts.unusable.most_common()
        ),
        "contamination": tuple(
            Count.of(f"{name}: {kind}", langs, total)
            for name, kinds in counts.contamination.items()
            for kind, langs in kinds.items()
        ),
    }


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
