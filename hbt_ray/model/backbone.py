"""Loading the Hugging Face model and tokenizer that an encoder is made of."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForTextEncoding,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging

from hbt_ray.errors import ConfigError, one_line
from hbt_ray.model import packed_attention
from hbt_ray.model.find import unknown_model

ENCODER_TAKEN = ("t5", "mt5", "umt5")
"""Architectures with a decoder of which the encoder alone is taken, as sentence-transformers does."""
NO_SDPA = "scaled_dot_product_attention"
"""In transformers' error for an architecture without it."""


def load_backbone(
    source: str,
    *,
    subfolder: str,
    with_pooler: bool,
    attn_implementation: str,
    trust_remote_code: bool,
    dtype: torch.dtype,
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, tuple[str, ...]]:
    """The model, in evaluation mode, its tokenizer, and what a user has to know of them.

    An architecture without scaled dot-product attention gets transformers' eager attention in its place. Without
    `with_pooler` no pooler is built: its weights would receive no gradient, which DDP refuses.

    Raises:
        ConfigError: nothing loadable under that name, or no encoder.
    """
    where: dict[str, Any] = {"subfolder": subfolder, "trust_remote_code": trust_remote_code}
    try:
        config = AutoConfig.from_pretrained(source, **where)
        tokenizer = AutoTokenizer.from_pretrained(source, **where)
    except (OSError, ValueError) as error:
        raise unknown_model(source, one_line(error)) from error
    auto: Any = AutoModel
    if config.model_type in ENCODER_TAKEN:
        auto = AutoModelForTextEncoding
    elif getattr(config, "is_encoder_decoder", False):
        raise ConfigError(
            f"model {source!r} ({config.model_type}) has a decoder; allowed are encoders such as "
            "XLM-RoBERTa, BERT or ModernBERT"
        )
    if getattr(tokenizer, "pad_token_id", None) is None:
        raise ConfigError(f"model {source!r}: its tokenizer has no pad token; set one and save it again")
    known = len(tokenizer)
    if known > config.vocab_size:
        raise ConfigError(
            f"model {source!r}: its tokenizer has {known} tokens, its embeddings only {config.vocab_size}; take the "
            "tokenizer of this model, or resize the embeddings (resize_token_embeddings) and save it again"
        )
    if known < config.vocab_size / 2:
        raise ConfigError(
            f"model {source!r}: its tokenizer knows {known} tokens, its embeddings {config.vocab_size}; the files of "
            "the tokenizer (tokenizer.json, vocab.txt, ...) are missing or those of another model: add them"
        )
    if attn_implementation == "sdpa" and config.model_type in packed_attention.PACKABLE:
        attn_implementation = packed_attention.NAME  # the same, and packed texts besides
    if _builds_pooler(config):
        where["add_pooling_layer"] = with_pooler
    notes: tuple[str, ...] = ()
    load = partial(auto.from_pretrained, source, config=config, dtype=dtype, output_loading_info=True, **where)
    try:
        with _quiet_report():
            try:
                model, loading = load(attn_implementation=attn_implementation)
            except ValueError as error:
                if attn_implementation != "sdpa" or NO_SDPA not in str(error):
                    raise
                model, loading = load(attn_implementation="eager")
                notes = (f"model {source!r}: {type(model).__name__} has no sdpa attention, so eager is used: slower.",)
    except (OSError, ValueError, ImportError, SafetensorError) as error:
        raise unknown_model(source, one_line(error)) from error
    if missing := sorted(loading["missing_keys"]):
        raise ConfigError(
            f"model {source!r} has no weights for {', '.join(missing[:3])} ({len(missing)} in all), which "
            "would be random; choose another model, or pooling mean or cls where it is the pooler"
        )
    if wrong := next((name for name, weights in model.state_dict().items() if not weights.isfinite().all()), ""):
        raise ConfigError(f"model {source!r}: the weights {wrong} are NaN or infinite; take another copy of the model")
    if not with_pooler and isinstance(getattr(model, "pooler", None), nn.Module):
        # An architecture that always builds one: frozen, so that DDP leaves it out.
        model.pooler.requires_grad_(False)
    return cast(PreTrainedModel, model), cast(PreTrainedTokenizerBase, tokenizer), notes


def token_capacity(model: PreTrainedModel) -> int:
    """The most tokens, special tokens included, that the model can read."""
    positions = getattr(model.config, "max_position_embeddings", None)
    capacity = int(positions) if positions and positions > 0 else 10**9  # none, or -1: no limit
    for table in packed_attention.position_tables(model):
        capacity = min(capacity, table.num_embeddings - packed_attention.first_position(model))
    return capacity


def enable_checkpointing(model: PreTrainedModel) -> None:
    """Recomputes activations in the backward pass; ConfigError where the architecture cannot."""
    if not model.supports_gradient_checkpointing:
        raise ConfigError(
            f"gradient_checkpointing is True, which {type(model).__name__} does not support; set it to False"
        )
    # The first is the newer name, and the only one from transformers 6 on.
    enable: Any = getattr(model, "activation_checkpointing_enable", None)
    enable = enable or model.gradient_checkpointing_enable
    enable({"use_reentrant": False})  # reentrant checkpointing hides the parameters from DDP's hooks


def pooler_layer(model: PreTrainedModel) -> nn.Linear:
    """The linear layer of a pooler that is tanh(W cls + b).

    Raises:
        ConfigError: the architecture has no such pooler.
    """
    pooler: Any = getattr(model, "pooler", None)
    layer = getattr(pooler, "dense", pooler)  # ALBERT keeps layer and activation side by side
    activation = getattr(pooler, "activation", None) or getattr(model, "pooler_activation", None)
    if not (isinstance(layer, nn.Linear) and isinstance(activation, nn.Tanh)):
        raise ConfigError(
            f"pooling 'pooler' cannot be used with {type(model).__name__}, which has no pooler of the form "
            "tanh(W cls + b); allowed are mean and cls"
        )
    return layer


def whole_layer(model: PreTrainedModel, layer: nn.Linear, state: dict[str, Tensor] | None) -> nn.Linear:
    """`layer` of `model` with the weights that it has in `state`; the layer itself without one."""
    if state is None:
        return layer
    name = next(name for name, module in model.named_modules() if module is layer)
    whole = nn.Linear(layer.in_features, layer.out_features)
    whole.load_state_dict({part: state[f"{name}.{part}"] for part in ("weight", "bias")})
    return whole


def copy_dense(source: str, subfolder: str, layer: nn.Linear) -> None:
    """LaBSE's Dense layer is its pooler; the weights of the Dense layer are the ones that were used."""
    from sentence_transformers.sentence_transformer.modules import Dense

    linear = Dense.load(source, subfolder=subfolder).linear
    if linear.weight.shape != layer.weight.shape:
        raise ConfigError(
            f"model {source!r}: module {subfolder} (Dense) has weights {tuple(linear.weight.shape)}, "
            f"the model's pooler {tuple(layer.weight.shape)}; allowed is a Dense layer of the pooler's size"
        )
    with torch.no_grad():
        layer.weight.copy_(linear.weight)
        layer.bias.copy_(linear.bias)


@contextmanager
def _quiet_report() -> Iterator[None]:
    """Leaves out transformers' report on weights that were not read: heads of other tasks, the pooler."""
    level = logging.get_verbosity()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        logging.set_verbosity(level)


def _builds_pooler(config: Any) -> bool:
    try:
        model_class: Any = AutoModel._model_mapping[type(config)]
    except KeyError:  # code that comes with the model
        return False
    return callable(model_class) and "add_pooling_layer" in inspect.signature(model_class).parameters
