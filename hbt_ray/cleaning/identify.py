"""Languages of many texts at once, by the model of py3langid: its own answers, in a fraction of its time.

py3langid walks each text's bytes in Python. Here all texts take one step together, so that the walk is as many array
operations as the longest text has bytes. Corpora and the identifier name many languages by other codes: `identified_as`
says which of its languages a tag is.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
from py3langid.langid import MODEL_FILE, LanguageIdentifier
from scipy.sparse import csr_array  # type: ignore[import-untyped]

from hbt_ray.cleaning.texts import base_lang
from hbt_ray.languages import canonical_lang, script_of

AT_ONCE = 4096
"""Texts that are walked through together; it bounds memory."""
_SAME = """
ar=arb,acm,acq,acw,aeb,afb,ajp,apc,apd,ars,ayl az=azj et=ekk fa=pes,prs gom=kok,knn gug=gn hr=hbs ku=kmr lv=lvs mg=plt
mn=khk ms=zsm,zlm ne=npi no=nb om=gaz,hae or=ory ps=pbt,pbu,pst qu=quy,quz ro=mol sq=als,aln sw=swh,swc tl=fil uz=uzn
zh=cmn,lzh,gan,hsn
"""
SAME = {
    code: label for label, _, codes in (entry.partition("=") for entry in _SAME.split()) for code in codes.split(",")
}
"""Canonical code -> the identifier's, for codes beside its own: standard and written forms of a language, and the kinds
of Arabic and Chinese that are written alike. Of Min Nan and Hakka much is in Latin letters: they are not here."""
ONE_SCRIPT = {"Hans": "Hani", "Hant": "Hani", "Hang": "Kore"}
SCRIPTS = {"sr": {"Latn"}, "uz": {"Cyrl"}}
"""Scripts that the identifier has learned beside the likely one."""


class Identifier:
    """Naive Bayes over the byte sequences that an automaton finds (aclanthology.org/P12-3005).

    Attributes:
        langs: language of each column of `probabilities`.
    """

    def __init__(self) -> None:
        model = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
        self.langs: tuple[str, ...] = tuple(model.labels)
        self._next = np.asarray(model.tk_nextmove).astype(np.int32)
        self._row = np.asarray(model.tk_row).astype(np.int32) << 8
        self._feature = np.asarray(model.tk_output).astype(np.int32)
        self._weights = np.asarray(model.nb_ptc, np.float32)
        self._priors = np.asarray(model.nb_pc, np.float32)
        # a language that is written in several scripts has a column for each
        self._column = np.array([self.langs.index(lang) for lang in model.nb_classes])

    def probabilities(self, texts: Sequence[str]) -> np.ndarray:
        """float32 [num_texts, num_langs]; rows sum to 1, all equal where nothing in a text is known."""
        out = np.zeros((len(texts), len(self.langs)), np.float32)
        data = [_encode(text) for text in texts]
        order = np.argsort([-len(text) for text in data], kind="stable")
        for start, stop in pairwise([*range(0, len(texts), AT_ONCE), len(texts)]):
            rows = order[start:stop]
            out[rows] = self._some([data[row] for row in rows])
        return out

    def _some(self, texts: list[bytes]) -> np.ndarray:
        """Of texts from the longest to the shortest."""
        lengths = np.array([len(text) for text in texts])
        letters = np.zeros((lengths[0], len(texts)), np.uint8)
        letters.T[np.arange(lengths[0]) < lengths[:, None]] = np.frombuffer(b"".join(texts), np.uint8)
        states = np.zeros(len(texts), np.int32)
        features = np.full(letters.shape, -1, np.int32)
        num_left = np.searchsorted(-lengths, -np.arange(lengths[0]))  # texts that are longer than that
        for step, num in enumerate(num_left.tolist()):
            states = self._next[self._row[states[:num]] + letters[step, :num]]
            features[step, :num] = self._feature[states]
        steps, rows = np.nonzero(features >= 0)
        shape = (len(texts), len(self._weights))
        counts = csr_array((np.ones(len(rows), np.float32), (rows, features[steps, rows])), shape=shape)
        counts.sum_duplicates()
        counts.data = np.log1p(counts.data)
        scores = counts @ self._weights + self._priors
        scores[np.diff(counts.indptr) == 0] = 0.0
        scores *= 1 / np.sqrt(np.maximum(lengths, 1), dtype=np.float32)[:, None]
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        scores /= scores.sum(axis=1, keepdims=True)
        merged = np.zeros((len(texts), len(self.langs)), np.float32)
        np.add.at(merged.T, self._column, scores.T)
        return merged


def _encode(text: str) -> bytes:
    """As py3langid reads it."""
    return unicodedata.normalize("NFC", text.lower() if text.isupper() else text).encode("utf8", "surrogatepass")


@lru_cache(maxsize=1)
def identifier() -> Identifier:
    """The one of this process."""
    return Identifier()


def unjudged(langs: Iterable[str]) -> list[str]:
    """Of some languages (canonical codes) those that are not judged by language."""
    return sorted(lang for lang in langs if identified_as(lang) is None)


@lru_cache(maxsize=4096)
def identified_as(lang: str) -> str | None:
    """What the identifier calls a language (canonical code); None where it does not know it in the tag's script."""
    base = base_lang(lang)
    label = _labels().get(base) or SAME.get(base)
    if label is None:
        return None
    usual = _script(label) or _script(canonical_lang(label))
    return label if _script(lang) in {"", usual, *SCRIPTS.get(label, ())} else None


@lru_cache(maxsize=1)
def _labels() -> dict[str, str]:
    """Canonical code -> the identifier's, for its own."""
    return {canonical_lang(label): label for label in identifier().langs if label != "zxx"}


def _script(lang: str) -> str:
    script = script_of(lang)
    return ONE_SCRIPT.get(script, script)
