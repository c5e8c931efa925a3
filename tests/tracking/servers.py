"""A real MLflow server that can be hung, ended and started again."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

from tests.mlflow_store import fresh_store

LIFE_S = 1800  # `timeout` ends a server that a killed test run could not stop; it serves the tests of a whole run


class Server:
    """`mlflow server` on loopback with its store in a directory, so that a restart finds the same runs."""

    def __init__(self, directory, life_s=LIFE_S):
        self.directory, self.life_s = directory, life_s
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self.process = None

    def start(self):
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--workers", "1", "--backend-store-uri", fresh_store(self.directory, "server.db")]
        command += ["--artifacts-destination", str(self.directory / "artifacts")]
        with open(self.directory / "server.log", "ab") as log:
            self.process = subprocess.Popen(
                ["timeout", str(self.life_s), *command],
                env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + 240  # 5 s on an idle machine, a minute or two on one that is very busy
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"{self.uri}/health", timeout=1).close()
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
            else:
                return
        raise RuntimeError((self.directory / "server.log").read_text()[-2000:])

    def pause(self):
        """Takes connections, as its socket is open, and answers none."""
        os.killpg(self.process.pid, signal.SIGSTOP)

    def go_on(self):
        os.killpg(self.process.pid, signal.SIGCONT)

    def terminate(self):
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(timeout=30)
        self.process = None

    def stop(self):
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None
