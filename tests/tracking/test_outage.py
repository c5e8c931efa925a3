"""A tracking server that hangs, and one that ends and is started again, in the middle of a training."""

import statistics
import time

from hbt_ray.tracking.runs import RunStore
from hbt_ray.tracking.writer import RunWriter

STEP_S = 0.01
STEPS = 300
SHARE = 0.02
"""Of the time of a training, at most, that is spent in calls of the log."""
TIMEOUT_S = 1
"""Of a request: a call that waited for the server would take as long."""


class Training:
    """Steps that take their time and log as a worker does; `calls` are the seconds of each call of the log."""

    def __init__(self, writer):
        self.writer, self.step, self.calls, self.wall = writer, 0, [], 0.0

    def call(self, method, *arguments):
        start = time.perf_counter()
        getattr(self.writer, method)("s/0", *arguments)
        self.calls.append(time.perf_counter() - start)

    def run(self, num_steps):
        start = time.perf_counter()
        for _ in range(num_steps):
            time.sleep(STEP_S)
            self.step += 1
            self.call("log_metrics", [{"step": self.step, "train/loss": 1.0 / self.step, "dev/pool_map": 0.5}])
        self.wall += time.perf_counter() - start


def test_training_goes_on_and_every_point_arrives_once_and_in_order(server, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", str(TIMEOUT_S))
    writer = RunWriter(RunStore(server.uri, "hangs"))
    training = Training(writer)
    writer.start_run("s", "study")
    writer.start_run("s/0", "trial", {}, "s")
    training.run(STEPS // 6)
    assert writer.flush(30)

    server.pause()
    try:
        training.run(STEPS // 3)
        writer.start_run("s/1", "born while it hangs", {}, "s")
        writer.log_params("s/1", {"plan": {"alpha": 0.5}})
        training.call("log_artifact_text", "dev/scores.json", "{}\n")
        time.sleep(max(0.0, 2.5 - training.wall))  # a request has run out of time and is repeated
        assert writer.stats().store_is_down
        assert writer.stats().num_pending > 0
    finally:
        server.go_on()
    training.run(STEPS // 6)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    assert writer.flush(60)

    server.terminate()
    try:
        training.run(STEPS // 6)
        writer.finish_run("s/1", "finished")
        assert not writer.flush(0.1)
    finally:
        server.start()
    training.run(STEPS // 6)
    writer.finish_run("s/0", "finished")
    assert writer.flush(60)

    assert training.step == STEPS
    in_calls = len(training.calls) * statistics.median(training.calls)  # other work on the machine holds single ones up
    assert in_calls < SHARE * training.wall, f"{in_calls:.4f} s of {training.wall:.2f} s"
    assert max(training.calls) < TIMEOUT_S / 2
    assert writer.stats().num_dropped == 0
    client = writer._store.client
    run_ids = {key: writer.run_id(key) for key in ("s", "s/0", "s/1")}
    for name, value in (("train/loss", lambda step: 1.0 / step), ("dev/pool_map", lambda step: 0.5)):
        history = client.get_metric_history(run_ids["s/0"], name)
        assert [(point.step, point.value) for point in history] == [(s, value(s)) for s in range(1, STEPS + 1)]
        times = [point.timestamp for point in history]
        assert times == sorted(times)  # of the steps, not of their arrival
    assert [item.path for item in client.list_artifacts(run_ids["s/0"], "dev")] == ["dev/scores.json"]
    late = client.get_run(run_ids["s/1"])
    assert (late.data.params, late.info.status) == ({"plan.alpha": "0.5"}, "FINISHED")
    everything = client.search_runs([late.info.experiment_id])
    assert sorted(run.info.run_id for run in everything) == sorted(run_ids.values())  # none twice
    assert writer.close(10)
    print(f"in calls {sum(training.calls):.4f} s of {training.wall:.2f} s, slowest {max(training.calls):.4f} s")
