"""A head that is not there is told in seconds; Ray alone would wait for minutes."""

import socket
import time

import pytest

from hbt_ray.cluster.connect import check_reachable, join, names_cluster
from hbt_ray.errors import ClusterError


@pytest.fixture
def closed_port():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return unused.getsockname()[1]


@pytest.mark.parametrize("prefix", ["", "ray://"])
def test_a_dead_head(closed_port, prefix, monkeypatch):
    ray = pytest.importorskip("ray")
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setenv("RAY_ADDRESS", f"{prefix}127.0.0.1:{closed_port}")
    start = time.monotonic()
    with pytest.raises(ClusterError, match=rf"no Ray head answers at RAY_ADDRESS={prefix}127.0.0.1:{closed_port} "):
        join(1)
    assert time.monotonic() - start < 5


def test_a_head_that_was_here(closed_port, monkeypatch):
    monkeypatch.setattr(
        "ray._private.services.canonicalize_bootstrap_address", lambda address: f"127.0.0.1:{closed_port}"
    )
    with pytest.raises(ClusterError, match=rf"RAY_ADDRESS=auto, which is 127.0.0.1:{closed_port}, "):
        check_reachable("auto")
    monkeypatch.setattr("ray._private.services.canonicalize_bootstrap_address", lambda address: None)
    check_reachable("auto")  # Ray says that it finds none


def test_what_listens_is_left_to_ray():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        check_reachable(f"127.0.0.1:{server.getsockname()[1]}")
    check_reachable("http://127.0.0.1:1")
    check_reachable("no port")


def test_what_names_a_cluster(monkeypatch):
    for value, names in (("", False), ("local", False), ("auto", True), ("head:6379", True)):
        monkeypatch.setenv("RAY_ADDRESS", value)
        assert names_cluster() is names
    monkeypatch.delenv("RAY_ADDRESS")
    assert not names_cluster()
