"""A worker's model and optimiser, and one training step on a batch. Knows neither corpus nor evaluation."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor

from hbt_ray.batches.slices import Slice
from hbt_ray.config import Recipe
from hbt_ray.losses.contrastive import ContrastiveLoss
from hbt_ray.losses.terms import LossStats
from hbt_ray.model.compiled import compile_encoder
from hbt_ray.model.dropout import use_fast_dropout
from hbt_ray.model.encoder import Encoder
from hbt_ray.model.gather import world
from hbt_ray.model.lora import add_lora
from hbt_ray.model.precision import autocast, resolve_precision
from hbt_ray.training.batch import Batch, collate
from hbt_ray.training.chunking import Chunking, choose_chunking
from hbt_ray.training.optim import make_optimizer, make_scheduler
from hbt_ray.training.sharding import average_own, clip_gradients, share
from hbt_ray.training.step import ContrastiveStep, StepSeed


def load_encoder(recipe: Recipe, base: str) -> Encoder:
    """The encoder that the recipe asks for, with untrained weights; ConfigError where the model has no such form."""
    model, corpus = recipe.model, recipe.corpus
    encoder = Encoder.load(
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
    if model.lora_rank:
        add_lora(encoder.backbone, rank=model.lora_rank, alpha=model.lora_alpha, targets=model.lora_targets)
    return encoder


def make_loss(recipe: Recipe) -> ContrastiveLoss:
    """The loss that the recipe asks for; ConfigError for an unknown term or a temperature that cannot be learned."""
    model = recipe.model
    return ContrastiveLoss(model.losses, temperature=model.temperature, learned_temperature=model.learn_temperature)


class NotFinite(Exception):
    """The gradient of `step` is NaN or infinite; every rank raises it alike."""

    def __init__(self, step: int) -> None:
        super().__init__(f"the gradient of step {step} is not finite")
        self.step = step


class Stepper:
    """What one rank trains with.

    Attributes:
        module: encoder and loss.
        precision, chunking: what the recipe's `auto` came to.
        compiled: whether the encoder is, with `train.compile`.
        rank, world_size: of this worker.
        step: steps done, which is the number of the next one.
        lr: learning rate of the last step.
    """

    def __init__(
        self,
        recipe: Recipe,
        base: str,
        device: torch.device,
        *,
        workers_on_node: int = 1,
        chunking: Chunking | None = None,
    ) -> None:
        """
        Args:
            recipe: the experiment.
            base: model directory or name.
            device: of this worker.
            workers_on_node: workers, those of other trials too, that share the node's memory.
            chunking: of the run that goes on; None decides it, on rank 0 for all.
        """
        if str(device) == "cuda":
            device = torch.device("cuda", torch.cuda.current_device())  # threads have to be told which one it is
        self.recipe, self.device = recipe, device
        self.rank, self.world_size = world()
        self.step = 0
        self.lr = 0.0
        self._unchecked: tuple[int, Tensor] | None = None
        torch.manual_seed(recipe.train.seed)  # a head that the base does not have would be drawn here, and adapters are
        encoder = load_encoder(recipe, base).to(device)
        if device.type == "cpu":
            use_fast_dropout(encoder)
        self.precision = resolve_precision(device, recipe.train.precision)
        self.compiled = recipe.train.compile and compile_encoder(
            encoder.train(), lambda: autocast(device, self.precision.name)
        )
        self.chunking = chunking or self._choose_chunking(encoder, workers_on_node)
        self.module = ContrastiveStep(encoder, make_loss(recipe), kept_tokens=self.chunking.kept_tokens).to(device)
        self._parallel = share(self.module, recipe.resources.sharding)
        self.optimizer = make_optimizer(self.module, recipe.train)
        self.scheduler = make_scheduler(self.optimizer, recipe.train)
        self._pad_id = int(encoder.tokenizer.pad_token_id)

    @property
    def encoder(self) -> Encoder:
        """The encoder in training."""
        return self.module.encoder

    def collate(self, part: Slice) -> Batch:
        """A slice of this rank as a batch, in pinned memory for a GPU; called in a thread of its own."""
        pin = self.device.type == "cuda"
        if pin:  # the device is a property of the thread, and pinning would open a context on device 0
            torch.cuda.set_device(self.device)
        budget, packed = self.chunking.token_budget, self.chunking.packed
        return collate(part, pad_id=self._pad_id, token_budget=budget, packed=packed, pin=pin)

    def train_step(self, batch: Batch) -> tuple[LossStats, Tensor]:
        """One optimiser step; returns the loss's statistics and the norm of the gradient.

        Waits for no GPU: there the norm is looked at when the next step's forward pass is on its way (`check_finite`).

        Raises:
            NotFinite: the norm of this step (on a CPU, before the weights move) or of the step before.
        """
        train = self.recipe.train
        assert batch.step == self.step
        self._parallel.train()
        batch = batch.to(self.device)
        self.lr = float(self.optimizer.param_groups[0]["lr"])
        last, _, stats = self._parallel(batch, StepSeed(train.seed, self.step, self.rank), self.precision.name)
        self.check_finite()
        last.backward()
        average_own(self.module)
        norm = clip_gradients(self.module, train.clip or float("inf"))
        self._unchecked = (self.step, norm)
        if self.device.type == "cpu":
            self.check_finite()
        self.optimizer.step()
        self.scheduler.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        return stats, norm

    def check_finite(self) -> None:
        """NotFinite where the last step's gradient was not finite; waits for it."""
        unchecked, self._unchecked = self._unchecked, None
        if unchecked is not None and not torch.isfinite(unchecked[1]):
            raise NotFinite(unchecked[0])

    def _choose_chunking(self, encoder: Encoder, workers_on_node: int) -> Chunking:
        """As rank 0 decides, so that a run goes on with one answer wherever its workers are."""
        chosen: list[Chunking | None] = [None]
        if self.rank == 0:
            chosen[0] = choose_chunking(self.recipe.train, encoder, self.device, workers_on_node=workers_on_node)
        if self.world_size > 1:
            dist.broadcast_object_list(chosen, src=0)
        assert chosen[0] is not None
        return chosen[0]
