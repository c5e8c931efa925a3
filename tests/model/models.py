"""Tiny untrained models in the real architectures, written to disk as a hub download would lie there."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    AlbertConfig,
    AlbertModel,
    BertConfig,
    BertModel,
    CamembertConfig,
    CamembertModel,
    DebertaConfig,
    DebertaModel,
    DebertaV2Config,
    DebertaV2Model,
    DistilBertConfig,
    DistilBertModel,
    ElectraConfig,
    ElectraModel,
    ModernBertConfig,
    ModernBertModel,
    MPNetConfig,
    MPNetModel,
    MT5Config,
    MT5EncoderModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaModel,
    T5Config,
    T5EncoderModel,
    XLMConfig,
    XLMModel,
    XLMRobertaConfig,
    XLMRobertaModel,
    XLNetConfig,
    XLNetModel,
)

TEXTS = [
    "When does the ferry to the island leave?",
    "Wann fährt die Fähre zur Insel ab?",
    "島へのフェリーは何時に出ますか",
    "متى تغادر العبارة إلى الجزيرة؟",
    "The ferry leaves at seven in the morning and returns at noon.",
    "Die Fähre fährt um sieben Uhr morgens ab und kehrt mittags zurück, außer an Feiertagen.",
    "A",
    "वह नाव सुबह सात बजे चलती है।",
]
SIZE = {
    "vocab_size": 120,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
}
# XLM-RoBERTa's ids of the special tokens, which its position counting depends on.
_SPECIAL = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}

_T5 = {"vocab_size": 120, "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4, "pad_token_id": 1}
_RELATIVE = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]}

ARCHITECTURES = {
    "xlm-roberta": lambda: XLMRobertaModel(XLMRobertaConfig(**SIZE, max_position_embeddings=66, pad_token_id=1)),
    "bert": lambda: BertModel(BertConfig(**SIZE, max_position_embeddings=64, pad_token_id=1)),
    "albert": lambda: AlbertModel(AlbertConfig(**SIZE, embedding_size=16, max_position_embeddings=64, pad_token_id=1)),
    "roberta": lambda: RobertaModel(RobertaConfig(**SIZE, max_position_embeddings=66, pad_token_id=1)),
    "camembert": lambda: CamembertModel(CamembertConfig(**SIZE, max_position_embeddings=66, pad_token_id=1)),
    "distilbert": lambda: DistilBertModel(
        DistilBertConfig(
            vocab_size=120, dim=32, n_layers=2, n_heads=4, hidden_dim=64, max_position_embeddings=64, pad_token_id=1
        )
    ),
    "electra": lambda: ElectraModel(
        ElectraConfig(**SIZE, embedding_size=16, max_position_embeddings=64, pad_token_id=1)
    ),
    "mpnet": lambda: MPNetModel(MPNetConfig(**SIZE, max_position_embeddings=66, pad_token_id=1)),
    "deberta": lambda: DebertaModel(DebertaConfig(**SIZE, **_RELATIVE, max_position_embeddings=64, pad_token_id=1)),
    "deberta-v2": lambda: DebertaV2Model(
        DebertaV2Config(
            **SIZE,
            **_RELATIVE,
            position_buckets=16,
            share_att_key=True,
            norm_rel_ebd="layer_norm",
            max_position_embeddings=64,
            pad_token_id=1,
        )
    ),
    "xlm": lambda: XLMModel(
        XLMConfig(vocab_size=120, emb_dim=32, n_layers=2, n_heads=4, max_position_embeddings=64, pad_index=1)
    ),
    "xlnet": lambda: XLNetModel(
        XLNetConfig(vocab_size=120, d_model=32, n_layer=2, n_head=4, d_inner=64, pad_token_id=1)
    ),
    "t5": lambda: T5EncoderModel(T5Config(**_T5)),
    "mt5": lambda: MT5EncoderModel(MT5Config(**_T5)),
    "modernbert": lambda: ModernBertModel(
        ModernBertConfig(**SIZE, max_position_embeddings=64, pad_token_id=1, local_attention=8)
    ),
}


def tokenizer() -> PreTrainedTokenizerFast:
    backend = Tokenizer(models.Unigram())
    backend.normalizer = normalizers.NFKC()
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=120, special_tokens=list(_SPECIAL.values()), unk_token="<unk>", show_progress=False
    )
    backend.train_from_iterator([*TEXTS, "Query: Passage: "], trainer)
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=backend, **_SPECIAL)


def write_model(architecture: str, directory: Path, *, seed: int = 0) -> Path:
    """A Hugging Face directory with random weights, far enough from zero that texts differ."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = ARCHITECTURES[architecture]()
        for parameter in model.parameters():
            parameter.data.add_(torch.randn_like(parameter), alpha=0.1)
    model.save_pretrained(directory)
    tokenizer().save_pretrained(directory)
    return directory
