"""Names of the scores that models and trials are compared by (`Scores.headline`)."""

HEADLINE = (
    "mono_map",
    "cross_map",
    "pool_map",
    "mono_r1",
    "cross_r1",
    "pool_r10",
    "mono_ndcg10",
    "mono_r100",
    "pool_ndcg10",
    "rank_distance",
    "worst_lang_map",
    "worst_pair_map",
)
LOWER_IS_BETTER = frozenset({"rank_distance"})
