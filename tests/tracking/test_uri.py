"""Which store is used, what the preflight says of a bad one, and that the UI command shows the records."""

import http.server
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from hbt_ray.errors import ClusterError
from hbt_ray.tracking.runs import RunStore
from hbt_ray.tracking.uri import (
    artifact_location,
    check_tracking,
    free_port,
    resolve_tracking_uri,
    sqlite_path,
    ui_command,
)


def test_recipe_then_environment_then_local_file(monkeypatch, tmp_path):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking:5000")
    assert resolve_tracking_uri("http://recipe:5000", tmp_path) == "http://recipe:5000"
    assert resolve_tracking_uri("", tmp_path) == "http://tracking:5000"
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    monkeypatch.chdir(tmp_path)
    uri = resolve_tracking_uri("", Path("out"))
    assert uri == f"sqlite:///{tmp_path}/out/mlflow.db"
    assert sqlite_path(uri) == tmp_path / "out" / "mlflow.db"
    assert artifact_location(uri) == f"file://{tmp_path}/out/mlartifacts"
    assert artifact_location("http://tracking:5000") is None


@pytest.mark.parametrize("uri", ["./mlruns", "file:///data/mlruns", "mlruns"])
def test_plain_file_store_is_refused_in_one_line(uri):
    with pytest.raises(ClusterError, match="maintenance mode") as caught:
        check_tracking(uri)
    assert "\n" not in str(caught.value)
    assert "sqlite:////" in str(caught.value)


@pytest.mark.parametrize("uri", ["s3://bucket/mlflow", "htp://host:5000", "redis://localhost", "postgres://h/db"])
def test_a_store_that_mlflow_does_not_have_is_refused(uri):
    with pytest.raises(ClusterError, match=rf"MLflow has no store '{uri.partition(':')[0]}'; it has databricks, http,"):
        check_tracking(uri)


def test_a_database_needs_its_driver(monkeypatch):
    monkeypatch.setitem(sys.modules, "pymysql", None)  # as where it is not installed
    with pytest.raises(
        ClusterError, match=r"user:\*\*\*@host/db': the database's driver is missing \(.*pymysql"
    ) as told:
        check_tracking("mysql+pymysql://user:secret@host/db")
    assert "secret" not in str(told.value)
    with pytest.raises(ClusterError, match="no address of a database"):
        check_tracking("mysql:/nowhere")


def test_sqlite_needs_a_directory_that_can_be_made(tmp_path):
    check_tracking(f"sqlite:///{tmp_path}/new/mlflow.db")
    (tmp_path / "file").write_text("")
    with pytest.raises(ClusterError, match="cannot be written"):
        check_tracking(f"sqlite:///{tmp_path}/file/mlflow.db")


def test_server_that_is_down():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
    start = time.monotonic()
    with pytest.raises(ClusterError, match=r"no answer \(Connection refused; limit 5 s\)") as caught:
        check_tracking(address)
    assert "\n" not in str(caught.value)
    assert time.monotonic() - start < 5


def test_server_that_never_answers_costs_the_timeout_and_no_more():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        start = time.monotonic()
        with pytest.raises(ClusterError, match=r"no answer \(.*timed out; limit 0.5 s\)"):
            check_tracking(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.5)
        assert time.monotonic() - start < 2


@pytest.mark.parametrize(("status", "advice"), [(401, "MLFLOW_TRACKING_TOKEN"), (404, "tracking server listens")])
def test_other_answers_say_what_to_do(status, advice):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_error(status)

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as fake:
        threading.Thread(target=fake.serve_forever, daemon=True).start()
        with pytest.raises(ClusterError, match=advice):
            check_tracking(f"http://127.0.0.1:{fake.server_address[1]}")
        fake.shutdown()


def test_real_server_answers_and_refuses_an_unlisted_host_name(server, monkeypatch):
    check_tracking(server.uri)
    resolve = socket.getaddrinfo

    def to_loopback(host, *rest, **named):
        return resolve("127.0.0.1" if host == "tracking.internal" else host, *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", to_loopback)
    with pytest.raises(ClusterError, match=f"--allowed-hosts` naming 'tracking.internal:{server.port}'"):
        check_tracking(f"http://tracking.internal:{server.port}")


@pytest.mark.slow
def test_the_ui_command_shows_runs_metrics_and_artifacts(tmp_path):
    uri = resolve_tracking_uri(f"sqlite:///{tmp_path}/a study/mlflow.db", tmp_path)
    store = RunStore(uri, "x")
    run_id = store.get_or_create("k", "shown in the UI", {})
    store.log_metrics(run_id, [{"step": 1, "time_ms": 1, "values": {"loss": 0.25}}])
    store.log_bytes(run_id, "config/resolved.yaml", b"alpha: 0.5\n")
    command = ui_command(uri, "/#/page").replace(sys.executable, f"timeout 60 {sys.executable}", 1)
    assert command.endswith("/#/page")
    port = re.search(r"--port (\d+)", command)[1]
    with open(tmp_path / "log", "wb") as log:
        ui = subprocess.Popen(command, shell=True, start_new_session=True, stdout=log, stderr=log)
    try:
        page = _get(f"http://127.0.0.1:{port}/", patience_s=60)
        assert b"MLflow" in page
        query = f"http://127.0.0.1:{port}/api/2.0/mlflow"
        shown = _get(f"{query}/runs/get?run_id={run_id}")
        assert b"shown in the UI" in shown
        assert b"0.25" in _get(f"{query}/metrics/get-history?run_id={run_id}&metric_key=loss")
        artifact = urllib.parse.urlencode({"run_id": run_id, "path": "config/resolved.yaml"})
        assert _get(f"http://127.0.0.1:{port}/get-artifact?{artifact}") == b"alpha: 0.5\n"
    finally:
        os.killpg(ui.pid, signal.SIGKILL)
        ui.wait()


def test_the_ui_of_a_server_is_its_address():
    assert ui_command("http://tracking:5000") == "http://tracking:5000"
    assert ui_command("http://me:secret@tracking:5000/", "/#/page") == "http://me:***@tracking:5000/#/page"


def test_the_port_of_the_ui_is_a_free_one(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        assert free_port(port) > port


def _get(url, patience_s=5.0):
    deadline = time.monotonic() + patience_s
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.read()
        except OSError as error:
            if isinstance(error, urllib.error.HTTPError) or time.monotonic() > deadline:
                raise
            time.sleep(0.2)
