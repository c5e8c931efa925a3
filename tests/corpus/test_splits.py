from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hbt_ray.config import CorpusConfig
from hbt_ray.corpus.shards import PartitionStats
from hbt_ray.corpus.splits import token_table


@given(st.lists(st.integers(1, 32), min_size=1, max_size=60))
def test_the_table_is_that_of_the_lengths(lengths):
    stats = PartitionStats(
        query_tokens={"en": Counter(lengths)}, passage_tokens={"en": Counter(2 * length for length in lengths)}
    )
    row = token_table(stats, CorpusConfig(max_query_tokens=32, max_passage_tokens=40))["en"]
    for role, values, limit in (("query", np.array(lengths), 32), ("passage", 2 * np.array(lengths), 40)):
        assert row[role]["mean"] == pytest.approx(values.mean(), abs=0.0051)
        assert row[role]["max"] == values.max()
        assert row[role]["p50"] == np.percentile(values, 50, method="inverted_cdf")
        assert row[role]["p95"] == np.percentile(values, 95, method="inverted_cdf")
        assert row[role]["cut"] == pytest.approx((values >= limit).mean(), abs=5.1e-5)


def test_languages_are_in_order():
    tokens = {code: Counter({3: 1}) for code in ("zh", "ar", "en")}
    stats = PartitionStats(query_tokens=tokens, passage_tokens=tokens)
    assert list(token_table(stats, CorpusConfig())) == ["ar", "en", "zh"]
