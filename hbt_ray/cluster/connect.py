"""Connecting to Ray: joining a running cluster or starting one on this machine, with checks before anything starts."""

from __future__ import annotations

import os
import socket
import warnings
from pathlib import Path
from typing import Any

from hbt_ray.cluster.capacity import DRIVER_RESOURCE, check_capacity, local_cpus
from hbt_ray.config import Recipe
from hbt_ray.errors import ClusterError, one_line

JOB_DIRECTORY = "runtime_resources"
CONNECT_S = 5.0
"""That a head has to take a connection."""


def connect(recipe: Recipe, *, log_to_driver: bool = False) -> None:
    """`join`, and check that the cluster has what the recipe needs.

    Raises:
        ClusterError: the cluster cannot be reached, or lacks what the recipe needs.
    """
    join(local_cpus(recipe.resources), log_to_driver=log_to_driver)
    check_capacity(recipe.resources, stops_early=recipe.tune.stops_early)


def join(num_cpus: int, *, log_to_driver: bool = False) -> None:
    """Join the running cluster (RAY_ADDRESS, or a submitted job), or start one of `num_cpus` on this machine alone.

    Raises:
        ClusterError: the cluster cannot be reached.
    """
    warnings.filterwarnings("ignore", category=FutureWarning, module="ray")
    joins = names_cluster()
    if not joins:  # a cluster of one machine listens on the loopback only; read when Ray is imported
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")  # a process a trial; no node is taken away
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")  # Tune's own tables; the study says how trials go
    import ray

    if ray.is_initialized():
        return
    settings: dict[str, Any] = {"log_to_driver": log_to_driver, "logging_level": "ERROR"}
    try:
        if joins:
            check_reachable(os.environ["RAY_ADDRESS"])
            ray.init(**settings)
        else:
            # Early-stopped trials of several workers give their CPUs back through the State API of the dashboard.
            ray.init(
                address="local",  # not some other cluster of this machine, which would refuse these settings
                num_cpus=num_cpus,
                resources={DRIVER_RESOURCE: 64},
                include_dashboard=True,
                dashboard_host="127.0.0.1",
                _node_ip_address="127.0.0.1",
                _system_config={"worker_maximum_startup_concurrency": 16},  # else it warns of every ten processes
                **settings,
            )
    except ClusterError:
        raise
    except Exception as error:  # Ray raises many kinds here
        raise _connection_error(error) from None


def names_cluster() -> bool:
    """Whether RAY_ADDRESS names a cluster to join."""
    return os.environ.get("RAY_ADDRESS", "") not in ("", "local")


def check_reachable(address: str, timeout_s: float = CONNECT_S) -> None:
    """ClusterError where nothing listens at `address` (`host:port`, `ray://host:port`, or `auto`: the head that was
    started here last); Ray itself would wait for minutes. What is no such address is left to Ray's own message."""
    target = address.removeprefix("ray://")
    if address == "auto":
        from ray._private.services import canonicalize_bootstrap_address

        target = canonicalize_bootstrap_address(address) or ""
    host, _, port = target.rpartition(":")
    if "/" in target or not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout_s).close()
    except (OSError, OverflowError) as error:
        where = f"RAY_ADDRESS={address}" + (f", which is {target}," if address == "auto" else "")
        raise ClusterError(
            f"no Ray head answers at {where} ({error}; limit {timeout_s:g} s): start it, correct the address, or "
            "unset RAY_ADDRESS to compute on this machine alone"
        ) from None


def resolve_workspace(workspace: str) -> str:
    """`workspace` as an absolute path or URL; under `ray job submit` not inside the job's working copy."""
    if "://" in workspace:
        return workspace.rstrip("/")
    path = Path(workspace).expanduser()
    if not path.is_absolute() and JOB_DIRECTORY in Path.cwd().parts:
        path = Path.home() / "hbt_ray" / path  # the working copy of a submitted job is deleted
    return str(path.absolute())


def _connection_error(error: Exception) -> ClusterError:
    text = one_line(error)
    if "AF_UNIX" in text:
        name = next((name for name in ("RAY_TMPDIR", "TMPDIR") if name in os.environ), "RAY_TMPDIR")
        return ClusterError(
            f"{name}={os.environ.get(name, '')}: the directory is too long for Ray's sockets, whose paths may have 107 "
            f"bytes, of which Ray takes about 60; set RAY_TMPDIR to a short directory, such as /tmp ({text[:80]})"
        )
    address = os.environ.get("RAY_ADDRESS", "this machine")
    if "uthenticat" in text or "token" in text:
        return ClusterError(
            f"Ray at {address} refuses the connection: set RAY_AUTH_MODE=token here too and use the head's token "
            f"(ray get-auth-token) ({text[:160]})"
        )
    return ClusterError(f"Ray at {address} cannot be joined: is it running, and RAY_ADDRESS right? ({text[:160]})")
