import dataclasses
import json
import pickle
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hbt_ray.config import CorpusConfig, ModelConfig, PlanConfig, Recipe, TrainConfig, TranslateConfig
from hbt_ray.config.load import build_recipe, override_recipe
from hbt_ray.errors import ConfigError

NAN = float("nan")
BAD = [
    ("corpus.dev_share", -0.1, "0 or above"),
    ("corpus.dev_share", 1.0, "below 1"),
    ("corpus.max_query_tokens", 3, "4 or above"),
    ("corpus.max_passage_tokens", 0, "4 or above"),
    ("corpus.input", "", "it is empty"),
    ("plan.alpha", -0.01, "0 or above"),
    ("plan.alpha", NAN, "a finite number"),
    ("plan.alpha_end", 1.01, "at most 1"),
    ("plan.batch_size", 1, "2 or above"),
    ("plan.lang_temperature", 0.0, "above 0"),
    ("plan.max_passes", -1.0, "above 0"),
    ("plan.shuffle_row_groups", 0, "above 0"),
    ("plan.source_weights", {"a": -2.0}, "0 or above"),
    ("plan.source_weights", {"a": NAN}, "a finite number"),
    ("tune.margin", -0.1, "0 or above"),
    ("tune.base_guard", -0.1, "0 or above"),
    ("tune.weights", {"mono": 1.0}, "some of mono_map"),
    ("tune.guards", {"mono_map": -0.1}, "0 or above"),
    ("tune.arms", {"X-X": {}}, "another name"),
    ("tune.arms", {"lr=1": {"train.lr": 1.0}}, "another name"),
    ("tune.space", {}, "not empty without tune.arms"),
    ("tune.traffic", {"en": {"de": 0.0}}, "a weight above 0"),
    ("tune.traffic", {"en": {"de": -1.0}}, "0 or above"),
    ("plan.alpha_stages", [[0, 2.0]], "at most 1"),
    ("plan.alpha_stages", [[0, 0.5], [0, 0.1]], "rising, distinct starts"),
    ("plan.alpha_stages", [[0.5, 0.5], [0.2, 0.1]], "rising, distinct starts"),
    ("plan.alpha_schedule", "staged", "first stage at 0"),
    ("model.base", "", "it is empty"),
    ("model.temperature", 0.0, "above 0"),
    ("train.steps", -1, "0 or above"),
    ("train.lr", 0.0, "above 0"),
    ("train.weight_decay", -0.1, "0 or above"),
    ("train.warmup", 1.0, "below 1"),
    ("train.clip", -1.0, "0 or above"),
    ("train.token_budget", 63, "at least 64, or auto"),
    ("train.seed", -1, "0 or above"),
    ("train.log_every", 0, "above 0"),
    ("train.eval_every", -1, "0 or above"),
    ("train.checkpoint_every", -1, "0 or above"),
    ("evaluation.max_dev_items", -1, "0 or above"),
    ("evaluation.token_budget", 100, "512 or above"),
    ("evaluation.sets", ["xquad"], "KIND:DIRECTORY"),
    ("resources.num_workers", 0, "above 0"),
    ("resources.num_workers", 3, "a multiple of resources.num_workers=3"),
    ("resources.cpus_per_worker", 0.0, "above 0"),
    ("resources.cpus_per_data_task", 0.0, "above 0"),
    ("resources.threads_per_worker", -1, "0 or above"),
    ("resources.max_failures", -1, "0 or above"),
    (
        "tune.space",
        {"resources.num_workers": [1, 2]},
        "no resources.*, which are the same for all trials: room is made once",
    ),
    ("tune.num_samples", 0, "above 0"),
    ("tune.seeds", [], "distinct seeds"),
    ("tune.seeds", [1, 1], "distinct seeds"),
    ("tune.asha_reduction", 1.0, "above 1"),
    ("tune.baselines", ["xx", "xx"], "distinct names"),
    ("tune.metric", [], "one, or distinct ones"),
    ("tune.metric", ["dev/pool_map", "dev/pool_map"], "one, or distinct ones"),
    ("tune.metric", ["dev/pool_map", "dev/mono_map"], "with search=optuna and no early stopping several"),
    ("tune.median_min_trials", 0, "above 0"),
    ("tune.max_concurrent", -1, "0 or above"),
    ("corpus.num_negatives", -1, "0 or above"),
    ("clean.max_copied", 1.5, "at most 1"),
    ("clean.max_lost_numbers", -0.1, "0 or above"),
    ("clean.min_confidence", 0.3, "0.5 or above"),
    ("clean.max_jaccard", 0.0, "above 0"),
    ("clean.max_jaccard", 1.1, "at most 1"),
    ("train.seed", 2**63, "below 9.22337e+18"),
    ("model.losses", {"info_nce": float("inf")}, "a finite number"),
    ("clean.max_length_ratio", 1.0, "above 1"),
    ("clean.min_similarity", 1.5, "at most 1"),
    ("clean.min_letters", 0, "above 0"),
    ("clean.rules", ["markup", "markup"], "distinct rules"),
    ("clean.check_against", ["xquad"], "KIND:DIRECTORY"),
    ("translate.model", "", "it is empty"),
    ("translate.beam_size", 0, "above 0"),
    ("translate.token_budget", 63, "64 or above"),
    ("translate.rows_per_shard", 0, "above 0"),
    ("translate.max_sentence_tokens", 7, "8 or above"),
    ("translate.max_output_ratio", 0.5, "1 or above"),
    ("translate.repetition_penalty", 0.0, "above 0"),
    ("translate.tokens_per_second", -1.0, "0 or above"),
    ("gates.model", "a/b", "a name without / and :"),
    ("gates.min_scores", ["pool_map>0.4"], "NAME>=VALUE"),
    ("gates.min_scores", ["rank_distance>=4"], "NAME>=VALUE"),
    ("gates.max_rank_distance", -1.0, "0 or above"),
    ("gates.max_loss_per_language", NAN, "a finite number"),
    ("gates.no_loss_in", ["map"], "some of mono_map"),
    ("gates.level", 1.0, "below 1"),
    ("name", "a b", "letters, digits"),
    ("name", "", "letters, digits"),
]


@pytest.mark.parametrize(("field", "value", "allowed"), BAD, ids=lambda v: str(v)[:30])
def test_a_value_out_of_range_is_named_with_what_is_allowed(field, value, allowed):
    with pytest.raises(ConfigError) as caught:
        build_recipe({}, {field: value})
    message = str(caught.value)
    where = {"plan.source_weights": "plan.source_weights.a", "plan.alpha_schedule": "plan.alpha_stages"}
    assert where.get(field, field) in message
    assert " is not allowed: " in message
    assert allowed in message
    if isinstance(value, float | str) and field != "plan.alpha_schedule":
        assert repr(value) in message
    assert "\n" not in message


def test_a_section_made_in_python_is_checked_like_one_of_a_recipe():
    with pytest.raises(ConfigError, match=r"^train\.lr=0 is not allowed: above 0$"):
        TrainConfig(lr=0)
    with pytest.raises(ConfigError, match=r"^plan\.alhpa=1 is not allowed: unknown field; fields here: alpha, "):
        PlanConfig(alhpa=1)
    with pytest.raises(ConfigError, match=r"^plan\.alpha=2 is not allowed: at most 1$"):
        dataclasses.replace(PlanConfig(), alpha=2)
    recipe = Recipe(train=TrainConfig(lr=1), corpus=CorpusConfig(langs=["de"]))
    assert (recipe.train.lr, recipe.corpus.langs) == (1.0, ("de",))
    assert pickle.loads(pickle.dumps(recipe)) == recipe
    assert hash(recipe.corpus) == hash(CorpusConfig(langs=("de",)))


@pytest.mark.parametrize(
    ("values", "ok"),
    [
        ([0.1, 0.2], True),
        ([], False),
        (0.5, False),
        ("abc", False),
        ({"low": 0, "high": 1}, True),
        ({"low": 0, "high": 1, "step": 0.25}, True),
        ({"low": 1e-6, "high": 1e-4, "log": True}, True),
        ({"low": 0, "high": 1, "log": False, "step": 0.1}, True),
        ({"low": 1, "high": 1}, False),
        ({"low": 2, "high": 1}, False),
        ({"low": 0}, False),
        ({"low": 0, "high": 1, "steps": 3}, False),
        ({"low": "a", "high": 1}, False),
        ({"low": None, "high": 1}, False),
        ({"low": 0, "high": 1, "log": True}, False),
        ({"low": 0, "high": 1, "step": 0}, False),
        ({"low": 0, "high": 1, "step": -0.1}, False),
        ({"low": 0.1, "high": 1, "step": 0.1, "log": True}, False),
    ],
)
def test_a_search_space_is_lists_and_ranges(values, ok):
    tree = {"tune": {"search": "random", "space": {"plan.alpha": values}}}
    if ok:
        assert build_recipe(tree).tune.space == {"plan.alpha": values}
    else:
        with pytest.raises(ConfigError, match=r"tune\.space\.plan\.alpha=.* is not allowed: "):
            build_recipe(tree)


def test_a_grid_has_no_ranges():
    with pytest.raises(ConfigError, match=r"a list when tune\.search is grid"):
        build_recipe({"tune": {"space": {"plan.alpha": {"low": 0, "high": 1}}}})


def fields():
    recipe = Recipe()
    for section in dataclasses.fields(Recipe):
        value = getattr(recipe, section.name)
        if dataclasses.is_dataclass(value):
            yield from (f"{section.name}.{field.name}" for field in dataclasses.fields(value))
        else:
            yield section.name


OTHER = {
    "tune.arms": {"single": {"plan.pairs": "single"}},
    "tune.weights": {"mono_map": 2.0},
    "tune.guards": {"mono_map": 0.1},
    "tune.traffic": {"de": {"en": 1.0}},
    "name": "other",
    "workspace": "elsewhere",
    "plan.alpha_schedule": "linear",
    "plan.alpha_stages": [[0.0, 0.5]],
    "plan.pairs": "single",
    "plan.lang_temperature": 2.0,
    "plan.max_passes": 2.0,
    "plan.source_weights": {"a": 1.0},
    "model.pooling": "cls",
    "model.losses": {"info_nce": 0.5, "symmetric": 0.5},
    "model.attention": "eager",
    "train.decay": "cosine",
    "train.precision": "fp32",
    "evaluation.precision": "fp32",
    "evaluation.sets": ["xquad_r:/data"],
    "resources.num_workers": 2,
    "corpus.bad_rows": "skip",
    "plan.clusters": "random:1",
    "plan.partition": [["en", "de"], ["hi", "th"]],
    "clean.rules": ["markup"],
    "clean.contamination": "remove",
    "clean.check_against": ["xquad_r:/data"],
    "clean.max_jaccard": 0.5,
    "clean.min_confidence": 0.9,
    "tune.search": "random",
    "tune.space": {"plan.alpha": [0.3]},
    "tune.seeds": [1, 2],
    "tune.claims": [{"metric": "pool_map", "above": "X-X", "below": "X-Y", "text": "X-X is better."}],
    "tune.baselines": ["xx"],
    "train.token_budget": 512,
    "train.kept_tokens": 4096,
    "train.packing": "off",
    "resources.sharding": "fsdp",
    "tracking.log_models": "none",
    "model.lora_targets": ["query"],
    "translate.precision": "int8",
    "gates.min_scores": ["pool_map>=0.4"],
    "gates.max_rank_distance": 10.0,
    "gates.min_worst_lang_map": 0.1,
    "gates.min_worst_lang_recall": 0.1,
    "gates.no_loss_in": [],
}


def another(field, value):
    """A value other than the default, allowed in its field."""
    if field in OTHER:
        return OTHER[field]
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value * 2 + 6
    if isinstance(value, float):
        return value / 2 if value else 0.5
    return ["en"] if isinstance(value, list) else value + "x"


@pytest.mark.parametrize("field", list(fields()))
def test_every_field_is_kept_by_resolved_and_changes_the_digest(field):
    # which ASHA needs, and transformers
    recipe = build_recipe({"train": {"eval_every": 100}, "translate": {"precision": "float32"}})
    section, _, name = field.partition(".")
    resolved = recipe.resolved()
    value = resolved[section][name] if name else resolved[section]
    changed = override_recipe(recipe, {field: another(field, value)})
    assert changed != recipe
    assert build_recipe(changed.resolved()) == changed
    assert build_recipe(json.loads(json.dumps(changed.resolved()))) == changed
    assert changed.digest() != recipe.digest()
    for other in ("corpus", "plan", "model", "train"):
        assert (changed.digest(other) != recipe.digest(other)) == (other == section)


def test_every_field_has_a_docstring():
    import ast
    from pathlib import Path

    import hbt_ray.config

    files = sorted(Path(hbt_ray.config.__file__).parent.glob("*.py"))
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text()))]
    assert sum(isinstance(node, ast.ClassDef) for node in nodes) > 5
    for node in nodes:
        if isinstance(node, ast.ClassDef) and node.name != "Recipe":  # whose sections say it themselves
            for field, after in zip(node.body, [*node.body[1:], None], strict=True):
                if isinstance(field, ast.AnnAssign):
                    assert isinstance(after, ast.Expr), f"{node.name}.{field.target.id} has no docstring"


@given(st.floats(0, 1), st.integers(2, 10_000), st.integers(0, 2**31), st.floats(1e-9, 1))
def test_round_trip_of_numbers(alpha, batch_size, seed, lr):
    recipe = build_recipe({"plan": {"alpha": alpha, "batch_size": batch_size}, "train": {"seed": seed, "lr": lr}})
    assert build_recipe(recipe.resolved()) == recipe
    assert (recipe.plan.alpha, recipe.train.lr) == (alpha, lr)
    assert re.fullmatch(r"[0-9a-f]{12}", recipe.digest("plan", "train"))


def test_pairings_ask_for_what_belongs_to_them():
    anchored = Recipe(plan=PlanConfig(pairs="anchored"), translate=TranslateConfig(source_lang="de"))
    assert anchored.with_anchor().plan.anchor_lang == "de"
    assert Recipe(plan=PlanConfig(pairs="anchored", anchor_lang="hi")).with_anchor().plan.anchor_lang == "hi"
    assert Recipe().with_anchor() == Recipe()
    with pytest.raises(ConfigError, match=r"plan\.batch_size=100 .*plan\.ways=3"):
        Recipe(plan=PlanConfig(pairs="multiway"), model=ModelConfig(losses={"multiway": 1.0}))
    with pytest.raises(ConfigError, match=r"model\.losses=.*multiway"):
        Recipe(plan=PlanConfig(pairs="multiway", batch_size=96))
