"""Encoding on a Ray cluster: blocks of texts stream through a pool of actors that hold the encoder each.

The blocks lie in the object store from the start (`from_items`; `from_arrow` would run tasks) and nothing but the
actors runs, so there are no other tasks of Ray Data that could wait for a CPU that the actors or others hold.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import torch

from hbt_ray.arrays import IntArray, VectorArray
from hbt_ray.cluster.capacity import num_places, reachable_resources
from hbt_ray.cluster.connect import quiet_data_context
from hbt_ray.cluster.remote_errors import first_error, unwrapped
from hbt_ray.errors import ClusterError
from hbt_ray.model.encoder import Encoder
from hbt_ray.model.precision import autocast, resolve_precision
from hbt_ray.model.roles import Role
from hbt_ray.retrieval.encoding.fingerprint import model_fingerprint
from hbt_ray.retrieval.encoding.vector_store import BLOCK, TextProgress, VectorStore, fill_store

if TYPE_CHECKING:
    from ray.data import Dataset

RETRIES = 3
"""Times that a lost actor or its block is started again; Ray Data's own default is for ever."""
WAIT_S = 600.0
"""For the first actor to have its place and its model."""


@dataclass(frozen=True, kw_only=True)
class EncoderSpec:
    """An encoder by its directory and its resolved settings, from which any process makes the same one."""

    model: str
    """Directory, the same on every node, or hub name."""
    pooling: str
    query_prefix: str
    passage_prefix: str
    max_query_tokens: int
    max_passage_tokens: int
    precision: str
    """"fp32" or "bf16"."""
    trust_remote_code: bool = False

    @classmethod
    def of(
        cls, encoder: Encoder, model: str, precision: str = "fp32", *, trust_remote_code: bool = False
    ) -> EncoderSpec:
        """What `encoder`, loaded from `model`, is; `precision` fp32 or bf16, as resolved where texts are encoded."""
        return cls(
            model=model,
            pooling=encoder.pooling,
            query_prefix=encoder.prefixes["query"],
            passage_prefix=encoder.prefixes["passage"],
            max_query_tokens=encoder.max_tokens["query"],
            max_passage_tokens=encoder.max_tokens["passage"],
            precision=precision,
            trust_remote_code=trust_remote_code,
        )

    def load(self, device: str) -> Encoder:
        """The encoder, on `device`.

        Raises:
            ConfigError: the model cannot be loaded here.
            ClusterError: the device does not compute in the precision, so its vectors would be other ones.
        """
        found = resolve_precision(device, self.precision)
        if found.name != self.precision:
            raise ClusterError(
                f"precision is {self.precision!r}, but a worker can only do {found.name} ({found.reason}); "
                f"encode with precision {found.name}, or on nodes that are all alike"
            )
        return Encoder.load(
            self.model,
            pooling=self.pooling,
            query_prefix=self.query_prefix,
            passage_prefix=self.passage_prefix,
            max_query_tokens=self.max_query_tokens,
            max_passage_tokens=self.max_passage_tokens,
            trust_remote_code=self.trust_remote_code,
            device=device,
        )

    def fingerprint(self, role: Role) -> str:
        """`model_fingerprint` of texts read as `role`."""
        return model_fingerprint(
            self.model,
            pooling=self.pooling,
            prefix={"query": self.query_prefix, "passage": self.passage_prefix}[role],
            max_tokens={"query": self.max_query_tokens, "passage": self.max_passage_tokens}[role],
            precision=self.precision,
        )


class BlockEncoder:
    """What an actor is: the encoder, loaded once, that maps blocks of texts to blocks of vectors."""

    def __init__(self, spec: EncoderSpec, role: Role, num_threads: int, device: str) -> None:
        torch.set_num_threads(num_threads)
        self._encoder = spec.load(device)
        self._role = role
        self._device = device
        self._precision = spec.precision

    def __call__(self, block: pa.Table) -> pa.Table:
        """One row (number, texts) -> one row (number, values), the values of all vectors in a list."""
        with autocast(self._device, self._precision):
            vectors = self._encoder.encode(block["texts"][0].as_py(), self._role)
        values = pa.ListArray.from_arrays([0, vectors.size], pa.array(vectors.ravel()))
        return pa.table({"number": block["number"], "values": values})


def ray_encode(
    spec: EncoderSpec,
    texts: Sequence[str],
    role: Role,
    store: VectorStore,
    progress: TextProgress | None = None,
    block: int = BLOCK,
    *,
    num_cpus: int = 2,
    use_gpu: bool | None = None,
    wait_s: float = WAIT_S,
) -> VectorArray:
    """`encode_cached` on all nodes of the cluster that Ray is connected to: same blocks, same vectors.

    Blocks reach the store from this process as they arrive, so the same call after an interruption goes on. The
    texts that the store lacks lie in Ray's object store meanwhile, which spills to disk.

    Args:
        spec: the encoder; `store` was opened with its fingerprint for `role`.
        texts, role, store, progress, block: as for `encode_cached`.
        num_cpus: cores, and threads, of an actor; there are as many actors as fit, and as there are blocks.
        use_gpu: give each actor a GPU; None: where the cluster has GPUs.
        wait_s: seconds for the first actor to start; others may take their places from it.

    Raises:
        ClusterError: no node has room for an actor, none got its place in time, or actors keep dying.
        ConfigError: the model does not load on a worker.
        EvaluationError: as for `encode_cached`.
    """
    import ray

    gpu = takes_gpu(use_gpu)
    room = num_places("encoding", num_cpus, int(gpu))

    def encode_blocks(blocks: list[IntArray]) -> Iterator[tuple[IntArray, VectorArray]]:
        quiet_data_context()
        items = [{"number": at, "texts": [texts[row] for row in rows]} for at, rows in enumerate(blocks)]
        dataset = ray.data.from_items(items, override_num_blocks=len(items))
        # A copy of the settings, for this data set alone: a block is wanted when it is done, whatever its place.
        dataset.context.execution_options.preserve_order = False
        dataset.context.wait_for_min_actors_s = wait_s
        with warnings.catch_warnings():
            # Ray 2.60 deprecates all options of actors and names no other way to end their restarts.
            warnings.filterwarnings("ignore", "`ray_remote_args` is deprecated")
            encoded = dataset.map_batches(
                BlockEncoder,
                fn_constructor_args=(spec, role, num_cpus, "cuda" if gpu else "cpu"),
                batch_size=1,  # a block each, as a whole: Ray Data wants a number where GPUs are asked for
                batch_format="pyarrow",
                compute=ray.data.ActorPoolStrategy(min_size=1, max_size=min(room, len(blocks))),
                num_cpus=num_cpus,
                num_gpus=int(gpu),
                max_restarts=RETRIES,
                max_task_retries=RETRIES,
            )
        for number, values in _stream(encoded, wait_s):
            yield blocks[number], values.reshape(len(blocks[number]), -1)

    return fill_store(texts, store, encode_blocks, progress, block)


def takes_gpu(use_gpu: bool | None) -> bool:
    """Whether an actor has a GPU; None: where the cluster has GPUs."""
    return bool(reachable_resources().get("GPU")) if use_gpu is None else use_gpu


def _stream(encoded: Dataset, wait_s: float) -> Iterator[tuple[int, VectorArray]]:
    """(number, values) of blocks as they arrive, and what goes wrong in Ray as one line."""
    from ray.data.exceptions import ExecutionTimeoutError
    from ray.exceptions import GetTimeoutError, RayError

    # Errors come out of here as exceptions; Ray Data would print each with its own stack as well.
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    kept = "what is done is stored, and the same call goes on"
    try:
        with unwrapped():
            for table in encoded.iter_batches(batch_size=None, batch_format="pyarrow"):
                for number, values in zip(table["number"], table["values"], strict=True):
                    yield number.as_py(), values.values.to_numpy()
    except GetTimeoutError:
        raise ClusterError(
            f"no worker for encoding has started in {wait_s:g} s: the cluster's CPUs or GPUs are taken, or the model "
            f"loads very slowly; wait for other jobs, or raise wait_s ({kept})"
        ) from None
    except (RayError, ExecutionTimeoutError) as error:
        raise ClusterError(f"encoding on the cluster failed; {kept} ({first_error(str(error))})") from error
