"""What an item of the sample is before it is said in any language."""

from collections.abc import Mapping
from dataclasses import dataclass

from hbt_ray.corpus.sample.terms import Term


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One sentence: the key of its phrasings and what stands in its slots."""

    key: str
    slots: Mapping[str, Term]


@dataclass(frozen=True, kw_only=True)
class SampleItem:
    """A question, the facts that its passage tells, and the answer among them."""

    source: str
    """The relation, which is also the key of the question's phrasings."""

    entity: str
    """What the item is about: items of one entity are all train or all dev."""

    slots: Mapping[str, Term]
    """What stands in the question's slots."""

    facts: tuple[Fact, ...]
    """The passage's sentences, in any order."""

    answer: Term
    """Said in the passage word for word."""

    @property
    def item_id(self) -> str:
        """One id in all languages."""
        return f"{self.source}/{self.entity.partition(':')[2]}"
