"""Sets of questions on a paragraph that holds the answer."""

from __future__ import annotations

from hbt_ray.corpus.sources.items import pairs
from hbt_ray.corpus.sources.source import Source

SQUAD = Source(
    name="squad",
    hub="rajpurkar/squad",
    configs={"en": "plain_text"},
    items=pairs("question", "context", id_="id"),
    licence="CC BY-SA 4.0",
    citation="https://arxiv.org/abs/1606.05250",
)
SQUAD_V2 = Source(
    name="squad_v2",
    hub="rajpurkar/squad_v2",
    configs={"en": "squad_v2"},
    items=pairs("question", "context", id_="id", keep=lambda row: bool(row["answers"]["text"])),
    licence="CC BY-SA 4.0",
    citation="https://arxiv.org/abs/1806.03822",
)
NEWSQA = Source(
    name="newsqa",
    hub="lucadiliello/newsqa",
    configs={"en": "default"},
    items=pairs("question", "context", id_="key"),
    licence="not stated by this copy (that of MRQA 2019); the articles are CNN's",
    citation="https://arxiv.org/abs/1611.09830",
)
DUORC = Source(
    name="duorc",
    hub="ibm-research/duorc",
    configs={"en": "ParaphraseRC"},
    items=pairs("question", "plot", id_="question_id", keep=lambda row: not row["no_answer"]),
    licence="MIT",
    citation="https://arxiv.org/abs/1804.07927",
    unverified="that question_id comes once in a configuration",
)
