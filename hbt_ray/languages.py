"""Language codes at the boundary: any BCP-47 tag in, one canonical form inside."""

from __future__ import annotations

from functools import lru_cache

import langcodes

from hbt_ray.errors import CorpusError


@lru_cache(maxsize=4096)
def canonical_lang(code: str) -> str:
    """Canonical BCP-47 tag of `code`: `deu` -> `de`, `zh_hant` -> `zh-Hant`, `srp-Cyrl` -> `sr-Cyrl`.

    Only a shorter name of the very same language replaces a subtag. A deprecated three-letter code keeps its
    own name (`kzj` does not become `dtp`), since corpora hold both and two languages must never merge.

    Raises:
        CorpusError: `code` is not a language tag that the registry knows.
    """
    text = code.strip().replace("_", "-")
    if not text or not langcodes.tag_is_valid(text):
        raise CorpusError(f"lang={code!r} is not a BCP-47 language code; use codes like en, zh, zh-Hant or deu")
    tag = langcodes.Language.get(text, normalize=False)
    short = langcodes.standardize_tag(text)
    base = tag.language or ""
    if len(base) == 2 or langcodes.Language.get(short).to_alpha3() == base:
        return short
    return tag.to_tag()
