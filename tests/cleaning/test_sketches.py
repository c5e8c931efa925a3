import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hbt_ray.cleaning.hashing import normalise, runs, tokens
from hbt_ray.cleaning.sketches import (  # fmt: skip
    NUM_BANDS,
    NUM_HASHES,
    QUESTION_HASHES,
    candidates,
    confirm,
    shingles,
    similarity_of,
    sketches,
    within,
)

WORDS = [f"w{n}" for n in range(400)]


def text(rng, num=80):
    return " ".join(rng.choice(WORDS, num))


def changed(rng, text, share):
    words = text.split()
    for at in np.flatnonzero(rng.random(len(words)) < share):
        words[at] = f"new{rng.integers(1 << 30)}"
    return " ".join(words)


def jaccard(a, b):
    return len(np.intersect1d(a, b)) / len(np.union1d(a, b))


@given(st.lists(st.sampled_from("ab"), max_size=12), st.integers(1, 4))
def test_runs_are_equal_where_texts_are(letters, length):
    sequence = tokens(" ".join(letters), "en")
    found = runs(sequence, length)
    windows = [tuple(letters[at : at + length]) for at in range(max(0, len(letters) - length + 1))]
    assert len(found) == len(windows)
    assert len(set(found.tolist())) == len(set(windows))
    seen = {}
    for window, value in zip(windows, found.tolist(), strict=True):
        assert seen.setdefault(window, value) == value


def test_tokens_are_words_or_characters_without_case_and_width():
    assert tokens("Ｔｈｅ cat, THE cat!", "en").tolist() == tokens("the cat the CAT", "en").tolist()
    assert len(tokens("猫は、いる。", "ja")) == 4
    assert len(tokens("แมวดำ", "th")) == 6  # vowels above a letter count, and one of them is two
    assert len(tokens("हिन्दी में", "hi")) == 2
    assert normalise(" What's  THIS? ") == "what s this"


def test_the_share_of_a_sketch_estimates_jaccard_similarity():
    rng = np.random.default_rng(0)
    errors = []
    for share in (0.0, 0.02, 0.05, 0.1, 0.3, 1.0):
        for _ in range(20):
            a = text(rng)
            b = changed(rng, a, share)
            expected = jaccard(shingles(a, "en"), shingles(b, "en"))
            for questions, passages in ((["who"] * 2, [a, b]), ([a, b], ["she"] * 2)):
                found, _ = sketches(questions, passages, ["en", "en"])
                errors.append(similarity_of(found[0], found[1]) - expected)
    assert abs(np.mean(errors)) < 0.01
    assert np.max(np.abs(errors)) < 4 * 0.5 / np.sqrt(QUESTION_HASHES)


def duplicates(texts, threshold=0.8, lang="en", questions=None):
    questions = ["?"] * len(texts) if questions is None else questions
    found, keys = sketches(questions, texts, [lang] * len(texts))
    return confirm(candidates(keys[:, band] for band in range(NUM_BANDS)), found.__getitem__, threshold)


def test_near_duplicates_are_found_as_by_comparing_all_pairs():
    rng = np.random.default_rng(1)
    originals = [text(rng) for _ in range(150)]
    copies = [changed(rng, originals[at], share) for at in range(50) for share in (0.0, 0.01)]
    texts = originals + copies
    found = duplicates(texts)
    sets = [shingles(one, "en") for one in texts]
    for later, earlier in found.items():
        assert earlier < later
        assert jaccard(sets[later], sets[earlier]) > 0.65
    clear = [
        later
        for later in range(len(texts))
        if any(jaccard(sets[later], sets[earlier]) > 0.93 for earlier in range(later))
    ]
    assert len(clear) > 60
    assert set(clear) <= set(found)


def test_many_questions_on_one_long_passage_are_as_many_items():
    rng = np.random.default_rng(3)
    passage = text(rng, 250)
    questions = [f"{text(rng, 9)}?" for _ in range(200)]
    edited = [f"{asked.upper().replace(' ', ', ')}!" for asked in questions]
    shorter = " ".join(passage.split()[:-1])
    assert duplicates([passage] * 200, questions=questions) == {}
    # Each of them again is a duplicate of its own, with other marks, and on a passage of which a word is gone.
    found = duplicates([passage] * 200 + [shorter] * 200, questions=questions + edited)
    assert found == {200 + at: at for at in range(200)}


def test_one_question_with_other_passages_is_as_many_items():
    rng = np.random.default_rng(4)
    asked = text(rng, 40)
    assert duplicates([f"in {year}" for year in range(1900, 2000)], questions=[asked] * 100) == {}
    assert duplicates(["in 1900", "In 1900."], questions=[asked] * 2) == {1: 0}


def test_of_equal_texts_the_first_stays_and_texts_without_words_are_no_duplicates():
    assert duplicates(["a b c d", "x y z", "a b c d", "A b, c d", "", "", "?!"]) == {2: 0, 3: 0}
    assert duplicates(["これは猫です", "これは犬です", "これは猫です。"], lang="ja") == {2: 0}
    assert duplicates([]) == {}


def test_what_repeats_a_duplicate_is_not_held_against_it():
    pairs = np.array([[1, 0], [2, 1], [3, 0], [4, 2]])
    found = confirm(pairs, lambda item: np.zeros(NUM_HASHES, np.uint8), 0.9)
    assert found == {1: 0, 3: 0, 4: 2}


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=6), min_size=1, max_size=3).filter(
        lambda bands: len({len(band) for band in bands}) == 1
    )
)
def test_candidates_are_the_later_texts_with_the_first_of_their_band(bands):
    expected = {
        (later, band.index(key)) for band in bands for later, key in enumerate(band) if band.index(key) != later
    }
    found = candidates(np.array(band, np.uint64) for band in bands)
    assert [tuple(pair) for pair in found.tolist()] == sorted(expected)


def test_only_texts_of_a_group_are_duplicates_of_each_other():
    texts = ["a b c d"] * 4 + ["", ""]
    found, keys = sketches(texts, texts, ["en"] * 6)
    groups = np.array([1, 2, 1, 2, 1, 1], np.uint64)
    keys = within(keys, groups)
    assert confirm(candidates(keys[:, band] for band in range(NUM_BANDS)), found.__getitem__, 0.8) == {2: 0, 3: 1}


def test_sketches_do_not_depend_on_what_is_sketched_beside():
    rng = np.random.default_rng(2)
    texts = [text(rng, 20) for _ in range(9)] + ["", "one"]
    together = sketches(texts, texts[::-1], ["en"] * len(texts))
    for at, (one, other) in enumerate(zip(texts, texts[::-1], strict=True)):
        alone = sketches([one], [other], ["en"])
        assert np.array_equal(alone[0][0], together[0][at])
        assert np.array_equal(alone[1][0], together[1][at])
    with pytest.raises(ValueError, match="shorter"):
        sketches(["a"], ["a"], [])
