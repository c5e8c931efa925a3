"""Time of a step of the same global batch on one worker and on several that share the cores, over gloo."""

import os
import statistics
import tempfile
import time
from pathlib import Path

import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import spawn

from benchmarks.pairs import Pairs
from benchmarks.steps import our_stepper


def step_seconds(world_size: int, base: str, pairs: Pairs, size: int, precision: str, num_steps: int) -> float:
    """Median seconds of a step on some workers, with the machine's cores shared among them."""
    threads = max(1, (os.cpu_count() or 1) // world_size)
    with tempfile.TemporaryDirectory() as directory:
        args = (Path(directory), world_size, threads, base, pairs, size, precision, num_steps)
        spawn(_work, args=args, nprocs=world_size)  # type: ignore[no-untyped-call]
        return statistics.median(map(float, (Path(directory) / "seconds").read_text().split()))


def _work(
    rank: int,
    directory: Path,
    world_size: int,
    threads: int,
    base: str,
    pairs: Pairs,
    size: int,
    precision: str,
    num_steps: int,
) -> None:
    torch.set_num_threads(threads)
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    dist.init_process_group("gloo", init_method=f"file://{directory}/store", rank=rank, world_size=world_size)
    try:
        stepper = our_stepper(base, size, precision, "cpu", token_budget=2048)
        seconds = []
        for number in range(num_steps + 1):
            stepper.step = number
            batch = stepper.collate(pairs.slice(number, size, rank, world_size))
            dist.barrier()
            begin = time.perf_counter()
            stepper.train_step(batch)
            seconds.append(time.perf_counter() - begin)
        if rank == 0:
            (directory / "seconds").write_text(" ".join(map(str, seconds[1:])))
        dist.barrier()  # gloo aborts if a peer leaves first
    finally:
        dist.destroy_process_group()
