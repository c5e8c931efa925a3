"""The training loop of one worker: steps, curves, evaluations and checkpoints. Knows nothing of Ray or MLflow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from hbt_ray.batches.index import ItemIndex
from hbt_ray.batches.plan import BatchPlan
from hbt_ray.batches.slices import Slice
from hbt_ray.corpus.manifest import Corpus
from hbt_ray.errors import HbtError, TrainingError
from hbt_ray.retrieval.scoring.score import Scores
from hbt_ray.training.checkpoint import checkpoint_writer, load_checkpoint
from hbt_ray.training.feed import Feed
from hbt_ray.training.meter import Meter
from hbt_ray.training.run import VERSION, RunState, Save
from hbt_ray.training.scoring import ScoredSet, dev_set, score_set, text_set
from hbt_ray.training.sharding import whole_model
from hbt_ray.training.stepper import NotFinite, Stepper


@dataclass(frozen=True)
class Hooks:
    """What the loop tells the outside; every rank calls `checkpoint`, only rank 0 the others."""

    curve: Callable[[int, Mapping[str, float]], None]
    """(step, metrics): a point of the training curves."""
    scores: Callable[[int, Scores], None]
    """(step, scores): a set was scored."""
    checkpoint: Callable[[int, dict[str, float], Save | None], None]
    """(step, metrics, save): a checkpoint is due; rank 0 has to `save(directory)` it."""


class TrainLoop:
    """One worker's share of a run.

    Attributes:
        stepper: model and optimiser; `stepper.step` is how many steps are done.
        metrics: of the last evaluation.
    """

    def __init__(self, stepper: Stepper, corpus: Corpus, *, digest: str) -> None:
        """
        Args:
            stepper: of this worker.
            corpus: prepared with the tokenizer of the base model.
            digest: identifies the run (`run.run_digest`); checkpoints of another are refused.
        """
        self.stepper, self.recipe, self.corpus, self.digest = stepper, stepper.recipe, corpus, digest
        self.metrics: dict[str, float] = {}
        self._saved = 0

    @cached_property
    def _dev(self) -> ScoredSet | None:
        return dev_set(self.corpus, self.recipe.evaluation)

    @property
    def step(self) -> int:
        """Steps done."""
        return self.stepper.step

    def restore(self, directory: Path) -> None:
        """Go on from a checkpoint."""
        stepper = self.stepper
        state = load_checkpoint(directory, stepper.module, stepper.optimizer, stepper.scheduler, digest=self.digest)
        stepper.step, self.metrics, self._saved = state.step, state.metrics, state.step

    def run(self, slices: Iterator[Slice], hooks: Hooks) -> dict[str, float]:
        """Train on `slices`, which begin at `step`, to the end; returns the metrics of the last evaluation.

        Of no steps at all, the base model is scored and saved as it is.

        Raises:
            TrainingError: a loss or a gradient is not finite; no checkpoint is made of it.
        """
        train, stepper = self.recipe.train, self.stepper
        if not train.steps:
            self.evaluate(hooks, final=True)
            self._checkpoint(hooks)
            return self.metrics
        meter = Meter(stepper.device)
        with Feed(slices, stepper.collate) as feed:
            for batch in feed:
                try:
                    meter.add(batch, *stepper.train_step(batch))
                    last = self.step == train.steps
                    scoring = last or self._due(train.eval_every)
                    if scoring or self._due(train.checkpoint_every):
                        stepper.check_finite()
                except NotFinite as error:
                    raise self._diverged(error.step) from None
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
        config, encoder = self.recipe.evaluation, self.stepper.encoder
        sets = [self._dev] if self._dev is not None else []
        if final:
            sets += [text_set(name, encoder) for name in config.sets]
        self.metrics = {}
        for scored in sets:
            with whole_model(encoder):
                scores = score_set(encoder, scored, token_budget=config.token_budget, precision=config.precision)
            if scores is not None:
                self.metrics.update({f"{scores.name}/{key}": value for key, value in scores.headline().items()})
                hooks.scores(self.step, scores)

    def _report_curve(self, meter: Meter, wait_s: float, hooks: Hooks) -> None:
        point = meter.point(wait_s)
        point["train/lr"] = self.stepper.lr
        point["train/temperature"] = float(self.stepper.module.loss.temperature().detach())
        if self.stepper.rank == 0:
            hooks.curve(self.step, point)

    def _diverged(self, step: int) -> TrainingError:
        train = self.recipe.train
        index = ItemIndex.of(self.corpus)
        rows = BatchPlan(index, self.recipe.plan, seed=train.seed, num_steps=train.steps).step(step)
        pairs = {(index.langs[q], index.langs[p]) for q, p in zip(rows.query_langs, rows.passage_langs, strict=True)}
        named = ", ".join(query if query == passage else f"{query}-{passage}" for query, passage in sorted(pairs)[:8])
        kept = f"the checkpoint of step {self._saved} is kept" if self._saved else "there is no checkpoint yet"
        return TrainingError(
            f"step {step} (languages {named}{', ...' if len(pairs) > 8 else ''}): the gradient is NaN or infinite, so "
            f"the training stops; {kept}. Lower train.lr={train.lr:g}, warm up longer (train.warmup), or clip "
            "(train.clip), under another name (name=...)"
        )

    def _checkpoint(self, hooks: Hooks) -> None:
        stepper = self.stepper
        state = RunState(
            step=self.step,
            seed=self.recipe.train.seed,
            digest=self.digest,
            world_size=stepper.world_size,
            metrics=self.metrics,
            scored=self.recipe.digest("evaluation"),
            threads=torch.get_num_threads() if stepper.device.type == "cpu" else 0,
            chunking=vars(stepper.chunking),
            version=VERSION,
        )
        # all ranks bring their shards of a sharded model; a whole one is on rank 0 anyway
        save = None
        if stepper.rank == 0 or stepper.module.equal_chunks:
            save = checkpoint_writer(stepper.module, stepper.optimizer, stepper.scheduler, state)
        hooks.checkpoint(self.step, self.metrics, save)
        self._saved = self.step

    def _due(self, every: int) -> bool:
        return every > 0 and self.step % every == 0
