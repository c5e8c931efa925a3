"""Gates on scores of known truth."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import permutation_test

from hbt_ray.config import GatesConfig
from hbt_ray.errors import ConfigError, EvaluationError
from hbt_ray.release.gates import NO_CHAMPION, check_gates, lang_losses
from hbt_ray.stats.compare import holm
from tests.study.stores import LANGS, made_up_scores

OFF = {"max_loss_per_language": None, "no_loss_in": ()}


@pytest.fixture(scope="module")
def champion():
    return made_up_scores(1, noise=0.75, bias=0.1)


def verdicts(config, candidate, champion):
    found = check_gates(config, {"dev": candidate}, champion and {"dev": champion})
    return {result.gate: (result.passed, result.reason) for result in found}


def test_each_threshold_passes_at_its_number_and_fails_beyond(champion):
    headline, recall = champion.headline(), champion.pool_r10
    for field, value, worse in (
        ("max_rank_distance", headline["rank_distance"], -0.1),
        ("min_worst_lang_map", headline["worst_lang_map"], 0.001),
        ("min_worst_lang_recall", float(recall.min()), 0.001),
    ):
        passed, reason = verdicts(GatesConfig(**OFF, **{field: value}), champion, None)[field]
        assert passed, reason
        passed, reason = verdicts(GatesConfig(**OFF, **{field: value + worse}), champion, None)[field]
        assert not passed
        assert "allowed" in reason or "asked for" in reason
    worst = LANGS[int(np.argmin(recall))]
    assert (
        f"[{worst}]"
        in verdicts(GatesConfig(**OFF, min_worst_lang_recall=1.0), champion, None)["min_worst_lang_recall"][1]
    )
    found = verdicts(GatesConfig(**OFF, min_scores=("mono_map>=0.01", "cross_r1 >= 1.5")), champion, None)
    assert found["min_scores: mono_map"][0]
    assert not found["min_scores: cross_r1"][0]


def test_a_number_that_the_set_does_not_define_passes_no_gate(champion):
    lonely = made_up_scores(1, noise=0.7, bias=0.1, langs=("en",))
    passed, reason = verdicts(GatesConfig(**OFF, max_rank_distance=1e9), lonely, None)["max_rank_distance"]
    assert not passed
    assert "not defined" in reason


def test_without_a_champion_nothing_can_be_lost(champion):
    found = verdicts(GatesConfig(), champion, None)
    assert found == {"no_loss_in: pool_map": (True, NO_CHAMPION), "max_loss_per_language": (True, NO_CHAMPION)}


def test_a_model_is_not_worse_than_itself_or_than_another_seed(champion):
    for candidate in (champion, made_up_scores(2, noise=0.75, bias=0.1)):
        assert all(passed for passed, _ in verdicts(GatesConfig(), candidate, champion).values())
    assert "none lost at all" in verdicts(GatesConfig(), champion, champion)["max_loss_per_language"][1]


def test_one_language_that_lost_is_found_and_named_though_the_mean_did_not(champion):
    """All languages better, one much worse: the mean gains."""
    weak = made_up_scores(1, noise=0.6, bias=0.1, weak_lang="ar")
    found = verdicts(GatesConfig(), weak, champion)
    assert found["no_loss_in: pool_map"][0]
    passed, reason = found["max_loss_per_language"]
    assert not passed
    assert "Arabic [ar] in the pool" in reason
    assert "[de]" not in reason
    assert verdicts(GatesConfig(max_loss_per_language=0.9), weak, champion)["max_loss_per_language"][0]
    assert verdicts(GatesConfig(level=1e-9), weak, champion)["max_loss_per_language"][0]
    passed, reason = verdicts(GatesConfig(no_loss_in=("pool_map", "rank_distance")), champion, weak)[
        "no_loss_in: pool_map"
    ]
    assert not passed
    assert "more than chance" in reason


def test_a_language_with_too_few_questions_to_tell_a_loss_does_not_pass_in_silence():
    a, b = (made_up_scores(1, noise=noise, bias=0.1, num_items=6) for noise in (0.5, 1.3))
    passed, reason = verdicts(GatesConfig(), b, a)["max_loss_per_language"]
    assert not passed
    assert "cannot tell that from chance" in reason
    assert "6 questions" in reason
    passed, reason = verdicts(GatesConfig(min_questions=7), b, a)["max_loss_per_language"]
    assert passed
    assert reason == "no language has gates.min_questions=7 questions"
    assert verdicts(GatesConfig(), a, b)["max_loss_per_language"][0]  # none has lost


def test_p_values_are_those_of_scipy_with_holm_over_languages_and_kinds():
    a, b = (made_up_scores(seed, noise=noise, bias=0.1, num_items=9) for seed, noise in ((1, 0.8), (2, 1.0)))
    rows = lang_losses(b, a)
    assert [(each.row.metric, each.lang) for each in rows] == [
        (k, lang) for k in ("pool_map", "mono_map") for lang in LANGS
    ]
    p_values = []
    for lang, _, row in rows:
        at = LANGS.index(lang)
        own = a.per_query.langs == at
        values = [(s.per_query.pool_ap if row.metric == "pool_map" else s.per_query.mono_ap)[own] for s in (a, b)]
        assert (row.a, row.b) == (pytest.approx(values[0].mean()), pytest.approx(values[1].mean()))
        found = permutation_test(values, lambda x, y: np.mean(x - y), permutation_type="samples", n_resamples=np.inf)
        p_values.append(found.pvalue)
    np.testing.assert_allclose([each.row.p_adjusted for each in rows], holm(np.array(p_values)), atol=1e-12)


def test_other_questions_are_refused(champion):
    other = made_up_scores(1, noise=0.75, bias=0.1, num_items=79)
    with pytest.raises(EvaluationError, match="the scores are of different sets"):
        verdicts(GatesConfig(), other, champion)
    with pytest.raises(EvaluationError, match="the scores are of different sets"):
        verdicts(GatesConfig(no_loss_in=()), replace(champion, langs=("en", "de", "zh", "fr")), champion)


def test_no_gate_at_all_is_an_error(champion):
    with pytest.raises(ConfigError, match="nothing would be checked"):
        check_gates(GatesConfig(**OFF), {"dev": champion}, None)
