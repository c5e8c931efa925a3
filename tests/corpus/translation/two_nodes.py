"""Translates on a cluster of two nodes, of which one is killed in the middle of it: python two_nodes.py RECIPE ROOT."""

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
    node = {"num_cpus": 1, "node_ip_address": "127.0.0.1"}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "resources": {"hbt_driver": 4}})
    second = cluster.add_node(**node)
    os.environ["RAY_ADDRESS"] = cluster.address
    killer = threading.Thread(target=kill, args=(cluster, second, Path(root)), daemon=True)
    killer.start()
    try:
        status = translate.main(["--recipe", recipe])
    finally:
        ray.shutdown()
        cluster.shutdown()
    killer.join(timeout=1)
    return status


def kill(cluster, node, root):
    """Kill the node once a shard is there and a translator runs on it."""
    raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        workers = [" ".join(process.cmdline()) for process in raylet.children(recursive=True)]
        if any("ShardTranslator" in line for line in workers) and list(root.glob("*/_de/*.parquet")):
            cluster.remove_node(node, allow_graceful=False)
            print(f"killed a node after {len(list(root.glob('*/_de/*.parquet')))} shards", flush=True)
            return
        time.sleep(0.01)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
