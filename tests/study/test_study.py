"""The main job as a user runs it: Ray Tune over Ray Train, Ray Data and MLflow, nothing mocked."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import yaml
from mlflow import MlflowClient
from ray.util.state import list_actors

from hbt_ray.tracking.models import logged_models
from jobs import tune
from tests.tracking.servers import Server

pytestmark = pytest.mark.ray

ONE_WORKER = "resources.num_workers=1"  # a worker is a process to start: two of them are tested where it matters
RECIPE = {
    "name": "chain",
    "corpus": {"max_query_tokens": 32, "max_passage_tokens": 64},
    "plan": {"batch_size": 16},
    "train": {"steps": 20, "lr": 1e-3, "log_every": 5, "eval_every": 10},
    "evaluation": {"max_dev_items": 20},
    "resources": {"cpus_per_worker": 0.5, "cpus_per_data_task": 0.5, "max_failures": 0},
    "tune": {"space": {"plan.alpha": [0.0, 1.0]}, "baselines": []},
}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    return tmp_path_factory.mktemp("workspace")


@pytest.fixture
def run(ray_session, workspace, small_input, small_base, capsys):
    """Runs jobs/tune.py's main with overrides; returns (exit status, what it printed)."""

    path = workspace / "chain.yaml"
    path.write_text(yaml.safe_dump(RECIPE))
    fixed = [
        f"workspace={workspace}",
        f"corpus.input={small_input}",
        f"corpus.dev_ids={small_input}/dev_ids.txt",
        f"model.base={small_base}",
    ]

    def run_it(*overrides):
        status = tune.main(["--recipe", str(path), *fixed, *overrides])
        return status, capsys.readouterr().out

    run_it.fixed = fixed
    return run_it


@pytest.fixture
def runs(workspace):
    """Name -> MLflow run of a study (its parent run under the study's own name)."""
    client = MlflowClient(f"sqlite:///{workspace}/mlflow/mlflow.db")

    def find(study):
        experiment = client.get_experiment_by_name("hbt_ray")
        found = client.search_runs([experiment.experiment_id], f"tags.`hbt.study` = '{study}'")
        return client, {run.info.run_name: run for run in found}

    return find


def test_a_study_is_scored_recorded_and_extended_without_repeating_anything(run, runs, workspace):
    status, printed = run()
    assert status == 0
    client, found = runs("chain")
    assert set(found) == {"chain", "alpha=0 seed=0", "alpha=1 seed=0"}
    assert "recommended alpha" in printed
    assert "mlflow server" in printed
    parent = found.pop("chain")
    for name, trial in found.items():
        assert trial.info.status == "FINISHED"
        assert trial.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert trial.data.tags["hbt.seed"] == "0"
        assert f"alpha={trial.data.tags['hbt.alpha']}" in name
        assert float(trial.data.params["plan.alpha"]) == float(trial.data.tags["hbt.alpha"])
        history = client.get_metric_history(trial.info.run_id, "train/loss")
        assert [point.step for point in history] == [5, 10, 15, 20]
        assert [point.step for point in client.get_metric_history(trial.info.run_id, "dev/pool_map")] == [10, 20]
        artifacts = {item.path for item in client.list_artifacts(trial.info.run_id, "dev")}
        assert {"dev/map_matrix.json", "dev/map_matrix.png", "dev/scores.json"} <= artifacts
        path = client.download_artifacts(trial.info.run_id, "dev/map_matrix.json", str(workspace))
        matrix = json.loads(Path(path).read_text())
        assert matrix["langs"] == ["de", "el", "en", "zh"]
        assert len(matrix["values"]) == 4
        assert trial.data.tags["hbt.trial"] in printed
    assert parent.info.status == "FINISHED"
    logged = {name: logged_models(client, trial.info.run_id) for name, trial in found.items()}
    ((best, (model,)),) = ((name, models) for name, models in logged.items() if models)
    assert f"recommended {best.split()[0].replace('=', ' = ')}" in printed
    assert f"models in MLflow: {model.model_uri}" in printed
    xx, xy = (found[f"alpha={alpha} seed=0"].data.metrics["train/xx_share"] for alpha in (1, 0))
    assert (xx, xy) == (1.0, 0.0)

    status, printed = run()
    assert status == 0
    assert "2 trials are done" in printed
    assert "nothing is left to run" in printed

    status, printed = run("tune.seeds=[0, 1]", "tune.baselines=[xx, xy, untrained]")
    assert status == 0
    # X-X and X-Y are points of the space: what is left is their second seed, and the base once
    assert "study chain: 3 trials" in printed
    _, found = runs("chain")
    points = [f"alpha={alpha} seed={seed}" for alpha in (0, 1) for seed in (0, 1)]
    assert set(found) == {"chain", *points, "steps=0 seed=0"}
    tags = {name: trial.data.tags.get("hbt.baseline") for name, trial in found.items()}
    assert tags["alpha=1 seed=1"] == "xx"
    base = found["steps=0 seed=0"]
    assert (base.info.status, base.data.tags["hbt.baseline"]) == ("FINISHED", "untrained")
    assert "train/loss" not in base.data.metrics
    assert "plan.alpha" not in base.data.params
    assert 0 < base.data.metrics["dev/pool_map"] < 1
    assert found["chain"].data.tags["hbt.controls"] == "source,untrained"
    page = (workspace / "runs" / "chain" / "report.md").read_text()
    assert "| no fine-tuning | 1 |" in page
    assert "## alpha = 1 against no fine-tuning" in page or "## alpha = 0 against no fine-tuning" in page


def test_a_study_whose_driver_was_killed_ends_with_the_weights_of_one_that_was_not(ray_session, run, workspace):
    def arguments(name):
        return (
            f"name={name}",
            ONE_WORKER,
            "tune.space={plan.alpha: [1.0]}",
            "train.steps=40",
            "train.checkpoint_every=8",
        )

    def weights(name):
        (model,) = (workspace / "runs" / name).glob("*/step-0000040/model/model.safetensors")
        return hashlib.sha256(model.read_bytes()).hexdigest()

    assert run(*arguments("whole"))[0] == 0
    repository = Path(__file__).resolve().parents[2]
    fixed = ["--recipe", str(workspace / "chain.yaml"), *run.fixed]
    log = workspace / "killed.log"
    with log.open("wb") as output:
        driver = subprocess.Popen(
            [sys.executable, "jobs/tune.py", *fixed, *arguments("killed")],
            cwd=repository,
            env={**os.environ, "RAY_ADDRESS": ray_session.get_runtime_context().gcs_address},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + 240
        while not (kept := list((workspace / "runs" / "killed").glob("*/step-*"))):
            assert driver.poll() is None, log.read_text()[-3000:]
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        driver.send_signal(signal.SIGKILL)
        driver.wait()
    assert 0 < int(kept[0].name.removeprefix("step-")) < 40
    status, printed = run(*arguments("killed"))
    assert status == 0
    assert "recommended alpha" in printed
    assert weights("killed") == weights("whole")


def test_a_study_of_the_same_name_with_other_settings_is_refused(run, workspace):
    from hbt_ray.errors import ConfigError

    if not (workspace / "runs" / "chain").exists():  # the first test's
        run()
    with pytest.raises(ConfigError, match=r"train\.lr=0\.002 \(was 0\.001\)"):
        run("train.lr=0.002")


def test_failed_and_early_stopped_trials_do_not_end_the_study(run, runs):
    # the base as it is, which finds words again; what is left of it when each step moves every weight by 1; no number
    space = "{train.lr: [1.0e-9, 1.0, 1.0e+30]}"
    status, printed = run("name=mixed", ONE_WORKER, f"tune.space={space}", "tune.asha=true", "tune.max_concurrent=1")
    assert status == 1
    assert "stopped early at step 10" in printed
    _, found = runs("mixed")
    assert found["lr=1e-09 seed=0"].info.status == "FINISHED"
    assert "hbt.early_stopped" not in found["lr=1e-09 seed=0"].data.tags
    assert found["lr=1 seed=0"].info.status == "FINISHED"
    assert found["lr=1 seed=0"].data.tags["hbt.early_stopped"] == "true"
    kept, stopped = (found[f"lr={lr} seed=0"].data.metrics["dev/pool_map"] for lr in ("1e-09", "1"))
    assert kept > 1.3 * stopped, "which of the two is stopped must not be a matter of chance"
    assert found["lr=1e+30 seed=0"].info.status == "FAILED"
    assert "NaN or infinite" in found["lr=1e+30 seed=0"].data.tags["hbt.error"]
    assert found["mixed"].info.status == "FINISHED"
    assert found["mixed"].data.tags["hbt.failed_trials"] == "1"
    assert "1 trials of this run failed, so its exit status is 1" in printed


@pytest.mark.drill
def test_a_trial_whose_driver_died_is_tried_again_and_goes_on(ray_session, run, runs, workspace):
    arguments = (
        "name=died",
        ONE_WORKER,
        "tune.space={plan.alpha: [1.0]}",
        "train.steps=40",
        "train.checkpoint_every=8",
    )
    killed = []

    def kill_the_driver():
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and not list((workspace / "runs" / "died").glob("*/step-*")):
            time.sleep(0.02)
        alive = [("class_name", "=", "ImplicitFunc"), ("state", "=", "ALIVE")]
        victim = list_actors(filters=alive, detail=True)[-1]
        os.kill(victim.pid, signal.SIGKILL)
        killed.append(victim.pid)

    killer = threading.Thread(target=kill_the_driver)
    killer.start()
    status, printed = run(*arguments, "resources.max_failures=1")
    killer.join()
    assert killed
    assert status == 0
    assert "alpha=1 seed=0: its driver died; started again" in printed
    assert runs("died")[1]["alpha=1 seed=0"].info.status == "FINISHED"


@pytest.mark.drill
def test_a_study_loses_nothing_while_its_server_is_down(run, workspace):
    server = Server(workspace, life_s=400)
    server.start()
    client = MlflowClient(server.uri)

    def trials():
        experiment = client.get_experiment_by_name("hbt_ray")
        kind = "tags.`hbt.kind` = 'trial'"
        return client.search_runs([experiment.experiment_id], kind) if experiment else []

    outage = []

    def stop_and_start():
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and not any("train/loss" in trial.data.metrics for trial in trials()):
            time.sleep(0.1)
        server.terminate()
        begun = len(list((workspace / "runs" / "outage").iterdir()))
        while time.monotonic() < deadline and len(list((workspace / "runs" / "outage").glob("*/step-*"))) < 2:
            time.sleep(0.1)  # until the next trial has trained without it
        server.start()
        outage.append(begun)

    helper = threading.Thread(target=stop_and_start)
    helper.start()
    try:
        status, _ = run(
            "name=outage",
            ONE_WORKER,
            f"tracking.uri={server.uri}",
            "tune.max_concurrent=1",
            "train.log_every=1",
            "train.eval_every=5",
            "train.checkpoint_every=5",
        )
        helper.join()
        assert outage
        assert status == 0
        found = trials()
        assert sorted(trial.data.params["plan.alpha"] for trial in found) == ["0.0", "1.0"]
        for trial in found:
            assert trial.info.status == "FINISHED"
            for name, every in (("train/loss", 1), ("dev/pool_map", 5)):
                points = client.get_metric_history(trial.info.run_id, name)
                assert [point.step for point in points] == list(range(every, 21, every))
    finally:
        server.stop()


@pytest.mark.drill
def test_a_study_killed_while_its_server_is_down_ends_whole(ray_session, run, workspace):
    server = Server(workspace, life_s=500)
    server.start()
    arguments = (
        "name=lost",
        ONE_WORKER,
        f"tracking.uri={server.uri}",
        "tune.max_concurrent=1",
        "train.eval_every=5",
        "train.checkpoint_every=5",
    )
    log, root = workspace / "lost.log", workspace / "runs" / "lost"
    with log.open("wb") as output:
        driver = subprocess.Popen(
            [sys.executable, "jobs/tune.py", "--recipe", str(workspace / "chain.yaml"), *run.fixed, *arguments],
            cwd=Path(__file__).resolve().parents[2],
            env={**os.environ, "RAY_ADDRESS": ray_session.get_runtime_context().gcs_address},
            stdout=output,
            stderr=subprocess.STDOUT,
        )

    def wait_for(pattern):
        deadline = time.monotonic() + 200
        while not list(root.glob(pattern)):
            assert driver.poll() is None, log.read_text()[-3000:]
            assert time.monotonic() < deadline
            time.sleep(0.05)

    try:
        wait_for("*/step-*")  # the first trial trains
        server.terminate()
        wait_for("*/dev/per_query.npz")  # it has ended, and nobody was told
    finally:
        driver.send_signal(signal.SIGKILL)
        driver.wait()
    try:
        server.start()
        client = MlflowClient(server.uri)
        assert run(*arguments)[0] == 0
        (experiment,) = [client.get_experiment_by_name("hbt_ray").experiment_id]
        trials = client.search_runs([experiment], "tags.`hbt.study` = 'lost' and tags.`hbt.kind` = 'trial'")
        assert sorted(trial.data.params["plan.alpha"] for trial in trials) == ["0.0", "1.0"]
        for trial in trials:
            assert trial.info.status == "FINISHED"
            points = client.get_metric_history(trial.info.run_id, "dev/pool_map")
            assert max(point.step for point in points) == 20
            assert "dev/per_query.npz" in {item.path for item in client.list_artifacts(trial.info.run_id, "dev")}
    finally:
        server.stop()


@pytest.mark.drill
def test_optuna_draws_points_and_goes_on_with_what_it_knows(run, runs):
    space = "{plan.alpha: {low: 0.0, high: 1.0}}"
    settings = (
        "name=optuna",
        ONE_WORKER,
        "tune.search=optuna",
        f"tune.space={space}",
        "train.steps=5",
        "train.eval_every=0",
    )
    assert run(*settings, "tune.num_samples=1")[0] == 0
    status, printed = run(*settings, "tune.num_samples=2", "tune.seeds=[0, 1]")
    assert status == 0
    assert "1 trials are done" in printed
    assert "study optuna: 3 trials" in printed
    _, found = runs("optuna")
    del found["optuna"]
    points = {}
    for trial in found.values():
        points.setdefault(trial.data.params["plan.alpha"], set()).add(trial.data.tags["hbt.seed"])
    assert list(points.values()) == [{"0", "1"}] * 2  # two points, each with both seeds, the known one included
    assert len(found) == 4
