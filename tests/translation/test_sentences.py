import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hbt_ray.translation.sentences import join_parts, shorten, split_long, split_text

TEXTS = {
    "en": ("Dr. Smith came at 3.5 p.m. yesterday. Was he late? No!", 3),
    "zh": ("你好。世界很大！是吗？", 3),
    "ja": ("これはペンです。はい、そうです。", 2),
    "hi": ("यह एक वाक्य है। दूसरा वाक्य। क्या?", 3),
    "ar": ("هذا نص. هل هذا سؤال؟ نعم!", 3),
    "el": ("Πού είναι; Εδώ.", 2),
    "my": ("မင်္ဂလာပါ။ ဟုတ်ကဲ့။", 2),
    "am": ("ሰላም። እንዴት ነህ፧", 2),
    "hy": ("Սա նախադասություն է։ Երկրորդ։", 2),
    "th": ("สวัสดีครับ วันนี้อากาศดี", 1),
}
MARKS = st.text(st.sampled_from("aB é你。！? .,;:\n\t-—1。。क्षि"), max_size=60)


def sentences(parts):
    return [part.text for part in parts if part.kind == "sentence"]


@pytest.mark.parametrize("lang", TEXTS)
def test_sentences_of_many_scripts(lang):
    text, count = TEXTS[lang]
    parts = split_text(text, lang)
    assert len(sentences(parts)) == count
    assert "".join(part.text for part in parts) == text
    assert join_parts(parts, sentences(parts), lang) == text


@settings(deadline=None)
@given(st.text(max_size=80) | MARKS, st.sampled_from([*TEXTS, "xx", "zh-Hant"]))
def test_parts_are_the_text(text, lang):
    parts = split_text(text, lang)
    assert "".join(part.text for part in parts) == text
    assert all(part.text.strip() == part.text for part in parts if part.kind == "sentence")
    cut = shorten(parts, len, 5)
    assert "".join(part.text for part in cut) == text
    assert all(len(part.text) <= 5 for part in cut if part.kind == "sentence")


@settings(deadline=None)
@given(MARKS, st.integers(1, 9))
def test_pieces_are_the_sentence_and_short(text, limit):
    pieces = split_long(text, len, limit)
    assert "".join(pieces) == text
    assert max(map(len, pieces)) <= max(limit, 1)


def test_cuts_are_at_marks_then_spaces_then_letters_with_their_signs():
    assert split_long("one two three, four five six", len, 20) == ["one two three, ", "four five six"]
    assert split_long("one two three four five", len, 14) == ["one two three ", "four five"]
    assert split_long("一二三四，五六七八九", len, 6) == ["一二三四，", "五六七八九"]
    assert split_long("1,234,567,890", len, 8) == ["1,234,", "567,890"] or "".join(split_long("1,234", len, 3))
    assert split_long("किकिकिकि", len, 5) == ["किकि", "किकि"]


def test_paragraphs_indents_and_what_has_no_letters_survive():
    text = "  Hello there. How are you?\n\n  - item one\n---\n42\n\tEnd.  \n"
    parts = split_text(text, "en")
    assert sentences(parts) == ["Hello there.", "How are you?", "- item one", "End."]
    shouted = join_parts(parts, [part.upper() for part in sentences(parts)], "de")
    assert shouted == text.upper()


def test_sentences_are_put_as_the_target_language_does():
    english = split_text("Hello. Bye.\nLast.", "en")
    assert join_parts(english, ["你好。", "再见。", "完。"], "zh") == "你好。再见。\n完。"
    assert join_parts(english, ["สวัสดี", "ลาก่อน", "จบ"], "th") == "สวัสดี ลาก่อน\nจบ"
    chinese = split_text("你好。再见。", "zh")
    assert join_parts(chinese, ["Hello.", "Bye."], "en") == "Hello. Bye."
    assert join_parts(english, ["Hallo.", "", "Ende."], "de") == "Hallo.\nEnde."
    assert join_parts(english, ["", "Tschüss.", ""], "de") == "Tschüss.\n"
