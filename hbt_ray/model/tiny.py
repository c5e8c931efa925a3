"""A tiny encoder of the real XLM-R architecture, made by command for laptops, tests and first searches.

Weights are random and the tokenizer is trained on the texts that are given, so nothing is downloaded. The
directory loads wherever an XLM-R checkpoint does (`AutoModel`, `AutoTokenizer`, `SentenceTransformer`).
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast, XLMRobertaConfig, XLMRobertaModel

from hbt_ray.errors import ConfigError

_SPECIALS: Final = ("<s>", "<pad>", "</s>", "<unk>")
"""XLM-R's special tokens, each with its place here as id; `<mask>` comes last of all."""

_MAX_TOKENS: Final = 256
_HEAD_SIZE: Final = 32


def build_tiny_encoder(
    directory: Path,
    texts: Iterable[str],
    *,
    vocab_size: int = 5000,
    hidden_size: int = 96,
    num_layers: int = 1,
    seed: int = 0,
) -> None:
    """Write a model directory: XLM-R without a pooler, and a tokenizer with XLM-R's special tokens and ids.

    `texts` should hold every language that the encoder is to read, in like amounts. `vocab_size` is an upper
    limit in tokens, `hidden_size` counts features (a multiple of 32, the size of an attention head), `num_layers`
    counts transformer layers; inputs may have up to 256 tokens. The same arguments write the same bytes, and
    torch's global random state is left as it was. Raises `ConfigError` for sizes that cannot be used and for no
    texts.
    """
    if hidden_size < _HEAD_SIZE or hidden_size % _HEAD_SIZE:
        raise ConfigError(f"hidden_size = {hidden_size} is not a positive multiple of {_HEAD_SIZE}: try 64, 96 or 128")
    if num_layers < 1:
        raise ConfigError(f"num_layers = {num_layers} is below 1: use 1 or more; 1 is enough for the sample")
    tokenizer = _train_tokenizer(texts, vocab_size)
    tokenizer.save_pretrained(directory)
    # XLM-R's positions begin after the padding id, so the table has two more rows than there are tokens.
    config = XLMRobertaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden_size,
        num_hidden_layers=num_layers,
        num_attention_heads=hidden_size // _HEAD_SIZE,
        intermediate_size=hidden_size,
        max_position_embeddings=_MAX_TOKENS + 2,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = XLMRobertaModel(config, add_pooling_layer=False)
    model.save_pretrained(directory)


def _train_tokenizer(texts: Iterable[str], vocab_size: int) -> PreTrainedTokenizerFast:
    # BPE rather than XLM-R's unigram: tokenizers' unigram trainer gave four vocabularies in four builds on the same
    # texts (and took ten times as long).
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Lowercase(), normalizers.Replace(Regex(r"\s+"), " ")]
    )
    # Digits one by one: a number is then the same few tokens in every language.
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Metaspace(),
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.Punctuation(),
        ]
    )
    tokenizer.decoder = decoders.Metaspace()
    texts = sorted(set(texts))
    if not texts:
        raise ConfigError("texts is empty: give the questions and passages that the tokenizer is to be trained on")
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - 1,  # <mask> is added below
        min_frequency=2,
        special_tokens=list(_SPECIALS),
        max_token_length=16,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    if tokenizer.get_vocab_size() >= vocab_size:
        raise ConfigError(
            f"vocab_size = {vocab_size} is smaller than the texts' alphabet: use more than {tokenizer.get_vocab_size()}"
        )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        bos_token="<s>",
        cls_token="<s>",
        eos_token="</s>",
        sep_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        mask_token="<mask>",
        model_max_length=_MAX_TOKENS,
        padding_side="right",
    )
