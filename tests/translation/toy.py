"""Tiny models of the real architectures, tokenizers trained on toy text, and a language whose right answer is known.

In the toy language each English word has one word of its own, and the order is the same. The model that translates to
it is not trained: its weights are put together, so that no rounding of any processor can change what it writes.
"""

import copy
import json
import math
import random
import shutil
from pathlib import Path

import numpy as np
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
        **{**SIZES, **fields},
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


class Layout:
    """Where the model of `build_toy` keeps what in a vector, and how loud; its positions are sines, then cosines."""

    width = 128
    waves = np.r_[0:6, 64:70]
    """The fastest, 6 to 13 tokens long: of any two positions up to the 66th, the cosines of their phases' differences
    are 0.74 in the mean at most."""
    code = np.r_[32:64, 96:128]
    """Which token it is, in waves so slow that they hardly move."""
    toy_signs = torch.tensor([1.0, -1.0] * 4)
    """With which the code of every token begins, but English words: those begin with the opposite, and go on as their
    toy word does. A code has as many plus as minus signs: means that differed would shift the positions."""
    distance = 14
    """Signs in which two words differ at least, of the 56 left."""
    loudness = 3.0
    """Of a sign, where a position's is 1."""
    sharpness = 30.0
    """Of positions as queries and as keys: nothing is left for the token beside the right one."""
    weight = 20.0
    """Of what is read in the source, against the word before."""
    sureness = 4.0
    """Of logits: the right token leads by about 20."""


def build_toy(directory: Path):
    """M2M-100 that translates English to the toy language, word by word and without a mistake, under any code.

    The decoder reads the source at its own position, where the word stands that it has to write: the source begins
    with its language, as what is written begins with the end token before its own. Only the attention to the source
    has a say; everything else has small random weights, which are at work and change nothing.
    """
    build_m2m(directory, d_model=Layout.width, init_std=0.02)
    tokenizer = M2M100Tokenizer.from_pretrained(directory)
    model = M2M100ForConditionalGeneration.from_pretrained(directory)
    attention = model.model.decoder.layers[0].encoder_attn
    size = Layout.width // attention.num_heads
    num_signs = len(Layout.toy_signs)
    with torch.no_grad():
        embeddings = torch.zeros(model.config.vocab_size, Layout.width)
        embeddings[:, Layout.code] = Layout.loudness * _codes(tokenizer, len(embeddings))
        embeddings[:, 96:] -= 1  # the cosines of the slow waves
        model.model.shared.weight.copy_(embeddings / math.sqrt(Layout.width))
        for module in (attention.q_proj, attention.k_proj, attention.v_proj, attention.out_proj):
            module.weight.zero_()
            module.bias.zero_()
        for head in range(attention.num_heads):
            rows = range(head * size, (head + 1) * size)
            attention.q_proj.weight[rows[: len(Layout.waves)], Layout.waves] = Layout.sharpness
            attention.k_proj.weight[rows[: len(Layout.waves)], Layout.waves] = Layout.sharpness
        word = Layout.code[num_signs:]
        attention.v_proj.weight[range(len(word)), word] = 1
        attention.out_proj.weight[word, range(len(word))] = Layout.weight
        attention.out_proj.bias[Layout.code[:num_signs]] = Layout.weight * Layout.toy_signs  # whatever it reads
        model.model.decoder.layer_norm.weight.fill_(Layout.sureness)
    model.save_pretrained(directory)
    return directory


def _codes(tokenizer, num_rows):
    """A row of signs for each row of the embeddings."""
    rng = np.random.default_rng(0)
    size = len(Layout.code) - len(Layout.toy_signs)
    words = np.zeros((0, size))
    while len(words) < num_rows:
        word = rng.permutation(np.repeat([-1.0, 1.0], size // 2))
        if ((words != word).sum(axis=1) >= Layout.distance).all():
            words = np.concatenate([words, word[None]])
    signs = np.tile(Layout.toy_signs, (num_rows, 1))
    for english, toy in WORDS.items():
        row, other = tokenizer.convert_tokens_to_ids([f"\u2581{english}", f"\u2581{toy}"])
        assert tokenizer.unk_token_id not in (row, other), f"{english} or {toy} is more than a piece"
        words[row] = words[other]
        signs[row] *= -1
    return torch.tensor(np.concatenate([signs, words], axis=1), dtype=torch.float32)


def least_margin(directory: Path, sentences, lang="de"):
    """The least lead of a right token over all others, in logits and in float64."""
    tokenizer = M2M100Tokenizer.from_pretrained(directory, src_lang="en", tgt_lang=lang)
    model = M2M100ForConditionalGeneration.from_pretrained(directory, dtype=torch.float64).eval()
    least = math.inf
    for text in sentences:
        right = tokenizer(text_target=answer(text), return_tensors="pt")["input_ids"]
        before = torch.cat([torch.tensor([[model.config.decoder_start_token_id]]), right[:, :-1]], dim=1)
        with torch.inference_mode():
            logits = model(**tokenizer(text, return_tensors="pt"), decoder_input_ids=before).logits[0, 1:]
        right = right[0, 1:, None]  # the language is given
        others = logits.scatter(1, right, -math.inf).max(dim=1).values
        least = min(least, float((logits.gather(1, right)[:, 0] - others).min()))
    return least


def lead(translator, text, lang):
    """The least lead of a token that the engine `transformers` writes for a text, in logits and in float64."""
    engine, found = copy.copy(translator._engine), []
    engine._model = copy.deepcopy(engine._model).double()
    generate = engine._model.generate

    def watched(**settings):
        written = generate(**settings, output_scores=True, return_dict_in_generate=True)
        for at, scores in enumerate(written.scores):
            best = scores.topk(2).values
            going = ~(written.sequences[:, 1 : at + 1] == engine._eos).any(dim=1)
            found.extend((best[:, 0] - best[:, 1])[going].tolist())
        return written.sequences

    engine._model.generate = watched
    for ids in translator.split([text], lang)[1].values():
        engine([ids], translator._codec.prefix(lang), translator._max_new(len(ids)))
    return min(found)
