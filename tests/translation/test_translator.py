"""The whole way of a text: sentences, tokens, model, text; both engines, all families."""

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import BertConfig, BertModel, T5Config, T5ForConditionalGeneration

from hbt_ray.errors import ConfigError
from hbt_ray.model.find import model_directory, model_fingerprint
from hbt_ray.translation.codec import Codec, unknown_translator
from hbt_ray.translation.convert import convert_model
from hbt_ray.translation.translator import batches
from tests.translation import toy

ENGINES = ("ctranslate2", "transformers")
LEAST_LEAD = 1e-3
"""In logits, of the token that is written: of random weights some come to a tie, which each engine rounds its way."""
CASES = [("m2m_100", "zh"), ("nllb", "zh-Hant"), ("marian", "de"), ("marian-mul", "zh")]


@pytest.mark.parametrize("engine", ENGINES)
def test_every_sentence_becomes_the_right_one(toy_model, load, sentences, engine):
    translator = load(toy_model, engine=engine)
    done = translator(sentences, "de")
    assert done.texts == [toy.answer(text) for text in sentences]
    assert done.cut == [0] * len(sentences)
    assert done.num_tokens == sum(len(translator._codec.encode([text], "de")[0]) for text in set(sentences))


@pytest.mark.parametrize("engine", ENGINES)
def test_paragraphs_keep_their_shape(toy_model, load, engine):
    def text(translate):
        first, second = translate("cat sees dog."), translate("big fish eats moon!")
        return f"{first} {second}\n\n   {second}\n----\n{first} {first} 12 34\n"

    def same(sentence):
        return sentence

    translated = load(toy_model, engine=engine)([text(same), "", "  \n "], "de").texts
    assert translated[0].removesuffix(" 12 34\n") == text(toy.answer).removesuffix(" 12 34\n")
    assert translated[1:] == ["", "  \n "]


@pytest.mark.parametrize("engine", ENGINES)
def test_long_sentences_are_cut_into_pieces_and_nothing_is_lost(toy_model, load, engine):
    rng = random.Random(3)
    words = [word for _ in range(20) for word in rng.sample(toy.ENGLISH, 15)]
    translator = load(toy_model, engine=engine, max_sentence_tokens=8)
    (parts,), encoded = translator.split([" ".join(words)], "de")
    assert "".join(part.text for part in parts) == " ".join(words)
    assert {part.text for part in parts if part.kind == "sentence"} == set(encoded)
    assert max(map(len, encoded.values())) <= 8
    done = translator([" ".join(words)], "de").texts[0].split()
    assert done == [toy.WORDS[word] for word in words]


@pytest.mark.parametrize(("family", "lang"), CASES)
def test_both_engines_write_the_same_tokens(random_models, load, sentences, family, lang):
    texts = [*sentences[:60], "the </s> cat __de__ <pad> >>deu<< deu_Latn sees.", ">>> 1 << 2 cat"]
    fast, slow = (load(random_models[family], engine=engine, max_output_ratio=1.0) for engine in ENGINES)
    texts = [text for text in texts if toy.lead(slow, text, lang) > LEAST_LEAD]
    assert len(texts) >= 40
    fast, slow = fast(texts, lang), slow(texts, lang)
    assert fast == slow
    assert len(set(fast.texts)) >= 5  # it is not the same for all
    assert fast.num_new_tokens > 200


def test_settings_of_decoding_count_and_are_the_same_in_both_engines(toy_model, load, sentences):
    plain = load(toy_model)(sentences[:60], "de")
    beams = [load(toy_model, engine=engine, beam_size=3)(sentences[:60], "de") for engine in ENGINES]
    assert beams[0].texts == beams[1].texts == plain.texts  # the model is sure of itself
    for engine in ENGINES:
        for ngram, differ in ((0, False), (1, True)):
            translator = load(toy_model, engine=engine, no_repeat_ngram=ngram)
            codec = translator._codec
            (written,) = translator._engine(codec.encode(["cat cat cat cat."], "de"), codec.prefix("de"), 8)
            assert (len(written.ids) == len(set(written.ids))) == differ
    assert load(toy_model, precision="int8")(sentences[:60], "de").texts == plain.texts


def test_an_output_without_end_is_counted(random_models, load):
    done = load(random_models["m2m_100"], max_output_ratio=1.0)(["cat sees dog. cat eats fish.", "12"], "zh")
    assert done.cut == [2, 0]
    assert done.texts[1] == "12"


def test_results_do_not_depend_on_the_order_of_texts(toy_model, load, sentences):
    translator = load(toy_model)
    back = translator(sentences[::-1], "de").texts[::-1]
    assert back == translator(sentences, "de").texts


@settings(deadline=None)
@given(st.lists(st.integers(1, 50), max_size=60), st.integers(64, 200))
def test_batches_hold_each_row_once_within_the_budget(lengths, budget):
    found = list(batches(lengths, budget))
    assert sorted(at for batch in found for at in batch) == list(range(len(lengths)))
    assert all(len(batch) * max(lengths[at] for at in batch) <= budget for batch in found)
    assert [lengths[at] for batch in found for at in batch] == sorted(lengths, reverse=True)


def test_a_model_is_converted_once(random_models, tmp_path):
    directory = random_models["nllb"]
    fingerprint = model_fingerprint(directory)
    made = convert_model("x/nllb", directory, fingerprint, "int8", tmp_path)
    before = (made / "model.bin").stat().st_mtime_ns
    assert convert_model("x/nllb", directory, fingerprint, "int8", tmp_path) == made
    assert (made / "model.bin").stat().st_mtime_ns == before
    (made / "made_from.json").unlink()  # cut off in the middle
    assert convert_model("x/nllb", directory, fingerprint, "int8", tmp_path) == made
    assert (made / "model.bin").stat().st_mtime_ns != before
    assert convert_model("x/nllb", directory, fingerprint, "float32", tmp_path) != made
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_a_models_fingerprint_is_its_files(random_models, tmp_path):
    toy.build_nllb(tmp_path / "same")
    toy.build_nllb(tmp_path / "other", seed=1)
    prints = [model_fingerprint(place) for place in (random_models["nllb"], tmp_path / "same", tmp_path / "other")]
    assert prints[0] == prints[1] != prints[2]
    (tmp_path / "same" / "README.md").write_text("x")
    assert model_fingerprint(tmp_path / "same") == prints[0]


@pytest.mark.parametrize(
    ("family", "lang", "message"),
    [
        (
            "m2m_100",
            "eo",
            r"^translate\.langs='eo' is not allowed: model 'm' has no such language; it has af, am, ",
        ),
        ("nllb", "pt-BR", r"no such language; did you mean pt\?; it has ace-Arab, "),
        ("marian", "fr", r"translate\.langs='fr' is not allowed: model 'm' has no such language; it has de$"),
        ("marian-mul", "es", r"translate\.langs='es' is not allowed: .*; it has cmn_Hans, deu, fra$"),
    ],
)
def test_languages_that_a_model_lacks(random_models, family, lang, message):
    codec = Codec("m", str(random_models[family]), "en")
    with pytest.raises(ConfigError, match=message):
        codec.check_target(lang)
    for good in {"m2m_100": ["de", "tgl", "nso"], "nllb": ["de", "sr"], "marian": ["de"]}.get(family, ["zh", "fr"]):
        codec.check_target(good)


def test_source_languages_are_checked(random_models):
    with pytest.raises(ConfigError, match=r"translate\.source_lang='eo' is not allowed: .* it has af, "):
        Codec("m", str(random_models["m2m_100"]), "eo")
    with pytest.raises(ConfigError, match=r"translate\.source_lang='fr' is not allowed: .* it has en$"):
        Codec("m", str(random_models["marian"]), "fr")


def test_models_that_cannot_be_used_are_told_in_one_line(tmp_path, monkeypatch):
    BertModel(
        BertConfig(vocab_size=10, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    ).save_pretrained(tmp_path / "bert")
    T5ForConditionalGeneration(
        T5Config(vocab_size=10, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2, decoder_start_token_id=0)
    ).save_pretrained(tmp_path / "t5")
    (tmp_path / "empty").mkdir()
    for name, message in (
        ("bert", r"is not a sequence-to-sequence model \(it is bert\); allowed are M2M-100, NLLB and Marian"),
        ("t5", r"is of the architecture t5; allowed are"),
        ("empty", r"cannot be loaded: .*; give the directory of a model"),
    ):
        with pytest.raises(ConfigError, match=rf"^translate\.model=.*{name}.* {message}") as told:
            Codec(str(tmp_path / name), str(tmp_path / name), "en")
        assert "\n" not in str(told.value)
    with pytest.raises(ConfigError, match="no weights"):
        model_fingerprint(tmp_path / "empty", unknown_translator)
    with pytest.raises(ConfigError, match=r"translate\.model='/no/such/place' cannot be loaded: there is no such dir"):
        model_directory("/no/such/place", unknown_translator)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(ConfigError, match=r"'nobody/nothing' cannot be loaded: it is not in the local cache") as told:
        model_directory("nobody/nothing", unknown_translator)
    assert "\n" not in str(told.value)
    assert model_directory(str(tmp_path / "t5")) == Path(tmp_path / "t5")


def test_a_precision_that_the_device_lacks(random_models, load):
    import ctranslate2

    if "float16" in ctranslate2.get_supported_compute_types("cpu"):
        pytest.skip("this CPU computes in float16")
    with pytest.raises(ConfigError, match=r"translate\.precision='float16' is not to be had on cpu here; .* float32"):
        load(random_models["nllb"], precision="float16")
