"""Tokenising once, ahead of training, with a fingerprint that says whether shards and model still fit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from hbt_ray.config import CorpusConfig
from hbt_ray.errors import one_line
from hbt_ray.model.find import find_source, no_token, unknown_model
from hbt_ray.model.layout import read_layout

CHUNK = 2048


class RoleTokenizer:
    """Token ids of questions and passages: prefix in front, special tokens in, cut to the role's length."""

    def __init__(self, name_or_path: str, config: CorpusConfig, *, trust_remote_code: bool = False) -> None:
        """ConfigError where `name_or_path` is no model that can be loaded."""
        from transformers import AutoTokenizer

        self.source = source = find_source(name_or_path)
        where = {"subfolder": read_layout(source).subfolder, "trust_remote_code": trust_remote_code}
        try:
            self.tokenizer: Any = AutoTokenizer.from_pretrained(source, **where)
        except (OSError, ValueError) as error:
            raise unknown_model(source, one_line(error)) from None
        self.prefix = {"query": config.query_prefix, "passage": config.passage_prefix}
        self.max_tokens = {"query": config.max_query_tokens, "passage": config.max_passage_tokens}

    def __call__(self, texts: Sequence[str], role: str) -> tuple[np.ndarray, np.ndarray]:
        """`(values int32 [sum of lengths], lengths int32 [n])` of `texts`; `role` is `query` or `passage`."""
        values: list[np.ndarray] = []
        lengths: list[int] = []
        prefix, limit = self.prefix[role], self.max_tokens[role]
        for start in range(0, len(texts), CHUNK):
            chunk = [prefix + text for text in texts[start : start + CHUNK]]
            encoded = self.tokenizer(
                chunk,
                truncation=True,
                max_length=limit,
                return_attention_mask=False,
                return_token_type_ids=False,
            )["input_ids"]
            empty = [text for text, ids in zip(chunk, encoded, strict=True) if text and not ids]
            if empty:
                raise no_token(self.source, empty[0])
            values.extend(np.asarray(ids, np.int32) for ids in encoded)
            lengths.extend(len(ids) for ids in encoded)
        flat = np.concatenate(values) if values else np.zeros(0, np.int32)
        return flat, np.asarray(lengths, np.int32)

    def fingerprint(self) -> str:
        """Hash of everything that decides the ids: vocabulary, rules, special tokens, prefixes and lengths."""
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        vocabulary = backend.to_str() if backend is not None else json.dumps(self.tokenizer.get_vocab(), sort_keys=True)
        if backend is not None:  # truncation and padding are state of the last call, not of the tokenizer
            tree = json.loads(vocabulary)
            tree.pop("truncation", None)
            tree.pop("padding", None)
            vocabulary = json.dumps(tree, sort_keys=True)
        rest = {
            "class": type(self.tokenizer).__name__,
            "special": {name: str(token) for name, token in sorted(self.tokenizer.special_tokens_map.items())},
            "prefix": self.prefix,
            "max_tokens": self.max_tokens,
        }
        return hashlib.sha256((vocabulary + json.dumps(rest, sort_keys=True)).encode()).hexdigest()
