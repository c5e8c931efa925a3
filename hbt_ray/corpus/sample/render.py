"""An item said in a language: paraphrases and the order of sentences follow from the item and the language."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import TypeVar

from hbt_ray.corpus.sample.items import SampleItem
from hbt_ray.corpus.sample.templates import PHRASINGS
from hbt_ray.corpus.sample.terms import Term, names_of

_T = TypeVar("_T")


def render(item: SampleItem, lang: str) -> dict[str, str]:
    """One row of the corpus: id, source, lang, question, passage, answer.

    Raises `MissingName` where CLDR lacks a name that the item needs.
    """
    phrasings = PHRASINGS[lang]
    key = f"{item.item_id}|{lang}"
    facts = sorted(enumerate(item.facts), key=lambda fact: stable_hash(f"{key}|order|{fact[0]}"))
    sentences = [
        _fill(_pick(phrasings.facts[fact.key], f"{key}|{position}"), fact.slots, lang) for position, fact in facts
    ]
    return {
        "id": item.item_id,
        "source": item.source,
        "lang": lang,
        "question": _fill(_pick(phrasings.questions[item.source], f"{key}|question"), item.slots, lang),
        "passage": phrasings.between.join(sentences),
        "answer": item.answer.say(names_of(lang)),
    }


def stable_hash(text: str) -> int:
    """The same number for the same text on every machine and in every run, unlike `hash`."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


def _pick(choices: Sequence[_T], key: str) -> _T:
    return choices[stable_hash(key) % len(choices)]


def _fill(template: str, slots: Mapping[str, Term], lang: str) -> str:
    said = template.format_map({slot: term.say(names_of(lang)) for slot, term in slots.items()})
    # Dates that end in an abbreviation ("... 2027 г.") bring a full stop of their own.
    said = said.replace("..", ".")
    # A name in lower case opens the sentence in some languages ("евро — ...").
    return said[0].upper() + said[1:]
