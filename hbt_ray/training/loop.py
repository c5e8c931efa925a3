"""The training loop of one worker: steps, curves, evaluations and checkpoints. Knows nothing of Ray or MLflow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from hbt_ray.batches.slices import Slice
from hbt_ray.config import Recipe
from hbt_ray.corpus.manifest import Corpus
from hbt_ray.errors import HbtError
from hbt_ray.evaluation.score import Scores
from hbt_ray.model.dropout import use_fast_dropout
from hbt_ray.model.encoder import Encoder
from hbt_ray.model.gather import world
from hbt_ray.model.loss import ContrastiveLoss
from hbt_ray.model.precision import resolve_precision
from hbt_ray.training.batch import Batch, collate
from hbt_ray.training.chunking import Chunking, choose_chunking
from hbt_ray.training.feed import Feed
from hbt_ray.training.meter import Meter
from hbt_ray.training.optim import make_optimizer, make_scheduler
from hbt_ray.training.scoring import ScoredSet, dev_set, score_set, text_set
from hbt_ray.training.state import RunState, load_checkpoint, save_checkpoint
from hbt_ray.training.step import ContrastiveStep, StepSeed

Save = Callable[[Path], None]


@dataclass(frozen=True)
class Hooks:
    """What the loop tells the outside; every rank calls `checkpoint`, only rank 0 the others."""

    curve: Callable[[int, Mapping[str, float]], None]
    """(step, metrics): a point of the training curves."""
    scores: Callable[[int, Scores], None]
    """(step, scores): a set was scored."""
    checkpoint: Callable[[int, dict[str, float], Save], None]
    """(step, metrics, save): a checkpoint is due; `save(directory)` writes it, on rank 0."""


def load_encoder(recipe: Recipe, base: str) -> Encoder:
    """The encoder that the recipe asks for, with untrained weights; ConfigError where the model has no such form."""
    model, corpus = recipe.model, recipe.corpus
    return Encoder.load(
        base,
        pooling=model.pooling,
        query_prefix=corpus.query_prefix,
        passage_prefix=corpus.passage_prefix,
        max_query_tokens=corpus.max_query_tokens,
        max_passage_tokens=corpus.max_passage_tokens,
        attn_implementation=model.attention,
        gradient_checkpointing=model.gradient_checkpointing,
        trust_remote_code=model.trust_remote_code,
    )


def make_loss(recipe: Recipe) -> ContrastiveLoss:
    """The loss that the recipe asks for; ConfigError where its temperature cannot be learned."""
    model = recipe.model
    return ContrastiveLoss(
        temperature=model.temperature, learned_temperature=model.learn_temperature, symmetric=model.symmetric
    )


class TrainLoop:
    """One worker's share of a run. `step` is how many steps are done."""

    def __init__(
        self,
        recipe: Recipe,
        *,
        corpus: Corpus,
        base: str,
        digest: str,
        device: torch.device,
        workers_on_node: int = 1,
        chunking: Chunking | None = None,
    ) -> None:
        """
        Args:
            recipe: the experiment.
            corpus: prepared with the tokenizer of `base`.
            base: model directory or name.
            digest: identifies the run (`state.run_digest`); checkpoints of another are refused.
            device: of this worker.
            workers_on_node: workers, those of other trials too, that share the node's memory.
            chunking: of the run that goes on; None decides it, on rank 0 for all.
        """
        self.recipe, self.corpus, self.device, self.digest = recipe, corpus, device, digest
        self.rank, self.world_size = world()
        self.step = 0
        self.metrics: dict[str, float] = {}
        torch.manual_seed(recipe.train.seed)  # a head that the base does not have would be drawn here
        encoder = load_encoder(recipe, base).to(device)
        if device.type == "cpu":
            use_fast_dropout(encoder)
        self.precision = resolve_precision(device, recipe.train.precision)
        self.chunking = chunking or self._choose_chunking(encoder, workers_on_node)
        self.module = ContrastiveStep(encoder, make_loss(recipe), kept_tokens=self.chunking.kept_tokens).to(device)
        self.optimizer = make_optimizer(self.module, recipe.train)
        self.scheduler = make_scheduler(self.optimizer, recipe.train)
        self._parallel: nn.Module = self.module
        if self.world_size > 1:
            self._parallel = DistributedDataParallel(self.module, broadcast_buffers=False, gradient_as_bucket_view=True)
        self._sets: list[ScoredSet] | None = None
        self._lr = 0.0

    def _choose_chunking(self, encoder: Encoder, workers_on_node: int) -> Chunking:
        """As rank 0 decides, so that a run goes on with one answer wherever its workers are."""
        chosen: list[Chunking | None] = [None]
        if self.rank == 0:
            chosen[0] = choose_chunking(
                self.recipe.train,
                encoder,
                self.device,
                precision=self.precision.name,
                workers_on_node=workers_on_node,
            )
        if self.world_size > 1:
            dist.broadcast_object_list(chosen, src=0)
        assert chosen[0] is not None
        return chosen[0]

    def restore(self, directory: Path) -> None:
        """Go on from a checkpoint."""
        state = load_checkpoint(directory, self.module, self.optimizer, self.scheduler, digest=self.digest)
        self.step, self.metrics = state.step, state.metrics

    def run(self, slices: Iterator[Slice], hooks: Hooks) -> dict[str, float]:
        """Train on `slices`, which begin at `step`, to the end; returns the metrics of the last evaluation."""
        train = self.recipe.train
        pad_id = int(self.module.encoder.tokenizer.pad_token_id)
        pin = self.device.type == "cuda"
        chunking = self.chunking
        collating = partial(collate, pad_id=pad_id, token_budget=chunking.token_budget, packed=chunking.packed, pin=pin)

        def make(part: Slice) -> Batch:
            if pin:  # the device is a property of the thread, and pinning would open a context on device 0
                torch.cuda.set_device(self.device)
            return collating(part)

        meter = Meter(self.device)
        with Feed(slices, make) as feed:
            for batch in feed:
                assert batch.step == self.step
                self._train_step(batch, meter)
                last = self.step == train.steps
                scoring = last or self._due(train.eval_every)
                if scoring or self.step % train.log_every == 0:
                    self._report_curve(meter, feed.wait_s, hooks)
                if scoring:
                    self.evaluate(hooks, final=last)
                    self._checkpoint(hooks)
                    meter.reset(feed.wait_s)
                elif self._due(train.checkpoint_every):
                    self._checkpoint(hooks)
        if self.step != train.steps:
            raise HbtError(f"the batches ended at step {self.step} of {train.steps}")
        return self.metrics

    def evaluate(self, hooks: Hooks, *, final: bool) -> None:
        """Score the dev items, and at the end the sets of the recipe; fills `metrics` on rank 0."""
        config = self.recipe.evaluation
        dev = dev_set(self.corpus, config) if self._sets is None else None
        if self._sets is None:
            self._sets = [dev] if dev is not None else []
        sets = list(self._sets)
        if final:
            sets += [text_set(name, self.module.encoder) for name in config.sets]
        self.metrics = {}
        for scored in sets:
            scores = score_set(
                self.module.encoder, scored, token_budget=config.token_budget, precision=config.precision
            )
            if scores is not None:
                self.metrics.update({f"{scores.name}/{key}": value for key, value in scores.headline().items()})
                hooks.scores(self.step, scores)

    def _report_curve(self, meter: Meter, wait_s: float, hooks: Hooks) -> None:
        point = meter.point(wait_s)
        point["train/lr"] = self._lr
        point["train/temperature"] = float(self.module.loss.temperature())
        if self.rank == 0:
            hooks.curve(self.step, point)

    def _train_step(self, batch: Batch, meter: Meter) -> None:
        train = self.recipe.train
        self._parallel.train()
        batch = batch.to(self.device)
        self._lr = float(self.optimizer.param_groups[0]["lr"])
        seed = StepSeed(train.seed, self.step, self.rank)
        last, _, stats = self._parallel(batch, seed, self.precision.name)
        last.backward()
        limit = train.clip or float("inf")
        norm = torch.nn.utils.clip_grad_norm_(self.module.parameters(), limit)
        self.optimizer.step()
        self.scheduler.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        meter.add(batch, stats, norm)

    def _checkpoint(self, hooks: Hooks) -> None:
        scored = self.recipe.digest("evaluation")
        state = RunState(
            step=self.step,
            seed=self.recipe.train.seed,
            digest=self.digest,
            world_size=self.world_size,
            metrics=self.metrics,
            scored=scored,
            threads=torch.get_num_threads() if self.device.type == "cpu" else 0,
            chunking=vars(self.chunking),
        )
        hooks.checkpoint(
            self.step,
            self.metrics,
            lambda directory: save_checkpoint(directory, self.module, self.optimizer, self.scheduler, state),
        )

    def _due(self, every: int) -> bool:
        return every > 0 and self.step % every == 0
