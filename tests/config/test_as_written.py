"""Fields of text take what was written, in files and on the command line; a key comes once."""

import pytest

from hbt_ray.config.load import load_recipe, parse_override
from hbt_ray.errors import ConfigError


def load(tmp_path, text, *overrides):
    path = tmp_path / "r.yaml"
    path.write_text(text, encoding="utf-8")
    return load_recipe(path, overrides)


@pytest.mark.parametrize("text", ["no", "on", "1e5", "20261130", "2026-11-30", "1.10", "007", "0x1F", "yes"])
def test_a_name_is_what_was_written(tmp_path, text):
    assert load(tmp_path, f"name: {text}").name == text
    assert load(tmp_path, f"name: '{text}'").name == text
    assert load(tmp_path, "", f"name={text}").name == text
    assert load(tmp_path, "", f"name='{text}'").name == text


def test_lists_of_texts(tmp_path):
    for recipe in (
        load(tmp_path, "corpus: {langs: [no, en, 1e5]}\ntranslate:\n  langs:\n  - no\n  - da"),
        load(tmp_path, "", "corpus.langs=[no, en, 1e5]", "translate.langs=[no, 'da']"),
    ):
        assert recipe.corpus.langs == ("no", "en", "1e5")
        assert recipe.translate.langs == ("no", "da")


def test_a_prefix_keeps_its_blank(tmp_path):
    for text in ("query: ", "Query: ", " x ", "#", "[q] ", "", "a: b: c "):
        assert load(tmp_path, "", f"corpus.query_prefix={text}").corpus.query_prefix == text
    assert load(tmp_path, "", "corpus.query_prefix='query: '").corpus.query_prefix == "query: "
    assert load(tmp_path, "", 'corpus.query_prefix="a\\tb"').corpus.query_prefix == "a\tb"
    assert load(tmp_path, 'corpus: {query_prefix: "query: "}').corpus.query_prefix == "query: "
    with pytest.raises(ConfigError, match="in quotes"):
        load(tmp_path, "corpus:\n  query_prefix: query: now")


def test_words_of_yaml_in_choices_and_spaces(tmp_path):
    recipe = load(tmp_path, "train: {packing: on}\ntune: {space: {model.base: [no, 1e5], train.packing: [on, off]}}")
    assert recipe.train.packing == "on"
    assert recipe.tune.space == {"model.base": ["no", "1e5"], "train.packing": ["on", "off"]}
    assert load(tmp_path, "", "tune.space.model.base=[no, a]").tune.space["model.base"] == ["no", "a"]
    assert load(tmp_path, "plan: {source_weights: {no: 2, 7: 1}}").plan.source_weights == {"no": 2, "7": 1}
    assert parse_override("plan.alpha=1") == ("plan.alpha", 1)
    assert parse_override("tracking.system_metrics=no") == ("tracking.system_metrics", False)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("train: {steps: 1}\nplan: {alpha: 0.5}\ntrain: {lr: 1e-3}", "train"),
        ("train:\n  lr: 1e-3\n  steps: 2\n  lr: 1e-4", "lr"),
        ("tune: {space: {plan.alpha: [0], plan.alpha: [1]}}", "plan.alpha"),
    ],
)
def test_a_key_that_comes_twice_is_refused(tmp_path, text, key):
    with pytest.raises(ConfigError, match=rf"r\.yaml .*'{key}' comes twice"):
        load(tmp_path, text)


def test_a_mark_at_the_beginning_is_no_part_of_the_recipe(tmp_path):
    assert load(tmp_path, "\ufeffname: x").name == "x"
