import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from hbt_ray.config import CorpusConfig
from hbt_ray.corpus.tokens import CHUNK, RoleTokenizer

WORDS = ["<s>", "</s>", "<unk>", "Query", "Passage", ":", "the", "ferry", "leaves", "at", "noon", "?"]
ID = {word: number for number, word in enumerate(WORDS)}


def write_tokenizer(directory, words=tuple(WORDS)):
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="</s>"
    )
    fast.save_pretrained(directory)
    (directory / "config.json").write_text('{"model_type": "bert"}')  # a model directory has one
    return str(directory)


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return write_tokenizer(tmp_path_factory.mktemp("tokenizer"))


def words(*names):
    return [ID[name] for name in names]


def test_prefix_in_front_special_tokens_in_and_cut_to_the_roles_length(directory):
    config = CorpusConfig(query_prefix="Query: ", passage_prefix="Passage: ", max_query_tokens=6, max_passage_tokens=20)
    tokenizer = RoleTokenizer(directory, config)
    values, lengths = tokenizer(["the ferry?", "the ferry leaves at noon?"], "query")
    assert (values.dtype, lengths.dtype) == (np.int32, np.int32)
    assert lengths.tolist() == [6, 6]
    assert values[:6].tolist() == words("<s>", "Query", ":", "the", "ferry", "</s>")
    assert values[6:].tolist() == words("<s>", "Query", ":", "the", "ferry", "</s>")
    values, lengths = tokenizer(["noon", "the island leaves"], "passage")
    assert lengths.tolist() == [5, 7]
    assert values[5:].tolist() == words("<s>", "Passage", ":", "the", "<unk>", "leaves", "</s>")


def test_no_texts(directory):
    values, lengths = RoleTokenizer(directory, CorpusConfig())([], "query")
    assert (values.shape, values.dtype, lengths.shape, lengths.dtype) == ((0,), np.int32, (0,), np.int32)


def test_more_texts_than_are_encoded_at_once(directory):
    texts = ["the ferry leaves"[: 3 + 6 * (number % 3)] for number in range(CHUNK + 7)]
    tokenizer = RoleTokenizer(directory, CorpusConfig())
    values, lengths = tokenizer(texts, "passage")
    one_by_one = [tokenizer([text], "passage")[0] for text in texts[:3]]
    assert lengths[CHUNK : CHUNK + 3].tolist() == [len(one_by_one[(CHUNK + at) % 3]) for at in range(3)]
    np.testing.assert_array_equal(values[: lengths[:3].sum()], np.concatenate(one_by_one))


def test_the_fingerprint_is_of_what_decides_the_ids_and_not_of_calls(directory, tmp_path):
    config = CorpusConfig()
    tokenizer = RoleTokenizer(directory, config)
    before = tokenizer.fingerprint()
    tokenizer(["the ferry"] * 3, "query")
    tokenizer.tokenizer(["the ferry", "noon"], padding=True)
    assert tokenizer.fingerprint() == before == RoleTokenizer(directory, config).fingerprint()
    others = [
        RoleTokenizer(directory, CorpusConfig(query_prefix="Query: ")),
        RoleTokenizer(directory, CorpusConfig(passage_prefix="Query: ")),
        RoleTokenizer(directory, CorpusConfig(max_query_tokens=31)),
        RoleTokenizer(directory, CorpusConfig(max_passage_tokens=31)),
        RoleTokenizer(write_tokenizer(tmp_path, [*WORDS, "island"]), config),
    ]
    assert len({before, *(other.fingerprint() for other in others)}) == 6
    assert RoleTokenizer(directory, CorpusConfig(input="elsewhere", dev_share=0.5)).fingerprint() == before
