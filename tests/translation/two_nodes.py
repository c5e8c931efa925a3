"""Translates on two nodes beside a head, of which that with a translator is killed: python two_nodes.py RECIPE ROOT."""

import os
import sys
import threading
import time
from pathlib import Path

import psutil
import ray
from ray.cluster_utils import Cluster

from jobs import translate

WAIT_S = 240


def main(recipe, root):
    os.environ.pop("RAY_ADDRESS", None)
    here = {"node_ip_address": "127.0.0.1"}
    cluster = Cluster(initialize_head=True, head_node_args={**here, "num_cpus": 0, "resources": {"hbt_driver": 4}})
    nodes = [cluster.add_node(**here, num_cpus=1) for _ in range(2)]
    os.environ["RAY_ADDRESS"] = cluster.address
    killer = threading.Thread(target=kill, args=(cluster, nodes, Path(root)), daemon=True)
    killer.start()
    try:
        status = translate.main(["--recipe", recipe])
    finally:
        ray.shutdown()
        cluster.shutdown()
    killer.join(timeout=1)
    return status


def kill(cluster, nodes, root):
    """Kill a node on which a translator runs, once it has written a shard."""
    deadline = time.monotonic() + WAIT_S
    while not list(root.glob("*/_de/*.parquet")) and time.monotonic() < deadline:
        time.sleep(0.005)
    node = next(node for node in nodes if has_translator(node))
    cluster.remove_node(node, allow_graceful=False)
    print(f"killed a node after {len(list(root.glob('*/_de/*.parquet')))} shards", flush=True)


def has_translator(node):
    """Whether a worker of the node is one; Ray names processes after what they run."""
    raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
    return any("ShardTranslator" in " ".join(process.cmdline()) for process in raylet.children(recursive=True))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
