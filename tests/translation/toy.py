"""Tiny models of the real architectures, tokenizers trained on toy text, and a language whose right answer is known.

In the toy language each English word has one word of its own, and the order is the same.
"""

import json
import random
import shutil
from pathlib import Path

import sentencepiece
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import (
    M2M100Config,
    M2M100ForConditionalGeneration,
    M2M100Tokenizer,
    MarianConfig,
    MarianMTModel,
    MarianTokenizer,
    NllbTokenizer,
)

_TABLE = """
cat miu dog vao house domo tree arbo river rio sees vidas eats mangas likes shatas
finds trovas red ruja blue blua big granda old malnova bird birdo fish fisho moon luno
"""
ENGLISH, TOY = _TABLE.split()[::2], _TABLE.split()[1::2]
WORDS = dict(zip(ENGLISH, TOY, strict=True))
LENGTHS = range(1, 6)
SIZES = {
    "d_model": 64,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 128,
    "decoder_ffn_dim": 128,
    "dropout": 0.0,
    "attention_dropout": 0.0,
    "activation_dropout": 0.0,
}
WIDE = {"init_std": 0.3}
"""For random weights that are not trained: what they write depends on what they read."""


def sentence(rng, end="."):
    """A random sentence in English, in which no word is repeated: counting is hard for a model of one layer."""
    return " ".join(rng.sample(ENGLISH, rng.choice(LENGTHS))) + end


def answer(text):
    """What a sentence is in the toy language."""
    return " ".join(WORDS[word] for word in text[:-1].split()) + text[-1]


def train_pieces(directory: Path):
    """SentencePiece on both languages, every word a piece; the path of its model, and its pieces."""
    directory.mkdir(parents=True, exist_ok=True)
    rng = random.Random(0)
    lines = []
    for _ in range(500):
        text = sentence(rng, rng.choice(".?!"))
        lines += [text, answer(text)]
    (directory / "text.txt").write_text("\n".join(lines))
    sentencepiece.SentencePieceTrainer.train(
        input=str(directory / "text.txt"),
        model_prefix=str(directory / "pieces"),
        vocab_size=160,
        hard_vocab_limit=False,
        model_type="bpe",
        bos_id=0,
        pad_id=1,
        eos_id=2,
        unk_id=3,
        pad_piece="<pad>",
        minloglevel=2,
        num_threads=1,
    )
    loaded = sentencepiece.SentencePieceProcessor(model_file=str(directory / "pieces.model"))
    return directory / "pieces.model", [loaded.id_to_piece(at) for at in range(loaded.get_piece_size())]


def build_m2m(directory: Path, seed=0, max_positions=64, **fields):
    """M2M-100 with random weights: its tokenizer with all 100 languages, and rows for 8 words that are none."""
    pieces, names = train_pieces(directory / ".text")
    (directory / "vocab.json").write_text(json.dumps({name: at for at, name in enumerate(names)}))
    shutil.copyfile(pieces, directory / "sentencepiece.bpe.model")
    tokenizer = M2M100Tokenizer(str(directory / "vocab.json"), str(directory / "sentencepiece.bpe.model"))
    tokenizer.save_pretrained(directory)
    torch.manual_seed(seed)
    config = M2M100Config(
        vocab_size=len(names) + 108,
        max_position_embeddings=max_positions,
        decoder_start_token_id=2,
        **SIZES,
        **fields,
    )
    M2M100ForConditionalGeneration(config).save_pretrained(directory)
    return directory


def build_nllb(directory: Path, seed=0):
    """NLLB: the architecture of M2M-100 with NLLB's tokenizer, and two rows that are no token, as the real one has."""
    directory.mkdir(parents=True, exist_ok=True)
    rng = random.Random(0)
    trained = Tokenizer(models.BPE(unk_token="<unk>"))
    trained.pre_tokenizer = pre_tokenizers.Metaspace()
    specials = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = trainers.BpeTrainer(vocab_size=160, special_tokens=specials, show_progress=False)
    trained.train_from_iterator([sentence(rng) for _ in range(500)], trainer)
    model = json.loads(trained.to_str())["model"]
    tokenizer = NllbTokenizer(vocab=model["vocab"], merges=[tuple(merge) for merge in model["merges"]])
    tokenizer.save_pretrained(directory)
    torch.manual_seed(seed)
    config = M2M100Config(
        vocab_size=len(tokenizer) + 2, max_position_embeddings=64, decoder_start_token_id=2, **SIZES, **WIDE
    )
    M2M100ForConditionalGeneration(config).save_pretrained(directory)
    return directory


def build_marian(directory: Path, targets=(), source_lang="en", target_lang="de", seed=0):
    """Marian (OPUS-MT) with random weights; `targets` are the codes of a model for several languages."""
    pieces, names = train_pieces(directory / ".text")
    for name in ("source.spm", "target.spm"):
        shutil.copyfile(pieces, directory / name)
    tokens = ["</s>", "<unk>", *(f">>{code}<<" for code in targets), *names[4:], "<pad>"]
    (directory / "vocab.json").write_text(json.dumps({token: at for at, token in enumerate(tokens)}))
    tokenizer = MarianTokenizer(
        source_spm=str(directory / "source.spm"),
        target_spm=str(directory / "target.spm"),
        vocab=str(directory / "vocab.json"),
        source_lang=source_lang,
        target_lang=target_lang,
    )
    tokenizer.save_pretrained(directory)
    torch.manual_seed(seed)
    pad = len(tokens) - 1
    config = MarianConfig(
        vocab_size=len(tokens),
        max_position_embeddings=64,
        pad_token_id=pad,
        eos_token_id=0,
        forced_eos_token_id=0,
        decoder_start_token_id=pad,
        scale_embedding=True,
        activation_function="swish",
        **SIZES,
        **WIDE,
    )
    MarianMTModel(config).save_pretrained(directory)
    return directory


def train_m2m(directory: Path, lang="de", steps=450):
    """Teach the M2M-100 of a directory the toy language under the code `lang`."""
    tokenizer = M2M100Tokenizer.from_pretrained(directory, src_lang="en", tgt_lang=lang)
    model = M2M100ForConditionalGeneration.from_pretrained(directory)
    rng = random.Random(1)
    torch.manual_seed(1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    for _ in range(steps):
        sources = [sentence(rng, rng.choice(".?!")) for _ in range(32)]
        batch = tokenizer(sources, text_target=list(map(answer, sources)), return_tensors="pt", padding=True)
        labels = batch.pop("labels")
        batch["labels"] = labels.masked_fill(labels == tokenizer.pad_token_id, -100)
        model(**batch).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    model.save_pretrained(directory)
    return directory
