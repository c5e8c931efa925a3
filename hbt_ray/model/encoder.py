"""The retriever's encoder: one set of weights for queries and passages, vectors of length one."""

import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from hbt_ray.errors import ConfigError
from hbt_ray.model import packed_attention
from hbt_ray.model.backbone import (
    copy_dense,
    enable_checkpointing,
    load_backbone,
    pooler_layer,
    token_capacity,
    whole_layer,
)
from hbt_ray.model.chunks import Chunk, PackedChunk, make_chunks
from hbt_ray.model.find import find_source, no_token
from hbt_ray.model.layout import OWN_FILE, SIMILARITIES, read_layout, resolve_lengths, write_layout
from hbt_ray.model.pooling import POOLINGS, first_packed, mean_packed
from hbt_ray.model.precision import at_least_float32
from hbt_ray.model.roles import ROLES, Role

# Padded tokens in one forward pass without gradients; on a CPU more is slower, by the padding it adds.
DEFAULT_TOKEN_BUDGET = {"cpu": 2048, "cuda": 65536}
_TEXTS_AT_A_TIME = 10_000


class Encoder(nn.Module):
    """A Hugging Face encoder, a pooling and L2 normalisation: the cosine of two texts is a dot product.

    Make one with `Encoder.load`; `save` writes a directory that sentence-transformers, transformers and
    `load` itself read.

    Attributes:
        backbone, tokenizer: as transformers gives them.
        pooling: a key of POOLINGS.
        prefixes: role -> text put in front of every text of that role.
        max_tokens: role -> most tokens, prefix and special tokens included; longer texts are cut.
        dim: length of a vector.
        similarity: cosine; or dot, where the vectors are not normalised.
        notes: what a user has to know of how it was loaded.
        packs: whether `forward_chunk` takes packed chunks (BERT and RoBERTa's family with sdpa attention).
    """

    def __init__(
        self,
        backbone: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        pooling: str,
        prefixes: dict[Role, str],
        max_tokens: dict[Role, int],
        similarity: str = "cosine",
        notes: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.tokenizer = tokenizer
        self.pooling = pooling
        self.prefixes = prefixes
        self.max_tokens = max_tokens
        self.similarity = similarity
        self.notes = notes
        self.dim = int(backbone.config.hidden_size)
        self.packs = packed_attention.packs(backbone)
        self._pool = POOLINGS[pooling]
        self._first_position = packed_attention.first_position(backbone)

    @classmethod
    def load(
        cls,
        name_or_path: str | Path,
        *,
        pooling: str = "auto",
        query_prefix: str | None = None,
        passage_prefix: str | None = None,
        max_query_tokens: int | None = None,
        max_passage_tokens: int | None = None,
        similarity: str = "cosine",
        attn_implementation: str = "sdpa",
        gradient_checkpointing: bool = False,
        trust_remote_code: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> "Encoder":
        """Loads an encoder, in evaluation mode; what is left None is as the directory says.

        Args:
            name_or_path: a hub name, a Hugging Face directory, a sentence-transformers directory
                (Transformer, Pooling, Normalize; or LaBSE's Transformer, Pooling, Dense, Normalize), or
                one written by `save`.
            pooling: mean, cls, pooler (the model's own, tanh(W cls + b)), or auto: as the directory
                says, else mean.
            query_prefix, passage_prefix: else the directory's prompts, else none.
            max_query_tokens, max_passage_tokens: prefix and special tokens included; else as saved, else
                sentence-transformers' length for both (`resolve_lengths`).
            similarity: cosine, dot, or auto: as the directory says, else cosine.
            attn_implementation: transformers' name: sdpa, eager, flash_attention_2 ...; eager in place of sdpa where
                the architecture has none, which is noted.
            gradient_checkpointing: recompute activations in the backward pass, for memory.
            trust_remote_code: run model code that comes with the model.
            device: where the weights go; None: stay on the CPU.
            dtype: of the weights; train in float32 and compute in bf16 by autocast.

        Raises:
            ConfigError: unknown model, module, pooling or a length that the model cannot read.
        """
        source = find_source(name_or_path)
        if pooling not in ("auto", *POOLINGS):
            raise ConfigError(f"pooling is {pooling!r}; allowed are auto, {', '.join(POOLINGS)}")
        layout = read_layout(source)
        resolved = (layout.pooling or "mean") if pooling == "auto" else pooling
        compared = (layout.similarity or "cosine") if similarity == "auto" else similarity
        if compared not in SIMILARITIES:
            raise ConfigError(f"model {source!r}: similarity is {compared!r}; allowed are {', '.join(SIMILARITIES)}")
        backbone, tokenizer, notes = load_backbone(
            source,
            subfolder=layout.subfolder,
            with_pooler=resolved == "pooler",
            attn_implementation=attn_implementation,
            trust_remote_code=trust_remote_code,
            dtype=dtype,
        )
        if layout.lowercase and tokenizer.tokenize("AB") != tokenizer.tokenize("ab"):
            raise ConfigError(
                f"model {source!r}: do_lower_case in sentence_bert_config.json is not supported with a "
                "tokenizer that keeps case; allowed is false"
            )
        if resolved == "pooler":
            layer = pooler_layer(backbone)
            if layout.dense is not None:
                copy_dense(source, layout.dense, layer)
        if gradient_checkpointing:
            enable_checkpointing(backbone)
        prefixes: dict[Role, str] = {
            "query": (layout.query_prefix or "") if query_prefix is None else query_prefix,
            "passage": (layout.passage_prefix or "") if passage_prefix is None else passage_prefix,
        }
        asked: dict[Role, int | None] = {"query": max_query_tokens, "passage": max_passage_tokens}
        lengths = resolve_lengths(asked, layout, int(tokenizer.model_max_length), token_capacity(backbone))
        kept: dict[str, Any] = {"prefixes": prefixes, "max_tokens": lengths, "similarity": compared, "notes": notes}
        encoder = cls(backbone, tokenizer, pooling=resolved, **kept)
        return encoder.to(device).eval()

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Token ids [n, t] and mask [n, t] (1 = token), padded on the right -> vectors [n, dim].

        The vectors are float32 under autocast as well: bf16 has 8 significant bits, too few for cosines that are
        divided by a temperature.
        """
        output = self.backbone(input_ids=input_ids, attention_mask=attention_mask, return_dict=True)
        with torch.autocast(input_ids.device.type, enabled=False):
            return self._finish(self._pool(output.last_hidden_state, attention_mask, output.get("pooler_output")))

    def forward_chunk(self, chunk: Chunk) -> Tensor:
        """A chunk of k texts, padded or packed -> vectors [k, dim], as `forward` gives them."""
        if not isinstance(chunk, PackedChunk):
            vectors: Tensor = self(chunk.input_ids.long(), chunk.attention_mask)
            return vectors
        assert self.packs, f"{type(self.backbone).__name__} takes padded chunks only"
        output = self.backbone(
            input_ids=chunk.input_ids[None].long(),
            position_ids=(chunk.positions + self._first_position)[None],
            blocks=chunk.blocks,
            return_dict=True,
        )
        states, text_of, num_texts = output.last_hidden_state[0], chunk.text_of, len(chunk.rows)
        if self.pooling == "mean":
            pooled = mean_packed(states, text_of, num_texts)
        else:
            pooled = first_packed(states, text_of, num_texts)
            if self.pooling == "pooler":
                pooler: Any = self.backbone.pooler
                pooled = pooler(pooled[:, None])
        with torch.autocast(pooled.device.type, enabled=False):
            return self._finish(pooled)

    def _finish(self, pooled: Tensor) -> Tensor:
        vectors = pooled.to(at_least_float32(pooled.dtype))
        return F.normalize(vectors, dim=-1) if self.similarity == "cosine" else vectors

    def tokenize(self, texts: Sequence[str], role: Role) -> list[list[int]]:
        """Token ids of each text behind its role's prefix, with special tokens, cut to the role's length."""
        if role not in ROLES:
            raise ConfigError(f"role is {role!r}; allowed are {', '.join(ROLES)}")
        if not len(texts):
            return []
        prefix = self.prefixes[role]
        encoded = self.tokenizer(
            [prefix + text for text in texts],
            truncation=True,
            max_length=self.max_tokens[role],
            return_attention_mask=False,
            return_token_type_ids=False,
        )
        ids: list[list[int]] = encoded["input_ids"]
        if [] in ids:
            raise no_token(str(self.backbone.name_or_path), texts[ids.index([])])
        return ids

    def encode(self, texts: Sequence[str], role: Role, *, token_budget: int | None = None) -> npt.NDArray[np.float32]:
        """Vectors [n, dim] of texts, in their order; see `encode_tokens`."""
        tokens: list[npt.NDArray[np.int32]] = []
        # Blocks, so that a corpus never lies in memory as lists of Python integers.
        for start in range(0, len(texts), _TEXTS_AT_A_TIME):
            block = self.tokenize(texts[start : start + _TEXTS_AT_A_TIME], role)
            tokens.extend(np.asarray(ids, dtype=np.int32) for ids in block)
        return self.encode_tokens(tokens, token_budget=token_budget)

    def encode_tokens(
        self,
        tokens: Sequence[Sequence[int] | npt.NDArray[np.integer[Any]]],
        *,
        token_budget: int | None = None,
    ) -> npt.NDArray[np.float32]:
        """Vectors [n, dim] of tokenised texts, in their order; no gradients, no dropout.

        Computes in the precision of the surrounding `hbt_ray.model.precision.autocast`, else in float32.

        Args:
            tokens: token ids of each text, as `tokenize` gives them; at least one each.
            token_budget: most padded tokens in one forward pass; None: 2,048 on a CPU, 65,536 elsewhere.
        """
        lengths = np.array([len(ids) for ids in tokens], dtype=np.int64)
        if len(lengths) and lengths.min() == 0:
            raise ValueError(f"text {int(lengths.argmin())} has no tokens; special tokens belong to it")
        if token_budget is None:
            token_budget = DEFAULT_TOKEN_BUDGET.get(self.device.type, DEFAULT_TOKEN_BUDGET["cuda"])
        vectors = np.empty((len(tokens), self.dim), dtype=np.float32)
        values = np.concatenate([np.asarray(ids, np.int32) for ids in tokens]) if len(tokens) else np.zeros(0, np.int32)
        pad_id = int(self.tokenizer.pad_token_id)
        chunks = make_chunks(values, lengths, token_budget=token_budget, packed=False, pad_id=pad_id)
        was_training = self.training
        self.eval()
        try:
            with torch.inference_mode():
                for chunk in chunks:
                    vectors[chunk.rows.numpy()] = self.forward_chunk(chunk.to(self.device)).cpu().numpy()
        finally:
            self.train(was_training)
        return vectors

    def save(self, directory: str | Path, state: dict[str, Tensor] | None = None) -> None:
        """Writes a directory for SentenceTransformer, AutoModel and `Encoder.load` (safetensors weights).

        The prefixes become the prompts "query" and "passage" (and "document"). sentence-transformers cuts as this
        encoder does with `encode_query` and `encode_document`, and at the longer length with `encode`. The directory
        appears whole
        or not at all; an encoder saved there before is replaced. `state` are the backbone's weights by name where the
        module itself does not hold them as they are to be saved (shards, adapters).

        Raises:
            ConfigError: the directory exists and holds something else.
        """
        target = Path(directory).absolute()
        if target.exists() and not (target / OWN_FILE).is_file() and any(target.iterdir()):
            raise ConfigError(f"directory {str(target)!r} exists and holds no saved encoder; choose another")
        target.parent.mkdir(parents=True, exist_ok=True)
        mark = uuid.uuid4().hex[:8]
        fresh = target.with_name(f".{target.name}.{mark}.new")
        stale = target.with_name(f".{target.name}.{mark}.old")
        try:
            fresh.mkdir()
            self.backbone.save_pretrained(fresh, state_dict=state)
            self.tokenizer.save_pretrained(fresh)
            write_layout(
                fresh,
                hidden_size=self.dim,
                pooler=whole_layer(self.backbone, pooler_layer(self.backbone), state)
                if self.pooling == "pooler"
                else None,
                pooling=self.pooling,
                prefixes={role: self.prefixes[role] for role in ROLES},
                max_tokens={role: self.max_tokens[role] for role in ROLES},
                similarity=self.similarity,
            )
            if target.exists():
                target.rename(stale)
            fresh.rename(target)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
            shutil.rmtree(stale, ignore_errors=True)
