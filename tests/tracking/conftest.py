"""Fixtures of the tracking tests: a small matrix, and a real MLflow server."""

import numpy as np
import pytest

from tests.tracking.servers import Server


@pytest.fixture
def matrix():
    return np.array([[0.9, 0.4], [np.nan, 0.8]])


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("server"))
    running.start()
    yield running
    running.stop()
