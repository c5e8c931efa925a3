"""Sets of questions with an answer of their own: search queries, forums and FAQ pages."""

from __future__ import annotations

from hbt_ray.corpus.sources.items import labelled, nested, pairs
from hbt_ray.corpus.sources.source import Source

CONVERTED = "refs/convert/parquet"
NATURAL_QUESTIONS = Source(
    name="natural_questions",
    hub="sentence-transformers/natural-questions",
    configs={"en": "pair"},
    items=pairs("query", "answer"),
    licence="not stated by this copy; Natural Questions is CC BY-SA 3.0",
    citation="https://aclanthology.org/Q19-1026",
)
WIKIQA = Source(
    name="wikiqa",
    hub="microsoft/wiki_qa",
    configs={"en": "default"},
    items=labelled("question", "answer", "label", id_="question_id"),
    whole=True,
    licence="Microsoft Research Data License Agreement",
    citation="https://aclanthology.org/D15-1237",
    unverified="licence as it is worded on the hub",
)
YAHOO_QA = Source(
    name="yahoo_qa",
    hub="sentence-transformers/yahoo-answers",
    configs={"en": "title-answer-pair"},
    items=pairs("title", "answer"),
    licence="not stated",
    citation="https://www.kaggle.com/datasets/soumikrakshit/yahoo-answers-dataset",
    unverified="names of the columns",
)
MFAQ_LANGS = "cs da de en es fi fr he hr hu id it nl no pl pt ro ru sv tr vi"
MFAQ = Source(
    name="mfaq",
    hub="clips/mfaq",
    configs={lang: lang for lang in MFAQ_LANGS.split()},
    revision=CONVERTED,
    items=nested("qa_pairs", "question", "answer", id_="id"),
    licence="CC0 1.0 for the packaging; the texts are their owners'",
    citation="https://arxiv.org/abs/2109.12870",
    unverified="that the converted copy has all rows",
)
