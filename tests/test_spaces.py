import pytest

from hbt_ray.cleaning.hashing import tokens
from hbt_ray.languages import touching, unspaced
from hbt_ray.translation.sentences import Part, join_parts


@pytest.mark.parametrize("lang", ["zh", "zh-Hant", "cmn", "cmn-Hans-CN", "lzh", "yue", "wuu", "hak", "gan", "ja"])
def test_what_has_no_spaces_at_all(lang):
    assert unspaced(lang)
    assert touching(lang)
    assert len(tokens("吾輩は猫", lang)) == 4
    parts = [Part("a", "sentence"), Part(" ", "gap"), Part("b", "sentence")]
    assert join_parts(parts, ["甲。", "乙。"], lang) == "甲。乙。"


@pytest.mark.parametrize("lang", ["th", "lo", "km", "my", "bo", "dz", "shn", "nod"])
def test_what_has_spaces_between_sentences_only(lang):
    assert unspaced(lang)
    assert not touching(lang)


@pytest.mark.parametrize("lang", ["en", "ko", "vi", "hi", "am", "zh-Latn", "ja-Latn", "tlh", "kac", "?"])
def test_what_has_spaces(lang):
    assert not unspaced(lang)
    assert not touching(lang)
