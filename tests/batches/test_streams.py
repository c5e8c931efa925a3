import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hbt_ray.batches.streams import Stream


def make(sizes, batch_size, *, window=2, seed=0):
    """A stream over row groups of these sizes whose items are numbered through, times ten."""
    bounds = np.r_[0, np.cumsum(sizes)]
    groups = np.arange(len(sizes)) + 5
    return Stream(
        groups,
        np.array(sizes),
        lambda group: 10 * np.arange(bounds[group - 5], bounds[group - 4]),
        key=(seed, 1, 2),
        batch_size=batch_size,
        window=window,
    )


@st.composite
def streams(draw):
    """Sizes of row groups, batch size and window, often with less than two batches in a pass."""
    batch_size = draw(st.integers(1, 12))
    size = draw(st.one_of(st.integers(batch_size, 2 * batch_size), st.integers(batch_size, 8 * batch_size)))
    sizes = []
    while size:
        sizes.append(draw(st.integers(1, size)))
        size -= sizes[-1]
    return sizes, batch_size, draw(st.integers(1, 4)), draw(st.integers(0, 99))


@given(streams())
@settings(max_examples=200, deadline=None)
def test_every_item_once_a_pass_and_never_twice_in_a_batch(case):
    sizes, batch_size, window, seed = case
    stream = make(sizes, batch_size, window=window, seed=seed)
    size, num_passes = sum(sizes), 7
    batches = [stream.batch(k) for k in range(-(-num_passes * size // batch_size))]
    for batch in batches:
        assert len(set(batch.tolist())) == batch_size
    order = np.concatenate(batches)[: num_passes * size].reshape(num_passes, size)
    assert (np.sort(order, axis=1) == 10 * np.arange(size)).all()


@given(streams(), st.randoms(use_true_random=False))
@settings(max_examples=80, deadline=None)
def test_a_batch_does_not_depend_on_what_was_read_before_it(case, random):
    sizes, batch_size, window, seed = case
    stream = make(sizes, batch_size, window=window, seed=seed)
    numbers = list(range(6 * sum(sizes) // batch_size))
    in_sequence = [stream.batch(k) for k in numbers]
    random.shuffle(numbers)
    other = make(sizes, batch_size, window=window, seed=seed)
    for k in numbers:
        np.testing.assert_array_equal(other.batch(k), in_sequence[k])
    for k in numbers[:3]:
        np.testing.assert_array_equal(make(sizes, batch_size, window=window, seed=seed).batch(k), in_sequence[k])


def test_passes_and_seeds_have_other_orders():
    first, again, other = (make([10] * 10, 50, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.batch(0), again.batch(0))
    assert (first.batch(0) != other.batch(0)).any()
    assert (np.r_[first.batch(0), first.batch(1)] != np.r_[first.batch(2), first.batch(3)]).any()


def test_a_run_of_batches_touches_few_row_groups():
    group, window, batch_size, num_groups = 20, 3, 15, 60
    stream = make([group] * num_groups, batch_size, window=window)
    for first in range(0, 60, 7):
        for num in (1, 5, 20):
            items = np.concatenate([stream.batch(k) for k in range(first, first + num)])
            touched = len(np.unique(items // (10 * group)))
            num_windows = -(-(num * batch_size - 1) // (window * group)) + 1
            assert touched <= num_windows * window


def test_a_wider_window_changes_the_order_and_not_the_set():
    orders = [np.concatenate([make([20] * 9, 30, window=w).batch(k) for k in range(6)]) for w in (1, 3, 100)]
    for order in orders:
        assert (np.sort(order) == 10 * np.arange(180)).all()
    assert len({order.tobytes() for order in orders}) == 3


def test_a_stream_smaller_than_a_batch_is_refused():
    with pytest.raises(ValueError, match="3 items cannot fill a batch of 4"):
        make([1, 2], 4)


@pytest.mark.parametrize(("size", "most"), [(150, 5), (101, 103), (133, 7), (199, 5), (250, 3)])
def test_looking_far_ahead_makes_few_passes(size, most):
    """A batch of a stream that is little larger than it depends on the passes before; never on all of them."""
    sizes = [size // 5] * 4 + [size - size // 5 * 4]
    first, second = (make(sizes, 100) for _ in range(2))
    passes = set()
    whole = first._order_groups
    first._plan_of_pass = lambda pass_: (passes.add(pass_), whole(pass_))[1]
    far = first.batch(100_000)
    assert len(passes) <= most
    for number in range(99_900, 100_000):
        second.batch(number)
    np.testing.assert_array_equal(second.batch(100_000), far)
