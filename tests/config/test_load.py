import dataclasses
from pathlib import Path

import pytest

from hbt_ray.config import Recipe
from hbt_ray.config.load import build_recipe, load_recipe, override_recipe, parse_override
from hbt_ray.errors import ConfigError

RECIPES = sorted((Path(__file__).parents[2] / "jobs" / "recipes").glob("*.yaml"))


def write(tmp_path, text, name="mine.yaml"):
    path = tmp_path / name
    path.write_text(text)
    return path


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_recipes_of_the_project_load(path):
    recipe = load_recipe(path)
    assert build_recipe(recipe.resolved()) == recipe
    from hbt_ray.study.points import check_space, listed_trials

    check_space(recipe)
    if recipe.tune.search != "optuna":
        assert listed_trials(recipe)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_sets_and_metrics_of_the_recipes_exist(path):
    from hbt_ray.retrieval.sets.catalog import SETS, parse_name
    from hbt_ray.study.points import check_metric

    recipe = load_recipe(path)
    check_metric(recipe)
    for name in recipe.evaluation.sets:
        kind, _, options = parse_name(name)
        assert set(options["langs"].split(",")) <= set(SETS[kind].hub.langs)


def test_the_papers_comparison_is_the_same_at_both_sizes():
    full, small = (load_recipe(RECIPES[0].parent / f"{name}.yaml") for name in ("paper", "paper-small"))
    assert (full.train.lr, full.train.weight_decay, full.plan.batch_size) == (3e-5, 0.01, 100)
    assert set(full.corpus.langs) == {"ar", "zh", "en", "de", "hi", "ru", "es", "th", "tr"}
    assert (full.corpus.query_prefix, full.corpus.passage_prefix) == ("Query: ", "Passage: ")
    assert [name.partition(":")[0] for name in full.evaluation.sets] == ["xquad_r", "mlqa_r", "miracl"]
    for recipe in (full, small):
        assert {0.0, 0.5, 1.0} <= set(recipe.tune.space["plan.alpha"])
        assert len(recipe.tune.seeds) >= 3
        assert "untrained" in recipe.tune.baselines
        assert (recipe.tune.search, recipe.plan.pairs, recipe.plan.lang_temperature) == ("grid", "mixed", None)
    assert small.corpus.langs == ("en", "es", "fr", "pt", "ru", "ja")


def test_there_are_recipes():
    assert RECIPES


def test_an_empty_recipe_is_all_defaults_and_named_after_its_file(tmp_path):
    assert load_recipe(write(tmp_path, "")) == Recipe(name="mine")
    assert load_recipe(write(tmp_path, "name: other\nplan:\ntrain: {steps: 7}")) == build_recipe(
        {"name": "other", "train": {"steps": 7}}
    )
    assert load_recipe(write(tmp_path, "plan:\n  # alpha: 0.5\n"), ["plan.alpha=0.1"]).plan.alpha == 0.1


def test_overrides_come_on_top(tmp_path):
    path = write(tmp_path, "plan: {alpha: 0.2, batch_size: 10}\ntrain: {lr: 1e-4}")
    recipe = load_recipe(
        path, ["plan.alpha=0.7", "train.lr=3e-5", "corpus.langs=[en, de]", "plan.source_weights={a: 2}", "name=x"]
    )
    assert (recipe.plan.alpha, recipe.plan.batch_size, recipe.train.lr) == (0.7, 10, 3e-5)
    assert recipe.corpus.langs == ("en", "de")
    assert recipe.plan.source_weights == {"a": 2.0}
    assert recipe.name == "x"


def test_an_override_sets_one_key_of_a_mapping(tmp_path):
    recipe = load_recipe(write(tmp_path, ""), ["model.losses.symmetric=0.5", "plan.source_weights.a=2"])
    assert recipe.model.losses == {"info_nce": 1.0, "symmetric": 0.5}
    assert recipe.plan.source_weights == {"a": 2.0}
    recipe = load_recipe(write(tmp_path, "model: {losses: {symmetric: 1}}"), ["model.losses.info_nce=0.5"])
    assert recipe.model.losses == {"symmetric": 1.0, "info_nce": 0.5}


def test_numbers_that_yaml_takes_for_strings(tmp_path):
    recipe = load_recipe(
        write(tmp_path, "train: {lr: 3e-5}\ntune: {search: random, space: {train.lr: {low: 1e-6, high: 1E-4}}}")
    )
    assert recipe.train.lr == 3e-5
    assert recipe.tune.space == {"train.lr": {"low": 1e-6, "high": 1e-4}}
    assert load_recipe(write(tmp_path, "tune: {space: {train.lr: [1e-5, 3e-5]}}")).tune.space == {
        "train.lr": [1e-5, 3e-5]
    }
    assert parse_override("train.lr=2e-5") == ("train.lr", 2e-5)
    assert build_recipe({"model": {"base": "e5-base"}}).model.base == "e5-base"


def test_values_may_hold_an_equals_sign():
    assert parse_override("tracking.uri=http://host/?a=b") == ("tracking.uri", "http://host/?a=b")


@pytest.mark.parametrize("text", ["plan.alpha", "=3", " =3"])
def test_an_override_must_have_a_name_and_a_value(text):
    with pytest.raises(ConfigError, match=r"is not of the form section\.field=value, e\.g\. train\.steps=500"):
        parse_override(text)


def test_an_override_that_is_not_yaml():
    with pytest.raises(ConfigError, match=r"override 'plan\.alpha=\[': the value is not valid YAML"):
        parse_override("plan.alpha=[")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "plan: {alhpa: 0.5}",
            r"^plan\.alhpa=0\.5 is not allowed: unknown field; fields here: alpha, alpha_schedule, ",
        ),
        ("plans: {}", r"^plans=\{\} is not allowed: unknown field; fields here: name, workspace, corpus, plan, "),
        ("plan: {alpha: many}", r"^plan\.alpha='many' is not allowed: .*number"),
        ("plan: {alpha: 2}", r"^plan\.alpha=2 is not allowed: at most 1$"),
        ("model: {losses: {}}", r"^model\.losses=\{\} is not allowed: it is empty$"),
        ("model: {losses: {info_nce: 0}}", r"^model\.losses\.info_nce=0 is not allowed: above 0$"),
        ("plan: {pairs: both}", r"^plan\.pairs='both' is not allowed: .*'mixed', 'single'"),
        ("plan: 3", r"^plan=3 is not allowed: "),
        ("corpus: {langs: [en, [no]]}", r"^corpus\.langs\.1=\[False\] is not allowed: .*string"),
        ("train: {steps: 1.5}", r"^train\.steps=1\.5 is not allowed: .*integer"),
        ("plan: {alpha: a, batch_size: b, pairs: c}", r"and 2 more problems\)$"),
        (
            "resources: {num_workers: 3}",
            r"^plan\.batch_size=100 is not allowed: a multiple of resources\.num_workers=3$",
        ),
        ("- a\n- b", r"must be a mapping of sections, found list"),
        ("plan: [", r"mine\.yaml is not valid YAML: "),
        ("1: 2", r"not allowed"),
    ],
)
def test_a_bad_recipe_is_one_clear_line(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message) as caught:
        load_recipe(write(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_a_recipe_that_is_not_there_names_those_that_are(tmp_path):
    write(tmp_path, "", "a.yaml")
    for path in (tmp_path / "b.yaml", tmp_path):
        with pytest.raises(ConfigError, match="is not a file"):
            load_recipe(path)
    with pytest.raises(ConfigError, match=r"b\.yaml is not a file \(YAML files beside it: a\.yaml\)"):
        load_recipe(tmp_path / "b.yaml")


def test_an_override_into_a_field():
    with pytest.raises(ConfigError, match=r"plan\.alpha\.x: 'alpha' is a field, not a section"):
        build_recipe({"plan": {"alpha": 0.5}}, {"plan.alpha.x": 1})


def test_building_does_not_change_what_it_is_given():
    tree = {"plan": {"alpha": 0.1}}
    build_recipe(tree, {"plan.alpha": 0.9, "train.seed": 4})
    assert tree == {"plan": {"alpha": 0.1}}


def test_override_recipe_changes_the_named_fields_only():
    recipe = build_recipe({"name": "r", "plan": {"batch_size": 8}, "corpus": {"langs": ["en"]}})
    changed = override_recipe(recipe, {"train.seed": 3, "plan.alpha": 0.1})
    assert changed == dataclasses.replace(
        recipe,
        train=dataclasses.replace(recipe.train, seed=3),
        plan=dataclasses.replace(recipe.plan, alpha=0.1),
    )
