import re

import numpy as np
import pytest

from hbt_ray.cleaning.identify import identifier, unjudged
from hbt_ray.cleaning.lost_parts import entities_of
from hbt_ray.cleaning.numerals import han_numbers, numbers_of
from hbt_ray.cleaning.rules import RULES
from hbt_ray.cleaning.similarity import similarity
from hbt_ray.cleaning.texts import Field, prose
from hbt_ray.config import CleanConfig
from hbt_ray.languages import canonical_lang

EN = (
    "The garbage collector frees 128 MB of memory every 60 seconds, and it has done so since version 2014 of the "
    "program was released to the public by its authors."
)
DE = (
    "Die automatische Speicherbereinigung gibt alle 60 Sekunden 128 MB Speicher frei, und sie tut das, seit die "
    "Version 2014 des Programms von ihren Autoren veröffentlicht wurde."
)
RU = (
    "Сборщик мусора освобождает 128 МБ памяти каждые 60 секунд, и он делает это с тех пор, как авторы выпустили "
    "версию 2014 этой программы для всех желающих."
)
ZH = "自2014版程序由其作者向公众发布以来，垃圾收集器每60秒释放128MB的内存。"
TH = "ตัวเก็บขยะจะคืนหน่วยความจำ ๑๒๘ เมกะไบต์ทุก ๖๐ วินาที และทำเช่นนี้มาตั้งแต่ผู้เขียนเผยแพร่โปรแกรมในปี ๒๕๕๗"
AR = (
    "يحرر جامع المهملات ١٢٨ ميغابايت من الذاكرة كل ٦٠ ثانية، وهو يفعل ذلك منذ أن أصدر المؤلفون نسخة ٢٠١٤ "
    "من البرنامج للجمهور."
)
GOOD = {"de": DE, "ru": RU, "zh": ZH, "th": TH, "ar": AR}


def judge(rule, lang, text, original=None, name="passage", **settings):
    """(value, bad) of one text."""
    field = Field(name=name, langs=[lang], texts=[text], originals=[original])
    found = RULES[rule](field, CleanConfig(**settings))
    assert len(found.values) == len(found.bad) == 1
    return found.values[0], bool(found.bad[0])


@pytest.mark.parametrize("lang", sorted(GOOD))
@pytest.mark.parametrize("rule", sorted(RULES))
def test_a_good_translation_passes_every_rule(rule, lang):
    value, bad = judge(rule, lang, GOOD[lang], EN)
    assert not bad, value


@pytest.mark.parametrize("rule", sorted(RULES))
def test_the_original_itself_is_no_bad_row(rule):
    assert not judge(rule, "en", EN)[1]


BAD = {
    "cut off": ("length_ratio", "de", DE[:20], EN),
    "cut off in a script of words": ("length_ratio", "zh", ZH[:3], EN),
    "run on": ("length_ratio", "ru", RU * 5, EN),
    "not translated": ("untranslated", "de", EN, EN),
    "not translated but for a word": ("untranslated", "ru", EN.replace("memory", "памяти"), EN),
    "in English": ("wrong_language", "de", EN, None),
    "in German": ("wrong_language", "ru", DE, EN),
    "in Russian": ("wrong_language", "zh", RU, EN),
    "a loop": ("repetition", "de", DE + " und dann" * 60, EN),
    "a loop of characters": ("repetition", "zh", ZH + "内存" * 80, EN),
    "numbers are gone": ("numbers", "de", DE.replace("128", "").replace("60", "").replace("2014", ""), EN),
    "other numbers": ("numbers", "th", TH.replace("๑๒๘", "๓๓").replace("๖๐", "๔๔").replace("๒๕๕๗", "๙๙๙๙"), EN),
    "identifiers are gone": (
        "entities", "de", "Siehe Anleitung.", "See array_map(), getElementById and https://example.org/a_b."
    ),
    "tags are gone": ("markup", "de", "Ein Satz.", "<p>One <b>sentence</b>.</p>"),
    "placeholders are gone": ("markup", "de", "Ein Satz für alle.", "{name} has %d of {{total}} and %(more)s"),
    "bytes that are no text": ("markup", "de", "Ein S\ufffdtz", "One sentence"),
    "tokens of a model": ("markup", "de", "Ein <unk> Satz", None),
    "escaped twice": ("markup", "de", "a &amp;lt; b", "a &lt; b"),
}  # fmt: skip


@pytest.mark.parametrize("case", sorted(BAD))
def test_bad_rows_are_rejected_by_their_rule(case):
    rule, lang, text, original = BAD[case]
    value, bad = judge(rule, lang, text, original)
    assert bad, value
    assert not np.isnan(value)


def test_short_texts_and_names_of_functions_get_no_verdict():
    for lang, text, original in (
        ("fr", "array_map", "array_map"),
        ("de", "Installation", "Installation"),
        ("ru", "5", "5"),
    ):
        for rule in ("untranslated", "wrong_language", "repetition", "numbers", "entities"):
            assert not judge(rule, lang, text, original, name="question")[1], (rule, text)
    shared = "is_int() is_float() is_string() is_bool() is_array() is_object()"
    assert not judge("untranslated", "fr", f"Alias de {shared}", f"Alias of {shared}")[1]
    assert not judge("wrong_language", "ja", "mysqli_stmt::bind_param PDOStatement::bindValue mysqli_stmt_execute()")[1]


def test_languages_that_are_easily_confused_are_not_rejected_as_each_other():
    malay = "Pengurus memori membebaskan memori setiap minit sejak program ini dikeluarkan kepada orang ramai."
    for lang in ("ms", "id"):
        assert not judge("wrong_language", lang, malay)[1]
    assert judge("wrong_language", "de", malay)[1]


UNDER_OTHER_CODES = {
    "tgl fil": "Ang mabilis na kayumangging soro ay tumatalon sa ibabaw ng tamad na aso at tumatakbo sa bukid.",
    "no nb": "Den raske brune reven hopper over den late hunden og løper langt ut på jordet hver eneste morgen.",
    "zh zh-Hant cmn cmn-Hant yue wuu": "敏捷的棕色狐狸每天早上都會跳過那隻懶惰的狗，然後跑到遠處的田野裡去尋找食物。",
    "lzh": "學而時習之，不亦說乎？有朋自遠方來，不亦樂乎？人不知而不慍，不亦君子乎？",
    "fa pes prs": "روباه قهوه‌ای چابک هر روز صبح از روی سگ تنبل می‌پرد و به مزرعه‌ای دور می‌دود تا غذا پیدا کند.",
    "sw swh": "Mbweha mwepesi wa kahawia huruka juu ya mbwa mvivu kila asubuhi na kukimbia hadi shamba la mbali.",
    "lv lvs": "Ātrā brūnā lapsa katru rītu lec pāri slinkajam sunim un skrien uz tālu lauku meklēt barību mazuļiem.",
    "ms zsm": "Musang perang yang pantas itu melompat ke atas anjing yang malas setiap pagi dan berlari ke ladang.",
    "sr": "Брза смеђа лисица сваког јутра прескаче лењог пса и трчи у далеко поље да потражи храну.",
    "sr-Latn hbs": "Brza smeđa lisica svakog jutra preskače lenjog psa i trči u daleko polje da potraži hranu.",
    "uz-Cyrl": "Тезкор жигарранг тулки ҳар куни эрталаб дангаса ит устидан сакраб ўтиб, узоқ далага югуради.",
    "ku kmr": "Roviyê qehweyî yê bilez her sibe di ser kûçikê tembel re baz dide û ji bo xwarinê direve zeviyeke dûr.",
    "mn khk": "Хурдан бор үнэг өглөө бүр залхуу нохойг давж үсэрч, хоол хайхаар алс холын талбай руу гүйдэг.",
    "et ekk": "Kiire pruun rebane hüppab igal hommikul üle laisa koera ja jookseb kaugele põllule toitu otsima.",
    "ne npi": "छिटो खैरो फ्याउरो हरेक बिहान अल्छी कुकुरमाथि उफ्रन्छ र खानाको खोजीमा टाढाको खेतमा दौडन्छ।",
    "or ory": "ଦ୍ରୁତ ବାଦାମୀ କୋକିଶିଆଳି ପ୍ରତିଦିନ ସକାଳେ ଅଳସୁଆ କୁକୁର ଉପରେ ଡେଇଁଥାଏ ଏବଂ ଦୂର କ୍ଷେତକୁ ଦୌଡ଼େ।",
    "ar arb arz ary apc": "يقفز الثعلب البني السريع فوق الكلب الكسول كل صباح ويركض إلى الحقل البعيد بحثا عن الطعام.",
    "az azj": "Sürətli qəhvəyi tülkü hər səhər tənbəl itin üstündən tullanır və yemək üçün uzaq tarlaya qaçır.",
    "sq als": "Dhelpra e shpejtë kafe kërcen mbi qenin dembel çdo mëngjes dhe vrapon në fushën e largët.",
}


@pytest.mark.parametrize("codes", UNDER_OTHER_CODES)
def test_a_language_is_judged_under_all_its_codes(codes):
    for lang in codes.split():
        assert judge("wrong_language", lang, UNDER_OTHER_CODES[codes]) == (0.0, False), lang
        value, bad = judge(
            "wrong_language", lang, "It jumps over the dog in the morning and runs to the fields far away."
        )
        assert bad, (lang, value)


def test_a_language_in_another_script_than_its_usual_one_gets_no_verdict():
    for lang in ("pa-Arab", "zh-Latn", "hi-Latn", "az-Arab", "mn-Mong", "ckb", "nan", "tlh"):
        assert np.isnan(judge("wrong_language", lang, DE)[0]), lang
    assert unjudged(map(canonical_lang, identifier().langs)) == ["zxx"]  # no language
    assert unjudged(["hi-Latn", "de", "cmn-Hant", "tlh", "tgl", "ki"]) == ["hi-Latn", "tlh"]


def test_a_language_that_the_identifier_does_not_know_gets_no_verdict():
    value, bad = judge("wrong_language", "tlh", DE)
    assert np.isnan(value)
    assert not bad


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1,234.50 and 007 or 12", {"123450", "12"}),
        ("९८७ १", {"987"}),
        ("٢٠١٤ ۲۰۱۴", {"2014"}),
        ("1’234 8.0.2", {"1234", "802"}),
        ("a7 5", set()),
        ("１２３", {"123"}),
    ],
)
def test_numbers_in_any_digits(text, expected):
    assert numbers_of(text) == {frozenset({(number,)}) for number in expected}


@pytest.mark.parametrize("space", [" ", "\u00a0", "\u2009", "\u202f"])
def test_numbers_grouped_by_spaces_are_the_same_numbers(space):
    grouped = f"Von 1{space}234 über 5{space}678{space}900 und 7{space}000 bis 9{space}876,50."
    original = "From 1,234 by 5,678,900 and 7,000 to 9,876.50."
    assert judge("numbers", "pl", grouped, original) == (0.0, False)
    assert judge("numbers", "en", original, grouped) == (0.0, False)
    assert judge("numbers", "pl", grouped.replace("1", "4").replace("5", "3"), original)[0] > 0.4
    assert judge("numbers", "en", "From 4,321 to 8.", grouped) == (1.0, True)


def test_numbers_that_only_stand_side_by_side_stay_two():
    original = "In 1990 200 people had 60 128 MB drives and 17."
    assert judge("numbers", "de", "1990 hatten 200 Leute 60 Laufwerke mit 128 MB und 17.", original) == (0.0, False)
    assert judge("numbers", "de", original, "1990 hatten 200 Leute 60 Laufwerke mit 128 MB; 17.") == (0.0, False)
    assert (
        judge("numbers", "fr", "En 1990 200 000 personnes, en 1991 300 000.", "In 1990 200,000, in 1991 300,000.")[0]
        == 0.0
    )
    assert numbers_of("60 128 x") == {frozenset({("60128",), ("60", "128")})}
    assert numbers_of("1 000") == {frozenset({("1000",)})}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("一千二百五十", {"1250"}),
        ("二〇一四年和一九九八年", {"2014", "1998"}),
        ("十二、二十、两千零五、廿一", {"12", "20", "2005", "21"}),
        ("３万人と12億5000万", {"30000", "1250000000"}),
        ("一千二百三十四万五千六百七十八", {"12345678"}),
        ("一个 1.2万 12", set()),
        ("九" * 9000, set()),
    ],
)
def test_numbers_in_chinese_numerals(text, expected):
    assert han_numbers(text) == expected


def test_chinese_numerals_are_kept_numbers_and_not_asked_for():
    original = "The 1,250 copies of 2014 weigh 36 kg."
    for lang, text in (
        ("zh", "二〇一四年的一千二百五十份重三十六公斤。"),
        ("ja", "二〇一四年の千二百五十部は三十六キロ。"),
    ):
        assert judge("numbers", lang, text, original) == (0.0, False)
        assert np.isnan(judge("numbers", "en", "Copies.", text)[0])
    assert judge("numbers", "zh", "二〇一五年的九百份重十八公斤。", original) == (1.0, True)


def test_marks_of_footnotes_are_not_asked_for():
    original = "One of 483 compounds,[16][17] at least 65 others.[note 12] In 2014[n 1] 36 were known.[18]"
    assert judge("numbers", "es", "Uno de 483 compuestos, al menos otros 65. En 2014 se conocían 36.", original) == (
        0.0,
        False,
    )
    assert judge("numbers", "es", "Uno de muchos compuestos, [16][17] al menos otros.", original) == (1.0, True)


def test_years_of_other_calendars_are_kept_numbers():
    original = "In 1999, 2005 and 2014."
    assert judge("numbers", "th", "ในปี ๒๕๔๒ ๒๕๔๘ และ ๒๕๕๗", original) == (0.0, False)
    assert judge("numbers", "th", "ในปี ๒๕๔๐ ๒๕๔๙ และ ๒๕๕๐", original) == (1.0, True)


def test_entities_are_addresses_and_names_of_programs():
    text = "See https://a.org/x?y=1, mail me@a.org; str_replace() in useState, and NASA (or Paris)."
    assert entities_of(text) == {"https://a.org/x?y=1", "me@a.org", "str_replace()", "useState"}


def test_renamed_parameters_are_no_loss():
    original = "Copies src_image to dst_image at src_x, src_y."
    assert judge("entities", "tr", "kyn_res, hdf_res, kyn_x, kyn_y", original) == (0.0, False)
    assert judge("entities", "tr", "kyn_res", original) == (0.75, False)
    assert judge("entities", "tr", "src_image ve dst_image", original) == (0.5, False)
    assert judge("entities", "tr", "Kopyalar.", original) == (1.0, True)


def test_an_encoded_address_is_no_placeholder_and_a_tag_goes_by_its_head():
    text = "a%20returns%20words <SomeContext.Provider> <SomeContext.Provider a='b'> {x} </p>"
    changed = "<SomeContext> <SomeContext> {x} </p>"
    assert judge("markup", "fr", changed, text) == (0.0, False)


def test_a_quotation_may_stay_as_it_is():
    said = "A function wrapped in an effect can not be called while the component is rendering"
    assert not judge("wrong_language", "pt", f'Recebo um erro: "{said}"')[1]
    assert not judge("untranslated", "pt", f'Recebo um erro: "{said}"', f'I get an error: "{said}"')[1]
    assert judge("wrong_language", "pt", said)[1]


def test_prose_is_without_code():
    text = "Call str_replace() or <b>x</b>, see http://a.org/b; 日本語のarray_map関数 and Foo::bar."
    assert re.split(r"\s+", prose(text).strip()) == ["Call", "or", "see", "日本語の", "関数", "and"]


class Directions:
    """Texts as vectors by their first word."""

    def encode(self, texts, role):
        table = {"a": [1, 0], "b": [0, 1], "c": [0.6, 0.8]}
        return np.array([table[text.split("\n")[0]] for text in texts], np.float32)


def test_similarity_is_the_cosine_with_the_original():
    def field(name, texts, originals):
        return Field(name=name, langs=["de"] * len(texts), texts=texts, originals=originals)

    questions = field("question", ["a", "a", "a", "b"], ["a", "b", "c", None])
    passages = field("passage", ["x"] * 4, ["y", "y", "y", None])
    found = similarity(questions, passages, CleanConfig(min_similarity=0.7), Directions())
    assert found.values[:3] == pytest.approx([1.0, 0.0, 0.6])
    assert np.isnan(found.values[3])
    assert found.bad.tolist() == [False, True, True, False]
