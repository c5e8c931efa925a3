"""Whether trials and workers fit on the cluster, checked before anything starts."""

from __future__ import annotations

import math
import os
import secrets
import warnings
from pathlib import Path

from hbt_ray.config import ResourceConfig
from hbt_ray.errors import ClusterError, one_line

DRIVER_RESOURCE = "hbt_driver"
"""Custom resource of nodes that may run the drivers of trials of several workers (the head); a cluster without it uses
a sliver of CPU."""
DRIVER_CPU = 0.001


def local_cpus(resources: ResourceConfig) -> int:
    """CPUs that a cluster on this machine declares: its cores, or what one trial needs where that is more."""
    return max(os.cpu_count() or 1, math.ceil(_cpus_of_trial(resources)))


def check_capacity(resources: ResourceConfig, *, stops_early: bool = False) -> int:
    """How many trials fit at once, by CPUs, GPUs and driver slots.

    A trial's workers hold their CPUs while Ray Data's tasks wait for theirs: where both do not fit, training
    would wait for ever and say nothing. So this is checked before anything starts.

    Args:
        resources: of a trial.
        stops_early: whether trials may be stopped before their end.

    Raises:
        ClusterError: not even one fits, or trials of several workers may be stopped early and the State API, by
            which Ray Train then gives their CPUs back, does not answer.
    """

    have = reachable_resources()
    if have.get("GPU", 0) and not resources.use_gpu:
        warnings.warn("the cluster has GPUs and resources.use_gpu is false: training on CPUs", stacklevel=2)
    slots = DRIVER_RESOURCE in have and not resources.alone  # a trial of one worker has no driver beside it
    need_cpu = _cpus_of_trial(resources) + (0 if slots or resources.alone else DRIVER_CPU)
    fits = {"CPU": have.get("CPU", 0.0) / need_cpu}
    if resources.use_gpu:
        fits["GPU"] = have.get("GPU", 0.0) / resources.num_workers
    if slots:
        fits[DRIVER_RESOURCE] = have[DRIVER_RESOURCE]
    scarce = min(fits, key=lambda name: fits[name])
    if fits[scarce] < 1:
        need = {"CPU": need_cpu, "GPU": float(resources.num_workers), DRIVER_RESOURCE: 1.0}[scarce]
        detail = (
            f" (resources.num_workers={resources.num_workers} x cpus_per_worker={resources.cpus_per_worker} + "
            f"cpus_per_data_task={resources.cpus_per_data_task})"
        )
        raise ClusterError(
            f"one trial needs {need:g} {scarce}{detail if scarce == 'CPU' else ''}, the cluster has "
            f"{have.get(scarce, 0):g}: add nodes, or lower resources.*"
        )
    if stops_early and not resources.alone:
        _check_state_api()
    return int(min(fits.values()))


def reachable_resources() -> dict[str, float]:
    """Resources of the cluster, or those it can grow to where an autoscaler says so: spot nodes start on demand."""
    import ray
    from ray._private.state import state

    have = dict(ray.cluster_resources())
    try:
        limit = state.get_max_resources_from_cluster_config() or {}
    except (AttributeError, RuntimeError):  # not a public call of Ray: without it, what is there counts
        limit = {}
    return have | {name: max(float(value), have.get(name, 0.0)) for name, value in limit.items()}


def takes_gpu(use_gpu: bool | None) -> bool:
    """Whether an actor or a task has a GPU; None: where the cluster has GPUs."""
    return bool(reachable_resources().get("GPU")) if use_gpu is None else use_gpu


def num_places(what: str, num_cpus: float, num_gpus: float = 0) -> int:
    """How many workers of this size fit on the nodes, with those that an autoscaler may add; at least 1.

    Raises:
        ClusterError: not one fits; Ray would wait for ever for a node that will not come.
    """
    import ray

    need = {name: amount for name, amount in (("CPU", num_cpus), ("GPU", num_gpus)) if amount}
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    fits = sum(min(int(node.get(name, 0) / amount) for name, amount in need.items()) for node in nodes)
    have, reach = ray.cluster_resources(), reachable_resources()
    if any(reach.get(name, 0) > have.get(name, 0) for name in need):
        fits = max(fits, min(int(reach.get(name, 0) / amount) for name, amount in need.items()))
    if fits:
        return fits
    asked = " and ".join(f"{amount:g} {name}" for name, amount in need.items())
    largest = ", ".join(f"{max((node.get(name, 0) for node in nodes), default=0):g} {name}" for name in need)
    raise ClusterError(
        f"{what} needs {asked} on one node for each worker; the most that a node has is {largest}: "
        "add larger nodes, or ask for less"
    )


def check_shared(workspace: str) -> None:
    """ClusterError where there are several nodes and `workspace` is a directory that one of them does not see."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    nodes = [node for node in ray.nodes() if node["Alive"]]
    if "://" in workspace or len(nodes) < 2:
        return
    token = Path(workspace) / f".seen-{secrets.token_hex(4)}"
    token.parent.mkdir(parents=True, exist_ok=True)
    token.touch()
    look = ray.remote(num_cpus=0)(os.path.exists)
    try:
        seen = {
            node["NodeManagerAddress"]: look.options(
                scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            ).remote(str(token))
            for node in nodes
        }
        blind = [address for address, answer in seen.items() if not ray.get(answer)]
    finally:
        token.unlink()
    if blind:
        raise ClusterError(
            f"workspace={workspace!r} is not the same directory on every node (not on {', '.join(blind)}): set "
            "workspace to a directory that all nodes share, or to a URL such as s3://bucket/hbt"
        )


def driver_resources() -> dict[str, float]:
    """Resources for the driver of a trial of several workers: a slot where nodes declare them, else a sliver of CPU."""
    import ray

    return {DRIVER_RESOURCE: 1} if DRIVER_RESOURCE in ray.cluster_resources() else {"CPU": DRIVER_CPU}


def _cpus_of_trial(resources: ResourceConfig) -> float:
    return resources.num_workers * resources.cpus_per_worker + resources.cpus_per_data_task


def _check_state_api() -> None:
    from ray.util.state import list_actors

    try:
        list_actors(limit=1, timeout=20)
    except Exception as error:  # Ray raises many kinds here
        text = one_line(error)
        mend = "install ray[default] and start the head with its dashboard"
        if "multiple active Ray" in text:
            mend = "let the other Ray on this machine end, or start one head (ray start --head) and set RAY_ADDRESS"
        raise ClusterError(
            f"Ray's State API does not answer, so an early-stopped trial would keep its CPUs: {mend} ({text[:120]})"
        ) from None
