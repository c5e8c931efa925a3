"""A directory that is too long for Ray's sockets is named."""

import pytest

from hbt_ray.cluster.connect import join
from hbt_ray.errors import ClusterError


@pytest.mark.parametrize("name", ["RAY_TMPDIR", "TMPDIR"])
def test_a_directory_that_is_too_long_is_named(monkeypatch, name):
    import ray

    def fail(**settings):
        raise OSError("validate_socket_filename failed: AF_UNIX path length cannot exceed 107 bytes: /long/x")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", fail)
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setenv(name, "/long")
    with pytest.raises(ClusterError, match=rf"^{name}=/long: .* too long .* RAY_TMPDIR"):
        join(1)
