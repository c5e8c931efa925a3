"""Retrieval sets, with the negatives that they bring."""

from __future__ import annotations

from hbt_ray.corpus.sources.answers import CONVERTED
from hbt_ray.corpus.sources.items import judged, pairs, retrieved
from hbt_ray.corpus.sources.source import Source

MR_TYDI = Source(
    name="mr_tydi",
    hub="castorini/mr-tydi",
    configs={
        "ar": "arabic",
        "bn": "bengali",
        "en": "english",
        "fi": "finnish",
        "id": "indonesian",
        "ja": "japanese",
        "ko": "korean",
        "ru": "russian",
        "sw": "swahili",
        "te": "telugu",
        "th": "thai",
    },
    revision=CONVERTED,
    items=judged("query", "positive_passages", "negative_passages", id_="query_id"),
    licence="Apache-2.0",
    citation="https://arxiv.org/abs/2108.08787",
    unverified="that the converted copy has all rows",
)
MMARCO = Source(
    name="mmarco",
    hub="unicamp-dl/mmarco",
    configs={
        "ar": "arabic",
        "de": "german",
        "en": "english",
        "es": "spanish",
        "fr": "french",
        "hi": "hindi",
        "id": "indonesian",
        "it": "italian",
        "ja": "japanese",
        "nl": "dutch",
        "pt": "portuguese",
        "ru": "russian",
        "vi": "vietnamese",
        "zh": "chinese",
    },
    revision=CONVERTED,
    items=pairs("query", "positive", negative="negative"),
    parallel=True,  # the triples of all languages are in one order
    licence="Apache-2.0; MS MARCO is for research that is not commercial",
    citation="https://arxiv.org/abs/2108.13897",
    unverified="that the converted copy has all rows, in the same order in each language",
)
ENTITY_QUESTIONS = Source(
    name="entity_questions",
    hub="",  # princeton-nlp/EntityQuestions has questions without passages: retrieve them first, as its code does
    configs={"en": "default"},
    items=retrieved("question", "ctxs", "has_answer"),
    licence="MIT; passages are those that are retrieved (Wikipedia, CC BY-SA)",
    citation="https://arxiv.org/abs/2109.08535",
    unverified="the output format of its retrieval (that of DPR: question, answers, ctxs with title, text, has_answer)",
)
