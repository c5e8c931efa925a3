import itertools
import threading
import time

import pytest

from hbt_ray.training.feed import Feed


def ended(feed):
    return not feed._thread.is_alive()


def test_everything_comes_in_order():
    with Feed(iter(range(100)), lambda x: x * x, depth=3) as feed:
        assert list(feed) == [x * x for x in range(100)]
    assert ended(feed)


def test_it_works_ahead_by_its_depth_and_no_further():
    made = []
    with Feed(itertools.count(), lambda x: made.append(x) or x, depth=3) as feed:
        batches = iter(feed)
        assert next(batches) == 0
        deadline = time.monotonic() + 5
        while len(made) < 5 and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.05)
        assert len(made) == 5  # one taken, three ready, one in the hand
        assert [next(batches) for _ in range(3)] == [1, 2, 3]


@pytest.mark.parametrize("where", ["source", "make"])
def test_an_error_comes_at_the_batch_it_belongs_to(where):
    def source():
        yield from (1, 2)
        if where == "source":
            raise OSError("disk")
        yield 3

    def make(x):
        if x == 3:
            raise OSError("disk")
        return x

    with Feed(source(), make) as feed:
        batches = iter(feed)
        assert [next(batches), next(batches)] == [1, 2]
        with pytest.raises(OSError, match="disk"):
            next(batches)
    assert ended(feed)


def test_closing_ends_the_thread_while_the_queue_is_full_and_the_source_endless():
    feed = Feed(itertools.count(), lambda x: x, depth=2)
    assert next(iter(feed)) == 0
    feed.close()
    feed.close()
    assert ended(feed)


def test_leaving_by_an_error_of_the_consumer_ends_the_thread():
    feed = Feed(itertools.count(), lambda x: x)

    def consume():
        with feed:
            for batch in feed:
                _ = 1 // (batch - 2)

    with pytest.raises(ZeroDivisionError):
        consume()
    assert ended(feed)


def test_waiting_is_added_up():
    ready = threading.Event()
    with Feed(iter([1, 2]), lambda x: ready.wait() and x) as feed:
        threading.Timer(0.15, ready.set).start()
        assert list(feed) == [1, 2]
        assert 0.1 < feed.wait_s < 5


def test_the_end_and_an_error_stay_the_end():
    with Feed(iter([1]), lambda x: x) as feed:
        assert list(feed) == [1]
        assert list(feed) == []
    with Feed(iter([0]), lambda x: 1 // x) as feed:
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                list(feed)


def test_who_waits_for_a_feed_that_is_closed_is_told_that_nothing_comes():
    release = threading.Event()

    def source():
        release.wait(20)
        yield 1

    feed, got = Feed(source(), lambda x: x), []
    consumer = threading.Thread(target=lambda: got.extend(feed), daemon=True)
    consumer.start()
    closer = threading.Thread(target=feed.close)
    closer.start()
    while not feed._closed.is_set():
        time.sleep(0.01)
    release.set()
    closer.join(20)
    consumer.join(20)
    assert not consumer.is_alive()
    assert got == []
