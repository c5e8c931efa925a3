"""The sentence-transformers directory layout: what one says of its encoder, and writing our own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hbt_ray.errors import ConfigError
from hbt_ray.model.find import model_directory
from hbt_ray.model.roles import ROLES, Role

if TYPE_CHECKING:  # tasks that only tokenise need no torch
    from torch import nn

OWN_FILE = "hbt_encoder.json"
TRANSFORMER_FILES = tuple(
    f"sentence_{name}_config.json"
    for name in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
"""Names of the Transformer module's settings, which older releases called after the architecture; the first counts."""
SIMILARITIES = ("cosine", "dot")
DEFAULT_TOKENS = 512  # where neither tokenizer nor model has a limit
NO_LIMIT = 10**9
"""From so many tokens on a length stands for none."""
FEWEST_TOKENS = 4  # two special tokens, and something between them
# modules.json as every sentence-transformers release since 2.0 reads it.
_TYPE = "sentence_transformers.models."
POOLING_KEYS = {"mean": "mean_tokens", "cls": "cls_token"}
"""Our names -> the flags `pooling_mode_*` that every release reads."""
_LAYOUTS = "Transformer, Pooling (mean or cls), Normalize; or Transformer, Pooling (cls), Dense (tanh), Normalize"


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What a model directory says about itself; None where it is silent."""

    pooling: str | None = None
    """A key of POOLINGS."""
    subfolder: str = ""
    """Where the Hugging Face model lies inside the directory."""
    dense: str | None = None
    """Where the Dense layer lies that is the model's pooler (LaBSE)."""
    query_prefix: str | None = None
    passage_prefix: str | None = None
    max_tokens: int | None = None
    """sentence-transformers' one length for both roles, in tokens."""
    max_query_tokens: int | None = None
    max_passage_tokens: int | None = None
    lowercase: bool = False
    """sentence-transformers lowercases the text before the tokenizer sees it."""
    similarity: str | None = None
    """cosine or dot: how vectors are compared; unit vectors are by cosine."""


def read_layout(source: str) -> Layout:
    """Reads modules.json and what it points to; an empty Layout where there is none.

    Args:
        source: a directory or a hub name.

    Raises:
        ConfigError: the hub name is not to be had, or a module is one that this encoder does not have.
    """
    directory = model_directory(source, files=("*.json",))
    modules = _read_json(directory / "modules.json")
    if modules is None:
        return Layout()
    kinds = [str(module["type"]).rsplit(".", 1)[-1] for module in modules]
    paths = {kind: str(module.get("path", "")) for kind, module in zip(kinds, modules, strict=True)}
    for kind, module in zip(kinds, modules, strict=True):
        if kind not in ("Transformer", "Pooling", "Dense", "Normalize"):
            raise ConfigError(f"model {source!r}: module {module['type']} is not supported; allowed: {_LAYOUTS}")
    if [kind for kind in kinds if kind != "Normalize"] not in (
        ["Transformer", "Pooling"],
        ["Transformer", "Pooling", "Dense"],
    ) or "Normalize" in kinds[:-1]:
        raise ConfigError(f"model {source!r}: modules {', '.join(kinds)} are not supported; allowed: {_LAYOUTS}")
    files = (_read_json(directory / paths["Transformer"] / name) for name in TRANSFORMER_FILES)
    transformer: dict[str, Any] = next(filter(None, files), {})
    lengths = _read_json(directory / OWN_FILE) or {}
    prompts = _read_json(directory / "config_sentence_transformers.json") or {}
    return Layout(
        pooling=_pooling(source, directory, paths),
        subfolder=paths["Transformer"],
        dense=paths.get("Dense"),
        query_prefix=_prompt(prompts, "query"),
        passage_prefix=_prompt(prompts, "document", "passage", "corpus"),
        max_tokens=transformer.get("max_seq_length"),
        max_query_tokens=lengths.get("max_query_tokens", transformer.get("query_length")),
        max_passage_tokens=lengths.get("max_passage_tokens", transformer.get("document_length")),
        lowercase=bool(transformer.get("do_lower_case", False)),
        similarity="cosine" if "Normalize" in kinds else prompts.get("similarity_fn_name"),
    )


def resolve_lengths(
    asked: dict[Role, int | None], layout: Layout, tokenizer_length: int, capacity: int
) -> dict[Role, int]:
    """Most tokens a role: as asked, else as saved, else as sentence-transformers has it.

    That is the length that the directory names, else the tokenizer's, or what the model can read if less; 512 where
    nothing has a limit.

    Raises:
        ConfigError: a length below 4 or above `capacity`.
    """
    saved: dict[Role, int | None] = {"query": layout.max_query_tokens, "passage": layout.max_passage_tokens}
    lengths: dict[Role, int] = {}
    for role in ROLES:
        length = asked[role] if asked[role] is not None else saved[role]
        if length is None:
            length = min(layout.max_tokens or tokenizer_length, capacity)
            length = DEFAULT_TOKENS if length >= NO_LIMIT else length
        if not FEWEST_TOKENS <= length <= capacity:
            raise ConfigError(
                f"max_{role}_tokens is {length}; allowed is {FEWEST_TOKENS} to {capacity}, the most the model reads"
            )
        lengths[role] = length
    return lengths


def write_layout(
    directory: Path,
    *,
    hidden_size: int,
    pooler: nn.Linear | None,
    pooling: str,
    prefixes: dict[str, str],
    max_tokens: dict[str, int],
    similarity: str = "cosine",
) -> None:
    """Puts around a saved Hugging Face model what makes it a sentence-transformers directory, and OWN_FILE.

    A pooler is written as LaBSE's is: Pooling (cls), then a Dense layer with tanh.
    """
    kinds = ["Pooling", *(["Dense"] if pooling == "pooler" else []), *(["Normalize"] if similarity == "cosine" else [])]
    modules = [{"idx": 0, "name": "0", "path": "", "type": f"{_TYPE}Transformer"}]
    for index, kind in enumerate(kinds, start=1):
        path = f"{index}_{kind}"
        (directory / path).mkdir()
        if kind == "Pooling":
            # Written by hand: a checkpoint should not wait seconds for sentence-transformers to be imported.
            mode = "cls_token" if pooling == "pooler" else POOLING_KEYS[pooling]
            flags = {f"pooling_mode_{key}": key == mode for key in ("cls_token", "mean_tokens")}
            _write_json(directory / path / "config.json", {"word_embedding_dimension": hidden_size, **flags})
        elif kind == "Dense":
            assert pooler is not None, "a pooler is checked for when the encoder is made"
            _save_dense(directory / path, pooler)
        modules.append({"idx": index, "name": str(index), "path": path, "type": _TYPE + kind})
    _write_json(directory / "modules.json", modules)
    # `encode` has one length, the longer one; encode_query and encode_document have theirs, from release 6 on.
    lengths = {"max_seq_length": max(max_tokens.values()), "do_lower_case": False}
    if len(set(max_tokens.values())) > 1:
        lengths |= {"query_length": max_tokens["query"], "document_length": max_tokens["passage"]}
    _write_json(directory / TRANSFORMER_FILES[0], lengths)
    query, passage = prefixes["query"], prefixes["passage"]
    # encode_document looks for "document" first.
    prompts = {"query": query, "passage": passage, "document": passage}
    _write_json(
        directory / "config_sentence_transformers.json",
        {"prompts": prompts, "default_prompt_name": None, "similarity_fn_name": similarity},
    )
    _write_json(directory / OWN_FILE, {f"max_{role}_tokens": tokens for role, tokens in max_tokens.items()})


def _save_dense(directory: Path, pooler: nn.Linear) -> None:
    from sentence_transformers.sentence_transformer.modules import Dense

    weight, bias = (value.detach().float().cpu().clone() for value in (pooler.weight, pooler.bias))
    dense = Dense(pooler.in_features, pooler.out_features, init_weight=weight, init_bias=bias)
    dense.save(str(directory))


def _read_json(path: Path) -> Any:
    """A JSON file of a model directory; None where the model has no such file."""
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    except ValueError as error:
        raise ConfigError(f"{path} is no JSON ({error}); restore or delete it") from error


def _pooling(source: str, directory: Path, paths: dict[str, str]) -> str:
    config = _read_json(directory / paths["Pooling"] / "config.json") or {}
    # Releases before 5.4 wrote one flag a mode.
    flags = [key for key, value in config.items() if key.startswith("pooling_mode_") and value is True]
    mode = config.get("pooling_mode", flags or "mean_tokens")
    modes = [mode] if isinstance(mode, str) else list(mode)
    names = [name.removeprefix("pooling_mode_").removesuffix("_tokens").removesuffix("_token") for name in modes]
    if len(names) != 1 or names[0] not in ("mean", "cls") or not config.get("include_prompt", True):
        what = "that leaves out the prompt" if not config.get("include_prompt", True) else ", ".join(names)
        raise ConfigError(f"model {source!r}: a Pooling module {what} is not supported; allowed: {_LAYOUTS}")
    if "Dense" not in paths:
        return names[0]
    dense = _read_json(directory / paths["Dense"] / "config.json") or {}
    activation = str(dense.get("activation_function", "Tanh")).rsplit(".", 1)[-1]
    square = dense.get("in_features") == dense.get("out_features")
    if names[0] != "cls" or activation != "Tanh" or not square or not dense.get("bias", True):
        raise ConfigError(
            f"model {source!r}: module {paths['Dense']} (Dense {dense.get('in_features')} -> "
            f"{dense.get('out_features')}, {activation}) is not supported; allowed: {_LAYOUTS}"
        )
    return "pooler"


def _prompt(config: dict[str, Any], *names: str) -> str | None:
    """The first prompt that says something, else the one used by default, else nothing at all."""
    prompts: dict[str, str | None] = config.get("prompts") or {}
    chosen = [*names, str(config.get("default_prompt_name"))]
    texts = [prompts[name] for name in chosen if prompts.get(name) is not None]
    return next((text for text in texts if text), texts[0] if texts else None)


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
