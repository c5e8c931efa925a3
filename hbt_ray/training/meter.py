"""Training curves: sums over the steps since the last point, over all workers, with one synchronisation a point."""

from __future__ import annotations

import time

import torch
import torch.distributed as dist
from torch import Tensor

from hbt_ray.losses.terms import LossStats
from hbt_ray.training.batch import Batch


class Meter:
    """Adds up steps without waiting for the device; `point` gives the metrics and starts anew."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._wait_before = 0.0
        self.reset()

    def reset(self, wait_s: float = 0.0) -> None:
        """Forget what was added; `wait_s` is the feed's waiting time so far."""
        # rows: X-X, X-Y; columns: loss sum, correct, pairs
        self._sums = torch.zeros(2, 3, device=self._device)
        self._masked = torch.zeros(2, device=self._device)  # negatives masked, and false ones left
        self._tokens, self._padded = 0, 0
        self._grad_norm = torch.zeros((), device=self._device)
        self._steps, self._mono_steps = 0, 0
        self._wait_before = wait_s
        self._begin = time.perf_counter()

    def add(self, batch: Batch, stats: LossStats, grad_norm: Tensor) -> None:
        """One step of this worker."""
        kind = 0 if batch.monolingual else 1
        self._sums[kind] += torch.stack(
            [
                stats.row_loss.sum(),
                stats.row_correct.sum().float(),
                torch.full_like(self._grad_norm, len(batch)),
            ]
        )
        self._masked += torch.stack([stats.num_masked, stats.num_false])
        self._tokens += batch.num_tokens
        self._padded += batch.num_padded
        self._grad_norm = torch.maximum(self._grad_norm, grad_norm.detach())
        self._steps += 1
        self._mono_steps += batch.monolingual

    def point(self, wait_s: float) -> dict[str, float]:
        """Means since the last point over all workers (loss, accuracy by step type), and speed.

        Args:
            wait_s: seconds this worker has waited for data since the run began.
        """
        counts = torch.tensor([self._tokens, self._padded], dtype=torch.float64, device=self._device)
        sums = torch.cat([self._sums.flatten().double(), counts, self._masked.double()])
        if dist.is_initialized():
            dist.all_reduce(sums)
        values = sums.tolist()
        seconds = time.perf_counter() - self._begin
        by_kind = {"xx": values[0:3], "xy": values[3:6]}
        pairs = values[2] + values[5]
        out = {
            "train/loss": (values[0] + values[3]) / pairs,
            "train/accuracy": (values[1] + values[4]) / pairs,
            "train/grad_norm_max": self._grad_norm.item(),
            "train/xx_share": self._mono_steps / self._steps,
            "train/pairs_per_s": pairs / seconds,
            "train/tokens_per_s": values[6] / seconds,
            "train/padding_share": 1 - values[6] / values[7],
            "train/masked_per_query": values[8] / pairs,
            "train/false_negatives_per_step": values[9] / self._steps,
            "train/data_wait_share": (wait_s - self._wait_before) / seconds,
        }
        for kind, (loss, correct, num) in by_kind.items():
            if num:
                out[f"train/loss_{kind}"] = loss / num
                out[f"train/accuracy_{kind}"] = correct / num
        self.reset(wait_s)
        return out
