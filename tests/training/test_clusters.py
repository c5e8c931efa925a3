import logging

import numpy as np
import pytest

from hbt_ray.batches.index import ItemIndex
from hbt_ray.config.load import build_recipe
from hbt_ray.errors import PlanError
from hbt_ray.training import clusters
from hbt_ray.training.clusters import centroid_distances, typological_distances, used_langs, with_partition
from tests.batches.cases import full_index


def test_typology_knows_macrolanguages_and_leaves_logging_alone():
    handlers, level = list(logging.getLogger().handlers), logging.getLogger().level
    langs = ("ar", "de", "en", "ja", "sw", "zh", "zh-Hant")
    distances = typological_distances(langs)
    assert (list(logging.getLogger().handlers), logging.getLogger().level) == (handlers, level)
    np.testing.assert_allclose(distances, distances.T, atol=1e-6)
    assert distances[5, 6] == pytest.approx(0, abs=1e-6)
    assert distances[1, 2] == distances[1, [0, 2, 3, 4, 5]].min()  # German is nearest to English
    with pytest.raises(PlanError, match=r"URIEL\+ knows too little of lfn"):
        typological_distances(("de", "en", "lfn", "zh"))


def test_languages_are_those_that_rows_can_be_in():
    index = full_index(20, 4)
    plan = build_recipe({"plan": {"langs": ["de", "en"]}}).plan
    assert used_langs(index, plan) == ("de", "en")


@pytest.mark.ray
def test_centroids_are_made_once_and_stored(small_corpus, small_base, tmp_path, monkeypatch):
    plan = {"pairs": "clusters", "clusters": "centroids", "batch_size": 8}
    recipe = build_recipe({"plan": plan, "corpus": {"max_query_tokens": 32, "max_passage_tokens": 64}})
    langs = used_langs(ItemIndex.of(small_corpus), recipe.plan)
    distances = centroid_distances(recipe, small_corpus, small_base, langs)
    assert distances.shape == (len(langs), len(langs))
    np.testing.assert_allclose(distances, distances.T, atol=1e-12)
    assert (distances + np.eye(len(langs)) > 0).all()
    if len(langs) < 4:
        pytest.fail("the corpus of the tests needs four languages")
    first = with_partition(recipe, small_corpus, small_base, str(tmp_path))
    assert sorted(code for cluster in first.plan.partition for code in cluster) == list(langs)
    monkeypatch.setattr(clusters, "centroid_distances", lambda *args: pytest.fail("made again"))
    assert with_partition(recipe, small_corpus, small_base, str(tmp_path)) == first
    assert with_partition(first, small_corpus, small_base, str(tmp_path)) is first
