"""Fixtures of the whole suite: one small Ray cluster, a small corpus and encoder, and the real data."""

import os
import tempfile
from functools import reduce
from pathlib import Path

import hypothesis
import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
DATA = REPOSITORY.parent / "shared" / "data"
SMALL_LANGS = ("en", "de", "el", "zh")


def pytest_configure(config):
    # An example that takes 200 ms fails by default: a busy machine is no error, and a test that hangs has its limit.
    hypothesis.settings.register_profile("any machine", deadline=None)
    hypothesis.settings.load_profile("any machine")
    # Before anything imports Ray: a cluster on the loopback only, and short waits for short runs.
    os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.2")
    os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="hbt-cache-")  # what is measured once a machine
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    os.environ.pop("RAY_ADDRESS", None)
    if "PYTEST_XDIST_WORKER" in os.environ:  # before anything imports PyTorch: its threads would wait for each other
        os.environ.setdefault("OMP_NUM_THREADS", "1")


SLOW_FIXTURES = {"server", "workers"}


def pytest_collection_modifyitems(items):
    for item in items:
        if SLOW_FIXTURES & set(item.fixturenames):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def ray_session():
    """A local Ray cluster of 4 logical CPUs, shut down at the end."""
    import ray

    ray.init(
        address="local",  # not one whose address another program left on this machine
        num_cpus=4,
        resources={"hbt_driver": 8},
        include_dashboard=True,
        dashboard_host="127.0.0.1",
        _node_ip_address="127.0.0.1",
        log_to_driver=False,
        logging_level="ERROR",
    )
    yield ray
    ray.shutdown()


@pytest.fixture(scope="session")
def real_data():
    """Directory of the real data sets; tests that need it are skipped where it is absent."""
    if not DATA.is_dir():
        pytest.skip(f"the real data sets are not at {DATA}")
    return DATA


@pytest.fixture(scope="session")
def small_input(tmp_path_factory):
    """The sample corpus in four languages, in long form."""
    from hbt_ray.corpus.sample import write_sample

    directory = tmp_path_factory.mktemp("sample")
    write_sample(directory)
    for path in directory.glob("*.parquet"):
        if path.stem not in SMALL_LANGS:
            path.unlink()
    return directory


@pytest.fixture(scope="session")
def small_base(tmp_path_factory, small_input):
    """A very small XLM-R with a tokenizer trained on the sample."""
    import pyarrow.parquet as pq

    from hbt_ray.model.tiny import build_tiny_encoder

    directory = tmp_path_factory.mktemp("models") / "base"
    texts = [
        text
        for path in sorted(small_input.glob("*.parquet"))
        for row in pq.read_table(path, columns=["question", "passage"]).slice(0, 300).to_pylist()
        for text in row.values()
    ]
    build_tiny_encoder(directory, texts, vocab_size=2000, hidden_size=32, num_layers=1)
    return str(directory)


@pytest.fixture(scope="session")
def small_corpus(tmp_path_factory, ray_session, small_input, small_base):
    """The small input, prepared for the small encoder."""
    from hbt_ray.config import CorpusConfig
    from hbt_ray.corpus.prepare import prepare

    config = CorpusConfig(
        input=str(small_input), dev_ids=str(small_input / "dev_ids.txt"), max_query_tokens=32, max_passage_tokens=64
    )
    return prepare(config, small_base, str(tmp_path_factory.mktemp("corpora")))


@pytest.fixture
def in_process(monkeypatch):
    """Stages of tasks run one after the other, without a cluster."""
    from hbt_ray.cluster import tasks

    def through(items, stage):
        if isinstance(stage.work, type):
            work, args = stage.work(*stage.args), ()
        else:
            work, args = stage.work, stage.args
        for item in items:
            yield from work(item, *args)

    def stream(items, *stages, **settings):
        return reduce(through, stages, items)

    class Shared:
        def __init__(self, value):
            self.get = lambda: value

    monkeypatch.setattr(tasks, "stream", stream)
    monkeypatch.setattr(tasks, "Shared", Shared)
