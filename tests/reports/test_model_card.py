"""The model card of a made-up study: its numbers and its words."""

from dataclasses import replace

from huggingface_hub import ModelCard

from hbt_ray.release.candidate import ScoredRun
from hbt_ray.release.model_card import Facts, model_card
from hbt_ray.study.analysis import analyse
from tests.study.stores import ALPHAS, made_study, trade_scores

CORPUS = {
    "title": "faq",
    "items": 1200,
    "rows": 2345,
    "facts": {"fingerprint": "0123456789ab"},
    "langs": [{"lang": "de", "rows": 1111}, {"lang": "en", "rows": 1234}, {"lang": "fr", "rows": 0}],
    "sources": [{"source": "squad", "items": 1200, "licence": "CC BY-SA 4.0", "citation": ""}],
}


def test_the_card_has_the_scores_of_the_model_and_the_words_of_the_study(same_words):
    analysis = analyse(*made_study("card", ALPHAS, scores=trade_scores))
    (trial,) = analysis.recommended.trials
    trial = replace(trial, config={**trial.config, "model.base": "organisation/base"})
    (scores,) = trade_scores(trial.point, trial.seed)
    scored = ScoredRun(label=trial.label, scores={"dev": scores}, digests={"dev": "abc"})
    texts = []
    for corpus in (CORPUS, None):
        facts = Facts(name="retriever", licence="mit", base_licence="apache-2.0", corpus=corpus)
        texts.append(model_card(analysis, trial, scored, facts))
    data = ModelCard(texts[0]).data
    assert data.language == ["de", "en"]
    assert (data.license, data.base_model) == ("mit", "organisation/base")
    assert {result.metric_type: result.metric_value for result in data.eval_results} == {
        name: round(scores.headline()[name], 4) for name in ("mono_map", "cross_map", "pool_map", "rank_distance")
    }
    row = f"| German [de] | 80 | {scores.map_matrix[1, 1]:.4f} | {scores.pool_map[1]:.4f} | {scores.pool_r10[1]:.4f} |"
    assert row in texts[0]
    assert "| squad | 1,200 | CC BY-SA 4.0 |" in texts[0]
    same_words("model_card.txt", [line for text in texts for line in text.splitlines()])


def test_a_card_names_the_batches_that_its_model_learned_from():
    analysis = analyse(*made_study("mix", ALPHAS[::2], scores=trade_scores))
    named = {0.0: "cross-lingual (X-Y", 0.5: "alpha = 0.5", 1.0: "monolingual (X-X"}
    for trial in analysis.study.trials:
        alpha = trial.point["plan.alpha"]
        (scores,) = trade_scores(trial.point, trial.seed)
        scored = ScoredRun(label=trial.label, scores={"dev": scores}, digests={})
        before_the_study = model_card(analysis, trial, scored, Facts(name="m")).split("## The study")[0]
        assert named[alpha] in before_the_study
        assert ("hybrid" in before_the_study) == (alpha == 0.5)
        risen = replace(trial, config={**trial.config, "plan.alpha_schedule": "linear"})
        assert "hybrid" in model_card(analysis, risen, scored, Facts(name="m"))
