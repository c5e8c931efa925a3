"""Partitions of languages into clusters of two or more, for `plan.pairs=clusters`.

Clusters come from distances between languages: average linkage, cut, and then each language that was left alone joins
the cluster that is nearest to it on average.
"""

from __future__ import annotations

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage  # type: ignore[import-untyped]
from scipy.spatial.distance import squareform  # type: ignore[import-untyped]

from hbt_ray.batches.families import OTHER_BRANCH, family_distances
from hbt_ray.errors import PlanError

Partition = tuple[tuple[str, ...], ...]
"""Clusters of language codes, each sorted, by their first language."""
RANDOM = "random:"


def make_partition(method: str, langs: tuple[str, ...], distances: np.ndarray | None = None) -> Partition:
    """The clusters of `langs` by the name in `plan.clusters`.

    `family` cuts between branches of a family. Other distances are cut into as many clusters as `family` has, and
    `random:SEED` has its sizes too: what differs between them is who is with whom.

    Args:
        method: `family`, `typology`, `centroids` or `random:SEED`.
        langs: sorted codes.
        distances: float64 [n, n] of `typology` and `centroids`; whoever has the data brings them.

    Raises:
        PlanError: there are fewer than four languages, so no two clusters; or distances are needed and not there.
    """
    if len(langs) < 4:
        raise PlanError(f"plan.pairs=clusters needs four languages, two in a cluster; there are {', '.join(langs)}")
    of_family = family_distances(langs)
    family = _join_lonely(_cut(of_family, OTHER_BRANCH / 2), of_family)
    if method == "family":
        return _named(family, langs)
    if method.startswith(RANDOM):
        order = np.random.default_rng(int(method.removeprefix(RANDOM))).permutation(len(langs))
        shuffled = np.empty(len(langs), np.int64)
        shuffled[order] = np.sort(family)
        return _named(shuffled, langs)
    if distances is None:
        raise PlanError(f"plan.clusters={method}: only a job can make these; or write the clusters to plan.partition")
    num = int(family.max())
    tree = linkage(squareform(distances, checks=False), "average")
    return _named(_join_lonely(fcluster(tree, num, "maxclust"), distances), langs)


def check_partition(partition: Partition, langs: tuple[str, ...]) -> np.ndarray:
    """int64 [num_langs]: the cluster of each of `langs`.

    Raises:
        PlanError: a language is in none of the clusters, or in two.
    """
    of_lang: dict[str, int] = {}
    for number, cluster in enumerate(partition):
        for code in cluster:
            if of_lang.setdefault(code, number) != number:
                raise PlanError(f"plan.partition has {code} in two clusters; take it out of one")
    if absent := [code for code in langs if code not in of_lang]:
        raise PlanError(f"plan.partition lacks {', '.join(absent)}, which the corpus has; add them to a cluster")
    return np.array([of_lang[code] for code in langs], np.int64)


def _cut(distances: np.ndarray, height: float) -> np.ndarray:
    tree = linkage(squareform(distances, checks=False), "average")
    return np.asarray(fcluster(tree, height, "distance"), np.int64)


def _join_lonely(clusters: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """The clusters, numbered from 1, in which no language is alone: the one nearest to a cluster joins first."""
    clusters = np.array(clusters, np.int64)
    while len(lonely := np.flatnonzero(np.bincount(clusters)[clusters] == 1)):
        numbers = np.unique(clusters)
        means = np.stack([distances[lonely][:, clusters == number].mean(axis=1) for number in numbers], axis=1)
        means[numbers == clusters[lonely][:, None]] = np.inf
        row, column = np.unravel_index(np.argmin(np.round(means, 9)), means.shape)
        clusters[lonely[row]] = numbers[column]
    return np.unique(clusters, return_inverse=True)[1] + 1


def _named(clusters: np.ndarray, langs: tuple[str, ...]) -> Partition:
    groups = [
        tuple(sorted(code for code, one in zip(langs, clusters, strict=True) if one == number))
        for number in np.unique(clusters)
    ]
    return tuple(sorted(groups))
