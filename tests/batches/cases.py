"""Indexes with irregular coverage, and what a plan over them must be compared with."""

import numpy as np
from hypothesis import strategies as st

from hbt_ray.batches.index import ItemIndex

CODES = ("ar", "de", "en", "hi", "th", "zh")


def index_of(has_lang: np.ndarray, groups: list[tuple[str, int]]) -> ItemIndex:
    """An index of one shard from bool [num_items, num_langs]."""
    return ItemIndex(CODES[: has_lang.shape[1]], [groups], np.packbits(has_lang, axis=1))


def full_index(num_items: int, num_langs: int, *, group: int = 10, source: str = "s") -> ItemIndex:
    """One source, every item in every language."""
    sizes = [min(group, num_items - at) for at in range(0, num_items, group)]
    return index_of(np.ones((num_items, num_langs), bool), [(source, size) for size in sizes])


def sources_index(sizes: dict[str, int], *, num_langs: int = 2, group: int = 16) -> ItemIndex:
    """Sources of these sizes, every item in every language."""
    groups = [(name, min(group, num - at)) for name, num in sizes.items() for at in range(0, num, group)]
    return index_of(np.ones((sum(sizes.values()), num_langs), bool), groups)


@st.composite
def indexes(draw: st.DrawFn, *, min_langs: int = 1) -> ItemIndex:
    """Several sources of very different sizes in row groups of random sizes, languages missing at random."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    num_langs = draw(st.integers(min_langs, len(CODES)))
    sizes = draw(st.lists(st.sampled_from([1, 2, 3, 7, 20, 90]), min_size=1, max_size=5))
    density = rng.uniform(0.05, 1, num_langs)
    groups: list[tuple[str, int]] = []
    for number, size in enumerate(sizes):
        while size:
            num = int(rng.integers(1, min(size, 25) + 1))
            groups.append((f"s{number}", num))
            size -= num
    order = rng.permutation(len(groups))
    groups = [groups[at] for at in order]
    has = rng.random((sum(num for _, num in groups), num_langs)) < density
    has[~has.any(axis=1), 0] = True
    return index_of(has, groups)


def coverage(index: ItemIndex) -> np.ndarray:
    """bool [num_items, num_langs], by the index's own words item by item."""
    return index.langs_of(np.arange(index.num_items))


def item_sources(index: ItemIndex) -> np.ndarray:
    """Source of every item."""
    return np.repeat(index.group_source, np.diff(index.group_start))
