"""The precision that a cluster encodes in: its nodes may have another one than the driver's machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hbt_ray.cluster.capacity import num_places, takes_gpu
from hbt_ray.cluster.tasks import WAIT_S, remote_errors
from hbt_ray.errors import ClusterError
from hbt_ray.model.precision import Precision, resolve_precision

PROBE_S = 20.0
"""For the other nodes to answer once one has: their actors refuse to encode in another precision anyway."""


def cluster_precision(
    asked: str, num_cpus: int, *, use_gpu: bool | None = None, wait_s: float = WAIT_S, probe_s: float = PROBE_S
) -> Precision:
    """`resolve_precision` of `asked` on the nodes where actors of `ray_encode` fit; Ray must be connected.

    A vector must not depend on the node that its text came to, so where nodes differ all encode in float32, and the
    reason names them.

    Args:
        asked: auto, bf16 or fp32.
        num_cpus, use_gpu: as for `ray_encode`.
        wait_s: seconds for a first node to answer, which waits for a GPU if actors have one.
        probe_s: seconds for the others then.

    Raises:
        ClusterError: no node has room for an actor, or none answers.
        ConfigError: another name of a precision.
    """
    if asked not in ("auto", "bf16"):  # float32 is everywhere, and other names are refused
        return resolve_precision("cpu", asked)
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    gpu = takes_gpu(use_gpu)
    num_places("encoding", num_cpus, int(gpu))
    need = {"CPU": num_cpus, "GPU": int(gpu)}
    nodes = [
        node
        for node in ray.nodes()
        if node["Alive"] and all(node["Resources"].get(name, 0) >= amount for name, amount in need.items())
    ]
    probe: Any = ray.remote(num_cpus=0, num_gpus=int(gpu), max_retries=1)(resolve_precision)
    device = "cuda" if gpu else "cpu"
    if nodes:
        asked_of = {
            probe.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)).remote(
                device, asked
            ): node["NodeManagerAddress"]
            for node in nodes
        }
    else:  # they are to start yet
        asked_of = {probe.options(num_cpus=num_cpus).remote(device, asked): "the first node"}
    waiting = list(asked_of)
    first, _ = ray.wait(waiting, timeout=wait_s)
    done, late = ray.wait(waiting, num_returns=len(waiting), timeout=probe_s if first else 0)
    for task in late:
        ray.cancel(task, force=True)
    if not done:
        raise ClusterError(
            f"no node has said in {wait_s:g} s what precision it encodes in: its GPUs are taken; wait for other jobs, "
            "or encode with precision fp32"
        )
    with remote_errors("asking nodes for their precision"):
        return agree({asked_of[task]: ray.get(task) for task in done})


def agree(answers: Mapping[str, Precision]) -> Precision:
    """The precision of all nodes, from each one's (address -> precision)."""
    if len({precision.name for precision in answers.values()}) == 1:
        precision = next(iter(answers.values()))
        where = f" (on {len(answers)} nodes)" if len(answers) > 1 else ""
        return Precision(name=precision.name, reason=f"{precision.reason}{where}")
    nodes = "; ".join(f"{address}: {node.name}, {node.reason}" for address, node in answers.items())
    return Precision(name="fp32", reason=f"float32 was chosen, for the nodes differ ({nodes})")
