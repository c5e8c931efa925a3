import json
import math

import pytest

from hbt_ray.config.load import build_recipe, override_recipe
from hbt_ray.errors import ConfigError
from hbt_ray.records import RunRecords
from hbt_ray.study.directory import StudyDirectory
from hbt_ray.study.points import TrialSpec
from hbt_ray.study.trials import Trial

RECIPE = build_recipe({"name": "s", "plan": {"source_weights": {"a": 1.5}}, "corpus": {"langs": ["en", "de"]}})

VALUES = {"plan.alpha": [0.0, 1.0], "train.lr": [1e-5, 1e-4], "plan.langs": [["en"], ["de"]]}
MADE_FROM = {"corpus": "1", "base": "tiny"}


@pytest.fixture(params=["local", "memory"])
def directory(request, tmp_path):
    return StudyDirectory(str(tmp_path / "s") if request.param == "local" else f"memory://{tmp_path.name}/s")


def test_a_study_is_claimed_once_and_then_resumed(directory):
    study_id = directory.claim(RECIPE, MADE_FROM)
    assert directory.claim(RECIPE, MADE_FROM) == study_id
    assert directory.results() == []


def test_another_corpus_or_base_model_is_noticed(directory):
    directory.claim(RECIPE, MADE_FROM)
    with pytest.raises(ConfigError, match=r"made_from\.corpus='2' \(was '1'\)"):
        directory.claim(RECIPE, {**MADE_FROM, "corpus": "2"})


def test_two_studies_of_one_name_have_ids_of_their_own(tmp_path):
    ids = {StudyDirectory(str(tmp_path / place)).claim(RECIPE, MADE_FROM) for place in "abc"}
    assert len(ids) == 3


def test_a_trial_is_unfinished_from_its_beginning_to_its_result(directory):
    spec = TrialSpec.of({"plan.alpha": 0.5}, seed=1)
    directory.save(Trial(spec, "failed", 0, {}, error="x"))
    assert directory.unfinished() == []
    RunRecords(directory.of_trial(spec)).start("k", "t", tags={}, settings={}, trial=dict(spec.overrides))
    assert directory.unfinished() == [spec]
    assert directory.result(spec) is None
    directory.save(Trial(spec, "finished", 10, {}))
    assert directory.unfinished() == []


@pytest.mark.parametrize(
    "change",
    [
        {"plan.alpha": 0.9},  # varied by the study
        {"train.seed": 7},  # varied by seeds
        {"tune.space": {"plan.alpha": [0.1, 0.2]}},
        {"tune.seeds": [0, 1, 2]},
        {"tune.num_samples": 100},
        {"resources.num_workers": 4},
        {"tracking.experiment": "e"},
    ],
)
def test_a_study_may_be_extended(directory, change):
    study_id = directory.claim(RECIPE, MADE_FROM)
    assert directory.claim(override_recipe(RECIPE, change), MADE_FROM) == study_id


@pytest.mark.parametrize("space", [["plan.alpha", "train.lr"], ["train.lr"], ["plan.langs", "plan.alpha"]])
def test_a_space_of_other_fields_is_another_study(tmp_path, space):
    directory = StudyDirectory(str(tmp_path))
    directory.claim(RECIPE, MADE_FROM)
    wider = override_recipe(RECIPE, {"tune.space": {name: VALUES[name] for name in space}})
    with pytest.raises(ConfigError) as caught:
        directory.claim(wider, MADE_FROM)
    assert f"varies plan.alpha, and tune.space has {', '.join(sorted(space))}" in str(caught.value)
    assert "give that another name (name=...)" in str(caught.value)
    wide = StudyDirectory(str(tmp_path / "wide"))
    study_id = wide.claim(wider, MADE_FROM)
    more = {name: [*VALUES[name], *VALUES[name][:1]] for name in space}
    assert wide.claim(override_recipe(wider, {"tune.space": more}), MADE_FROM) == study_id


def test_changed_settings_are_named_with_what_they_were(directory):
    directory.claim(RECIPE, MADE_FROM)
    with pytest.raises(ConfigError) as caught:
        directory.claim(override_recipe(RECIPE, {"train.lr": 1e-4, "corpus.langs": ["en"]}), MADE_FROM)
    message = str(caught.value)
    assert message.startswith(f"study 's' in {directory.path} was begun with other settings: ")
    assert "corpus.langs=['en'] (was ['en', 'de'])" in message
    assert "train.lr=0.0001 (was 3e-05)" in message
    assert "give the changed study another name (name=...)" in message
    assert "alpha" not in message


@pytest.mark.parametrize(
    "forget",
    [lambda tree: tree.pop("varied"), lambda tree: tree.pop("evaluation"), lambda tree: tree["corpus"].pop("langs")],
)
def test_a_study_of_another_version_is_refused_in_one_line(tmp_path, forget):
    directory = StudyDirectory(str(tmp_path))
    directory.claim(RECIPE, MADE_FROM)
    tree = json.loads((tmp_path / "study.json").read_text())
    forget(tree)
    (tmp_path / "study.json").write_text(json.dumps(tree))
    with pytest.raises(ConfigError, match=r"study\.json is of another version.*another name \(name=\.\.\.\)$"):
        directory.claim(RECIPE, MADE_FROM)


def test_results_round_trip(directory):
    model = f"{directory.of_trial(TrialSpec.of({'plan.alpha': 0.5}, 0))}/step-0000200/model"
    results = [
        Trial(TrialSpec.of({"plan.alpha": 0.5}, 0), "finished", 200, {"dev/pool_map": 0.25}, model=model),
        Trial(TrialSpec.of({"plan.alpha": 1.0}, 0), "stopped", 100, {"dev/pool_map": 0.125}),
        Trial(TrialSpec.of({"plan.alpha": 0.0}, 3), "failed", 0, {}, error="no"),
    ]
    for result in results:
        assert directory.result(result.spec) is None
        directory.save(result)
        assert directory.result(result.spec) == result
    assert sorted(directory.results(), key=str) == sorted(results, key=str)
    directory.save(Trial(results[2].spec, "finished", 200, {"dev/pool_map": math.nan}))
    again = directory.result(results[2].spec)
    assert (again.status, math.isnan(again.metrics["dev/pool_map"])) == ("finished", True)
    assert len(directory.results()) == 3


def test_a_result_that_was_cut_off_is_none(tmp_path):
    directory = StudyDirectory(str(tmp_path))
    spec = TrialSpec.of({"plan.alpha": 0.5}, 0)
    directory.save(Trial(spec, "finished", 10, {}))
    (file,) = (tmp_path / spec.name / "records").iterdir()
    file.write_bytes(file.read_bytes()[:-5])
    assert directory.result(spec) is None
    assert directory.results() == []


def test_a_study_is_read_with_the_settings_of_its_latest_command(directory):
    """Controls depend on the space as it is now; the metric and the seeds are those of now."""
    points = {"xx": {"plan.alpha": 1.0}, "": {"plan.alpha": 0.5}, "untrained": {"train.steps": 0}}

    def command(**tune):
        recipe = override_recipe(RECIPE, {f"tune.{name}": value for name, value in tune.items()})
        directory.records.start("s-0", "s", tags={}, settings=recipe.resolved())

    command(space={"plan.alpha": [0.0, 0.5]})
    for baseline, point in points.items():
        spec = TrialSpec.of(point, 0)
        settings = {section: spec.recipe(RECIPE).resolved()[section] for section in ("plan", "train")}
        tags = {"hbt.baseline": baseline} if baseline else {}
        RunRecords(directory.of_trial(spec)).start(
            spec.name, "t", tags=tags, settings=settings, trial=dict(spec.overrides)
        )
        directory.save(Trial(spec, "finished", 10, {"dev/pool_map": 0.5}))

    def controls():
        return {trial.baseline for trial in directory.read().trials if trial.is_control}

    assert controls() == {"xx", "untrained"}
    command(space={"plan.alpha": [0.0, 0.5, 1.0]}, metric="dev/rank_distance", seeds=[0, 1])
    study = directory.read()
    assert controls() == {"untrained"}
    assert (study.metric, study.config["tune.seeds"]) == ("dev/rank_distance", [0, 1])
    assert {trial.baseline: trial.point for trial in study.trials} == {
        "": {"plan.alpha": 0.5},
        "xx": {"plan.alpha": 1.0},
        "untrained": {},  # no plan is told of what was not trained
    }
