"""Encoding on a Ray cluster: blocks of texts stream through a pool of actors that hold the encoder each.

Nothing but the actors runs, so there are no other tasks of Ray Data that could wait for a CPU that the actors hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version

import torch

from hbt_ray.arrays import IntArray, VectorArray
from hbt_ray.cluster import tasks
from hbt_ray.cluster.capacity import num_places, takes_gpu
from hbt_ray.cluster.tasks import WAIT_S
from hbt_ray.errors import ClusterError, EvaluationError
from hbt_ray.model.encoder import Encoder
from hbt_ray.model.find import model_fingerprint
from hbt_ray.model.precision import autocast, resolve_precision
from hbt_ray.model.roles import Role
from hbt_ray.retrieval.encoding.vector_store import BLOCK, TextProgress, VectorStore, fill_store


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
    similarity: str = "cosine"
    trust_remote_code: bool = False

    def __post_init__(self) -> None:
        if self.precision not in ("fp32", "bf16"):  # "auto" is another one on another machine
            raise EvaluationError(f"precision is {self.precision!r}, but a worker needs what it came to: fp32 or bf16.")

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
            similarity=encoder.similarity,
            trust_remote_code=trust_remote_code,
        )

    def load(self, device: str) -> Encoder:
        """The encoder, on `device`.

        Raises:
            ConfigError: the model cannot be loaded here.
            ClusterError: the device does not compute in the precision, so its vectors would be other ones.
        """
        possible = resolve_precision(device, self.precision)
        if possible.name != self.precision:
            raise ClusterError(
                f"precision is {self.precision!r}, but a worker can only do {possible.name} ({possible.reason}); "
                f"encode with precision {possible.name}, or on nodes that are all alike"
            )
        return Encoder.load(
            self.model,
            pooling=self.pooling,
            query_prefix=self.query_prefix,
            passage_prefix=self.passage_prefix,
            max_query_tokens=self.max_query_tokens,
            max_passage_tokens=self.max_passage_tokens,
            similarity=self.similarity,
            trust_remote_code=self.trust_remote_code,
            device=device,
        )

    def fingerprint(self, role: Role) -> str:
        """sha256, in hex, of everything that decides the vectors of texts read as `role`; one where both read alike.

        Device, number of threads and company in a batch are left out: they change the last bits of float32.
        """
        return model_fingerprint(
            self.model,
            transformers=version("transformers"),
            pooling=self.pooling,
            prefix={"query": self.query_prefix, "passage": self.passage_prefix}[role],
            max_tokens={"query": self.max_query_tokens, "passage": self.max_passage_tokens}[role],
            precision=self.precision,
            similarity=self.similarity,
        )


class BlockEncoder:
    """An actor: the encoder, loaded once, that maps blocks of texts to blocks of vectors."""

    def __init__(self, spec: EncoderSpec, role: Role, num_threads: int, device: str) -> None:
        torch.set_num_threads(num_threads)
        self._encoder = spec.load(device)
        self._role = role
        self._device = device
        self._precision = spec.precision

    def __call__(self, block: tuple[int, list[str]]) -> Iterator[tuple[int, VectorArray]]:
        """(number, texts [n]) -> (number, vectors [n, dim])."""
        number, texts = block
        with autocast(self._device, self._precision):
            vectors = self._encoder.encode(texts, self._role)
        yield number, vectors


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
    gpu = takes_gpu(use_gpu)
    room = num_places("encoding", num_cpus, int(gpu))

    def encode_blocks(blocks: list[IntArray]) -> Iterator[tuple[IntArray, VectorArray]]:
        encoders = tasks.Stage(
            work=BlockEncoder,
            args=(spec, role, num_cpus, "cuda" if gpu else "cpu"),
            num_cpus=num_cpus,
            num_gpus=int(gpu),
            num_at_once=min(room, len(blocks)),
        )
        items = [(number, [texts[row] for row in rows]) for number, rows in enumerate(blocks)]
        # A block is wanted when it is done, whatever its place.
        for number, vectors in tasks.stream(items, encoders, what="encoding", ordered=False, wait_s=wait_s):
            yield blocks[number], vectors

    return fill_store(texts, store, encode_blocks, progress, block)
