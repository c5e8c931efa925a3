"""The three forms of a card, beside what it is about."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from hbt_ray.cleaning.clean import Cleaned
from hbt_ray.corpus.manifest import Corpus
from hbt_ray.corpus.prepare import COUNTS
from hbt_ray.languages import lang_name
from hbt_ray.reports.corpus_card.build import clean_card, prepare_card
from hbt_ray.reports.corpus_card.card import Card
from hbt_ray.reports.language_plots import MAX_CELL_LANGS, gradient, matrix_cells, matrix_image
from hbt_ray.storage import open_fs, read_json, write_whole

HTML, MARKDOWN, JSON = "card.html", "card.md", "card.json"
MAX_MATRIX_LANGS = 24
"""Languages up to which the coverage matrix is in the Markdown too."""

MAX_FACT = 60
"""Characters of a fact that stand beside others in the page."""


def write_card(directory: str, card: Card) -> str:
    """Write the forms of a card into `directory`; returns where the page is."""
    for name, text in card_files(card).items():
        write_whole(f"{directory}/{name}", text.encode())
    return f"{directory}/{HTML}"


def write_clean_card(found: Cleaned) -> str:
    """`write_card` of a cleaned corpus."""
    return write_card(found.directory, clean_card(found))


def write_prepared_card(corpus: Corpus) -> str:
    """`write_card` of a prepared corpus that has no card yet; returns where the page is."""
    fs, path = open_fs(corpus.directory)
    counts = read_json(f"{corpus.directory}/{COUNTS}")
    if counts is None or fs.exists(f"{path}/{HTML}"):
        return f"{corpus.directory}/{HTML}"
    return write_card(
        corpus.directory, prepare_card(corpus.directory, corpus.manifest, counts["pairs"], counts["whole"])
    )


def card_files(card: Card) -> dict[str, str]:
    """File name -> text of each form."""
    langs = [row.lang for row in card.langs]
    both = np.array(card.coverage, float).reshape(len(langs), len(langs))
    share = both / np.maximum(1, np.minimum(both.diagonal()[:, None], both.diagonal()))
    small = len(langs) <= MAX_CELL_LANGS
    context: dict[str, Any] = {
        "card": card,
        "codes": langs,
        "cells": matrix_cells(langs, langs, share, (0.0, 1.0)) if small else None,
        "image": None if small or not langs else matrix_image(langs, share, (0.0, 1.0)),
        "share": share.tolist(),
        "gradient": gradient(),
        "wide": {name for name, value in card.facts.items() if len(value) > MAX_FACT},
        "max_matrix_langs": MAX_MATRIX_LANGS,
        "has_tokens": any(row.query_tokens for row in card.langs),
        "has_rejected": any(row.rejected is not None for row in card.langs),
        "rejected_rows": sum(count.rows for count in card.rejected),
    }
    return {
        HTML: _environment(escape=True).get_template("card.html.j2").render(context),
        MARKDOWN: _environment(escape=False).get_template("card.md.j2").render(context),
        JSON: json.dumps(dataclasses.asdict(card), indent=1, ensure_ascii=False) + "\n",
    }


def _environment(*, escape: bool) -> Environment:
    environment = Environment(
        # The look is that of the evaluation's report.
        loader=PackageLoader("hbt_ray.reports"),
        autoescape=escape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(lang_name=lang_name, count=lambda value: f"{value:,}", percent=_percent)
    return environment


def _percent(share: float) -> str:
    return f"{share:.2%}" if share < 0.1 else f"{share:.1%}"
