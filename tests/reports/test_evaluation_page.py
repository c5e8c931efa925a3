"""The report and the terminal tables say what the scores say, escape what is data and stay small."""

import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from rich.console import Console

from hbt_ray.config.headline import HEADLINE
from hbt_ray.errors import EvaluationError
from hbt_ray.evaluation.evaluate import Comparison, Evaluation, compare_evaluations
from hbt_ray.evaluation.worst import worst_queries
from hbt_ray.languages import code_and_name, lang_name
from hbt_ray.reports.evaluation_page import render_report
from hbt_ray.reports.evaluation_summary import conclusion, summary, verdict
from hbt_ray.reports.evaluation_table import print_comparison, print_scores
from hbt_ray.retrieval.scoring.bias import extreme_pairs
from hbt_ray.retrieval.scoring.distinct import METRICS, metric_names
from hbt_ray.retrieval.scoring.score import score
from hbt_ray.retrieval.scoring.significance import compare, intervals, lang_intervals
from hbt_ray.retrieval.sets.parallel import parallel_set
from hbt_ray.stats.compare import Difference
from tests.retrieval.conftest import random_set

EVIL = '<script>alert("x")</script>'
VOID = {"meta", "br", "image", "img", "link"}


def evaluated(langs=("ar", "de", "en", "zh-Hant"), num_keys=12, noise=0.6, seed=0, model="model a", **settings):
    """A model whose vectors of a question and its answers are alike, the less so the later the language."""
    rng = np.random.default_rng(seed)
    num_langs = len(langs)
    rs = parallel_set("set <1>", tuple(langs), np.ones((num_keys, num_langs), dtype=bool))
    texts = [f"{EVIL} {row}" for row in range(rs.num_queries)]
    object.__setattr__(rs, "queries", texts)
    object.__setattr__(rs, "passages", texts)
    meaning = np.random.default_rng(99).standard_normal((num_keys, 16))
    accent = np.random.default_rng(98).standard_normal((num_langs, 16))

    def vectors():
        spread = noise * (1 + 2 * rs.query_langs[:, None] / num_langs)
        rows = meaning[rs.query_keys] + accent[rs.query_langs] + spread * rng.standard_normal((rs.num_queries, 16))
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    queries, passages = vectors(), vectors()
    scores = score(rs, queries, passages)
    return Evaluation(
        model=model,
        scores=scores,
        settings=settings,
        intervals=tuple(intervals(scores, num_resamples=100)),
        worst=worst_queries(rs, queries, passages, scores, num=6),
        notes=(f"3 rows {EVIL} are left out.",),
    )


class Page(HTMLParser):
    """Checks that tags close in order, and collects text and attributes."""

    def __init__(self, page):
        super().__init__()
        self.open, self.text, self.attributes, self.tags = [], [], [], []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *attribute) for attribute in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag, (tag, self.getpos())

    def handle_data(self, data):
        if "style" not in self.open and "script" not in self.open:
            self.text.append(data)

    @property
    def words(self):
        return " ".join(" ".join(self.text).split())


@pytest.fixture(scope="module")
def small():
    return evaluated(precision="fp32", query_prefix="", langs_asked=["ar", "de"], trust=False)


def test_page_is_well_formed_self_contained_and_escaped(small):
    page = render_report([small])
    parsed = Page(page)
    assert parsed.tags.count("script") == 1  # the page's own
    assert EVIL in parsed.words
    assert f"3 rows {EVIL} are left out." in parsed.words
    urls = [value for _, name, value in parsed.attributes if name in ("src", "href")]
    assert all(value.startswith("data:") for value in urls)
    assert "http" not in page
    assert "@import" not in page
    assert "url(" not in page
    assert {"fp32", "none", "ar, de", "no"} <= {text.strip() for text in parsed.text}
    for query in small.worst:
        assert f"AP {query.average_precision:.4f}" in parsed.words
    assert ("h3", "dir", "auto") in parsed.attributes


def test_headline_and_cells_are_the_scores(small):
    words = Page(render_report([small])).words
    for name, value in small.scores.headline().items():
        text = f"{value:,.1f}" if name == "rank_distance" else f"{value:.4f}"
        assert re.search(rf"{re.escape(METRICS[name][0])} {name} {re.escape(text)} ", words), name
    for found in small.intervals:
        if found.metric != "rank_distance":
            assert f"{found.low:.4f} to {found.high:.4f}" in words
    page = render_report([small])
    for row, query in enumerate(small.scores.langs):
        for column, passage in enumerate(small.scores.langs):
            title = f"{lang_name(query)} → {lang_name(passage)}: {small.scores.map_matrix[row, column]:.3f}"
            assert f'title="{title}"' in page


def test_every_headline_number_has_a_name():
    assert tuple(METRICS) == HEADLINE


def test_summary_names_whom_the_numbers_name(small):
    scores = small.scores
    by_topic = {found.topic: found for found in summary(small)}
    headline = scores.headline()
    assert f"mAP inside a language is {headline['mono_map']:.3f}" in by_topic["Inside"].text
    row, column = np.unravel_index(np.nanargmin(np.where(np.eye(4), np.nan, scores.map_matrix)), (4, 4))
    worst = f"{code_and_name(scores.langs[row])} on {code_and_name(scores.langs[column])}"
    assert f"The worst pair is {worst}" in by_topic["Across"].text
    assert code_and_name(scores.langs[int(np.argmin(scores.pool_map))]) in by_topic["Disadvantaged"].text
    ratio = headline["cross_map"] / headline["mono_map"]
    assert by_topic["Across"].level == ("good" if ratio >= 0.9 else "fair" if ratio >= 0.7 else "poor")
    assert f"{ratio:.0%} of the value inside" in by_topic["Across"].text
    due, found = scores.mean_shares()
    most = int(np.argmax(found - due))
    assert f"{code_and_name(scores.langs[most])} ({found[most]:.1%} for {due[most]:.1%} due)" in (
        by_topic["Over and under"].text
    )
    assert verdict(small).startswith("model a ")


def test_a_perfect_model_is_good_and_favours_nobody():
    found = evaluated(noise=0.0, num_keys=30)
    by_topic = {statement.topic: statement.level for statement in summary(found)}
    assert found.scores.headline()["mono_map"] == 1.0
    assert (by_topic["Inside"], by_topic["Across"]) == ("good", "good")
    rs = parallel_set("same", ("de", "en"), np.ones((9, 2), dtype=bool))
    vectors = np.eye(9, dtype=np.float32)[rs.query_keys]
    fair = Evaluation(model="m", scores=score(rs, vectors, vectors, top_k=2))
    assert {statement.level for statement in summary(fair)} == {"good"}
    assert verdict(fair).startswith("m is good inside a language and holds across")


def test_one_language_and_one_question_still_make_a_page():
    rs = parallel_set("tiny", ("de",), np.ones((1, 1), dtype=bool))
    vector = np.ones((1, 4), dtype=np.float32)
    for top_k in (0, 1):
        tiny = Evaluation(model="m", scores=score(rs, vector, vector, top_k=top_k))
        words = Page(render_report([tiny])).words
        assert re.search(r"mAP mono_map 1\.0000 .*R@1 mono_r1 .*R@10 pool_r10 .*nDCG@10 .*R@100", words)
        for word in ("mAP in the pool", "across languages cross_map", "Worst language", "Whom the pool", "PEER", "nan"):
            assert word not in words, word
        assert verdict(tiny) == "m is good in German [de]."
        assert [statement.topic for statement in summary(tiny)] == ["Inside"]
        print_scores(tiny.scores, Console(width=80, file=io.StringIO()))


def test_128_languages_fit_in_a_page_and_a_terminal():
    langs = [f"{first}{second}" for first in "qrst" for second in "abcdefghijklmnopqrstuvwxyzABCDEF"]
    big = evaluated(langs=[lang.lower() + ("-Latn" if lang[1].isupper() else "") for lang in langs], num_keys=6)
    page = render_report([big])
    assert len(page.encode()) < 3_000_000
    parsed = Page(page)
    values = next(value for _, name, value in parsed.attributes if name == "data-values").split(" ")
    order = next(value for _, name, value in parsed.attributes if name == "data-rows").split(" ")
    at = [big.scores.langs.index(lang) for lang in order]
    assert [int(value) for value in values] == np.rint(1000 * big.scores.map_matrix[np.ix_(at, at)]).ravel().tolist()
    console = Console(width=80, record=True, file=io.StringIO())
    print_scores(big.scores, console, big.intervals, big.notes)
    text = console.export_text()
    assert len(text.splitlines()) < 75
    assert max(map(len, text.splitlines())) <= 80
    best, worst = extreme_pairs(big.scores.langs, big.scores.map_matrix, 10)
    assert f"{worst[0].query} → {worst[0].passage}" in text
    assert f"{best[-1].query} → {best[-1].passage}" in text
    assert "108 more between" in " ".join(text.split())
    assert EVIL in text


def test_extreme_pairs_are_those_of_a_sort_and_never_both():
    matrix = np.random.default_rng(0).uniform(size=(5, 5))
    matrix[1, 2] = np.nan
    langs = tuple("abcde")
    known = [(q, p) for q in range(5) for p in range(5) if q != p and not np.isnan(matrix[q, p])]
    pairs = sorted((matrix[q, p], langs[q], langs[p]) for q, p in known)
    best, worst = extreme_pairs(langs, matrix, 4)
    assert [(pair.value, pair.query, pair.passage) for pair in worst] == pairs[:4]
    assert [(pair.value, pair.query, pair.passage) for pair in best] == pairs[::-1][:4]
    best, worst = extreme_pairs(langs, matrix, 99)
    assert not set(best) & set(worst)


def test_ceiling_is_what_a_perfect_ranking_reaches():
    rs = parallel_set("p", tuple("abcd"), np.array([[1, 1, 1, 1], [1, 1, 0, 0]], dtype=bool))
    vectors = np.eye(2, dtype=np.float32)[rs.query_keys]
    scores = score(rs, vectors, vectors)
    assert scores.recall_ceiling(3) == pytest.approx((4 * 0.75 + 2) / 6)
    assert scores.recall_ceiling(4) == 1.0


def test_language_intervals_agree_with_the_normal_approximation():
    scores = evaluated(num_keys=400, noise=1.2).scores
    values, langs = scores.per_query.mono_ap, scores.per_query.langs
    low, high = lang_intervals(scores, values)
    for lang in range(4):
        mine = values[langs == lang]
        half = 1.96 * mine.std() / np.sqrt(len(mine))
        assert low[lang] == pytest.approx(mine.mean() - half, abs=0.15 * half)
        assert high[lang] == pytest.approx(mine.mean() + half, abs=0.15 * half)


def difference(metric, value, verdict):
    return Difference(
        metric=metric,
        a=0.5,
        b=0.5 + value,
        difference=value,
        low=0.0,
        high=0.0,
        p_value=0.01,
        p_adjusted=0.02,
        verdict=verdict,
    )


def compared(*rows):
    return Comparison(set_name="s", a="old", b="new", differences=tuple(difference(*row) for row in rows))


def test_words(small, same_words):
    """All sentences of the page: of one model, and what is said of two of them."""
    noise = ("mono_map", 0.1, "not significant")
    comparisons = [
        compared(noise),
        compared(("pool_map", 0.1, "better"), ("rank_distance", -9.0, "better"), noise),
        compared(("pool_map", -0.1, "worse")),
        compared(("pool_map", 0.1, "better"), ("rank_distance", 9.0, "worse")),
    ]
    same_words("evaluation.txt", [*map(conclusion, comparisons), *Page(render_report([small])).text])


def test_two_models_side_by_side(small):
    other = evaluated(noise=0.3, seed=1, model="model <b>", precision="bf16")
    rows = tuple(compare(small.scores, other.scores, num_resamples=200))
    comparison = Comparison(set_name=small.scores.name, a=small.model, b=other.model, differences=rows)
    words = Page(render_report([small, other], [comparison])).words
    assert "model <b> against model a on set <1>" in words
    assert conclusion(comparison) in words
    assert "precision fp32 bf16" in words
    console = Console(width=80, record=True, file=io.StringIO())
    print_comparison(comparison, console)
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= 80
    for row in rows:
        line = next(line for line in text.splitlines() if line.split()[:1] == [row.metric])
        assert line.split()[-1] == {"better": "b", "worse": "a", "not significant": "neither"}[row.verdict]
        assert f"{row.p_adjusted:.4f}" in line
    with pytest.raises(EvaluationError, match="'model a' on 'set <1>' twice"):
        render_report([small, small])
    with pytest.raises(EvaluationError, match="without an evaluation"):
        render_report([])


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("de", "German"),
        ("deu", "German"),
        ("arb", "Arabic"),
        ("zh-Hant", "Chinese (Traditional)"),
        ("pt_BR", "Portuguese (Brazil)"),
        ("l0", "l0"),
        ("x-private", "x-private"),
    ],
)
def test_names_of_languages(code, name):
    assert lang_name(code) == name


@pytest.mark.parametrize("seed", range(3))
def test_irregular_sets_make_a_page(seed):
    rng = np.random.default_rng(seed)
    rs = random_set(rng, num_langs=4, num_queries=9, num_passages=30, max_gold=8)
    langs = np.minimum(rs.query_langs, 1)  # two of the languages ask nothing
    rs = replace(rs, langs=("de", "en", "hi", "th"), query_langs=langs)
    found = Evaluation(model="m", scores=score(rs, rng.random((9, 5)), rng.random((30, 5))))
    words = Page(render_report([found])).words
    assert "PEER by language of the query" in words
    chips = re.search(r"near 0 if one is\. (.*?) What benchmarks publish", words)[1]
    told = [(lang, value) for lang, value in zip(rs.langs, found.scores.peer, strict=True) if not np.isnan(value)]
    assert chips == " ".join(f"{lang} {value:.3f}" for lang, value in told)
    assert "nan" not in words.lower().split()


def test_a_set_without_answers_in_the_language_of_the_question():
    rs = parallel_set("clir", ("de", "en"), np.ones((6, 2), dtype=bool))
    asked, answers = rs.query_langs == 0, rs.passage_langs == 1
    rs = replace(
        rs,
        query_langs=rs.query_langs[asked],
        query_keys=rs.query_keys[asked],
        passage_langs=rs.passage_langs[answers],
        passage_ids=rs.passage_ids[answers],
        gold_offsets=np.arange(7),
        gold_passages=np.arange(6),
    )
    vectors = np.eye(6, dtype=np.float32)
    found = Evaluation(model="m", scores=score(rs, vectors, vectors))
    by_topic = {statement.topic: statement for statement in summary(found)}
    assert "Inside" not in by_topic
    assert by_topic["Across"].level == "plain"
    assert "1.000" in by_topic["Across"].text
    assert "no score inside a language on clir" in verdict(found)
    Page(render_report([found]))


def asked_and_held(query_langs, passage_langs):
    """An evaluation of parallel questions, of which some languages ask and some hold the answers."""
    langs = ("de", "en", "hi")
    rs = parallel_set("part", langs, np.ones((20, 3), dtype=bool))
    asked, held = np.isin(rs.query_langs, query_langs), np.isin(rs.passage_langs, passage_langs)
    kept = held[rs.gold_passages] & asked[rs.gold_queries]
    rs = replace(
        rs,
        query_langs=rs.query_langs[asked],
        query_keys=rs.query_keys[asked],
        passage_langs=rs.passage_langs[held],
        passage_ids=rs.passage_ids[held],
        gold_offsets=np.cumsum([0, *np.bincount(rs.gold_queries[kept], minlength=60)[asked]]),
        gold_passages=(np.cumsum(held) - 1)[rs.gold_passages[kept]],
    )
    rng = np.random.default_rng(0)
    scores = score(rs, rng.standard_normal((asked.sum(), 6)), rng.standard_normal((held.sum(), 6)))
    return Evaluation(model="m", scores=scores, intervals=tuple(intervals(scores, num_resamples=20)))


PARTS = {
    "one asks": (
        [1],
        [0, 1, 2],
        [
            "English [en] on every language",
            "mAP in English [en] is",
            "In one pool of 3 languages",
            "1 of queries, 3 of",
        ],
        ["Every language on", "worst_lang_map", "Languages of the query", "served worst", "answers, mean over query"],
    ),
    "one is asked": (
        [0, 1, 2],
        [1],
        ["Every language on English [en]", "mAP of all languages", "On the passages, which are in English [en]"],
        ["The diagonal", "mAP in the pool pool_map", "Whom the pool favours", "In one pool of"],
    ),
    "one asks another": (
        [0],
        [1],
        ["The only pair is German [de] on English [en]", "mAP across languages cross_map"],
        ["The worst pair", "Whom the pool", "served worst", "Worst language worst_lang_map", "In one pool"],
    ),
    "one alone": (
        [2],
        [2],
        ["m is poor in Hindi [hi].", "nothing is to be said across languages or of the pool"],
        ["The worst pair", "Whom the pool", "served worst", "mAP in the pool", "Rank distance", "on every language"],
    ),
}


@pytest.mark.parametrize(("asked", "held", "said", "not_said"), PARTS.values(), ids=PARTS)
def test_the_page_is_worded_for_the_languages_that_there_are(asked, held, said, not_said):
    found = asked_and_held(asked, held)
    words = Page(render_report([found])).words
    assert [text for text in said if text not in words] == []
    assert [text for text in not_said if text in words] == []
    assert not re.search(r"\bnan\b", words)
    console = Console(width=80, record=True, file=io.StringIO())
    print_scores(found.scores, console, found.intervals)
    text = console.export_text()
    rows = [line.split()[0] for line in text.splitlines() if "_" in line.split(" to ")[0]]
    assert [row for row in rows if row in METRICS] == list(metric_names(found.scores))
    assert "nan" not in text.split()
    assert f"{20 * len(asked)} queries" in text
    assert ("(20 questions)" in text) is (len(asked) > 1)
    assert f"queries {20 * len(asked)} different questions 20" in words


def test_a_comparison_in_one_language_has_its_own_words():
    a, b = (parallel_set("one", ("de",), np.ones((9, 1), dtype=bool)) for _ in range(2))
    rng = np.random.default_rng(0)
    one, other = (score(rs, rng.random((9, 4)), rng.random((9, 4))) for rs in (a, b))
    old, new = (Evaluation(model=name, scores=scores) for name, scores in (("old", one), ("new", other)))
    comparison = compare_evaluations(old, new)
    words = Page(render_report([old, new], [comparison])).words
    assert [row.metric for row in comparison.differences] == list(metric_names(one))
    assert "inside a language" not in words
    assert conclusion(replace(comparison, differences=(difference("mono_map", 0.1, "better"),))) == (
        "new is really better than old on one: in mAP (by 0.1000)."
    )
