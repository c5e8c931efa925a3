"""Pairs a second of the same global batch on one worker and on several that share the cores, over gloo."""

import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import spawn

from benchmarks.pairs import Pairs
from benchmarks.steps import our_stepper
from hbt_ray.batches.slices import Slice


def worker_speeds(base: str, pairs: Pairs, size: int, precision: str, num_steps: int) -> dict[str, Any]:
    """Median seconds of a step on 1 and on 2 workers with the machine's cores shared out among them."""
    cores = os.cpu_count() or 1
    out: dict[str, Any] = {"batch_size": size, "num_cpus": cores}
    for world_size in (1, 2):
        with tempfile.TemporaryDirectory() as directory:
            args = (Path(directory), world_size, base, pairs, size, precision, num_steps, max(1, cores // world_size))
            spawn(_work, args=args, nprocs=world_size)  # type: ignore[no-untyped-call]
            seconds = [float(line) for line in (Path(directory) / "seconds").read_text().split()]
        out[f"{world_size} workers"] = {
            "median_s": statistics.median(seconds),
            "pairs_per_s": size / statistics.median(seconds),
        }
    return out


def _work(
    rank: int,
    directory: Path,
    world_size: int,
    base: str,
    pairs: Pairs,
    size: int,
    precision: str,
    num_steps: int,
    threads: int,
) -> None:
    torch.set_num_threads(threads)
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    dist.init_process_group("gloo", init_method=f"file://{directory}/store", rank=rank, world_size=world_size)
    try:
        stepper = our_stepper(base, size, precision, "cpu", token_budget=2048)
        seconds = []
        for number in range(num_steps + 1):
            stepper.step = number
            batch = stepper.collate(share_of(pairs.slice(number, size), rank, world_size))
            dist.barrier()
            begin = time.perf_counter()
            stepper.train_step(batch)
            seconds.append(time.perf_counter() - begin)
        if rank == 0:
            (directory / "seconds").write_text(" ".join(map(str, seconds[1:])))
        dist.barrier()  # gloo aborts if a peer leaves first
    finally:
        dist.destroy_process_group()


def share_of(part: Slice, rank: int, world_size: int) -> Slice:
    """The rows of a global batch that a rank trains on."""
    n = len(part) // world_size
    rows = slice(rank * n, (rank + 1) * n)
    texts: dict[str, Any] = {}
    for role in ("query", "passage"):
        lengths, values = getattr(part, f"{role}_lengths"), getattr(part, f"{role}_values")
        start, stop = int(lengths[: rows.start].sum()), int(lengths[: rows.stop].sum())
        texts |= {f"{role}_lengths": lengths[rows], f"{role}_values": values[start:stop]}
    names = ("items", "weights", "query_langs", "passage_langs", "passage_hashes")
    rest: dict[str, Any] = {name: getattr(part, name)[rows] for name in names}
    return Slice(step=part.step, rank=rank, monolingual=part.monolingual, **texts, **rest)
