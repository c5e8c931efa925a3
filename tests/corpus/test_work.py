import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.corpora import write_corpus
from hbt_ray.config import CorpusConfig
from hbt_ray.corpus import grouping
from hbt_ray.corpus import prepare as module
from hbt_ray.corpus.grouping import WorkDirectory
from hbt_ray.corpus.manifest import MANIFEST
from hbt_ray.corpus.prepare import prepare
from hbt_ray.errors import ClusterError, CorpusError, UnreadableError
from hbt_ray.storage import unreadable

JOB = Path(__file__).parents[2] / "jobs" / "prepare.py"


def write_rows(path, num_items, **texts):
    rows = [
        {"id": f"i{item}", "lang": lang, "question": f"{lang} {item}?", "passage": f"{lang} no. {item}", **texts}
        for item in range(num_items)
        for lang in ("en", "de")
    ]
    pq.write_table(pa.Table.from_pylist(rows), path)
    return CorpusConfig(input=str(path), dev_share=0.2)


def test_what_tasks_gave_back_is_kept_in_their_order(tmp_path):
    work = WorkDirectory(f"{tmp_path}/work")
    assert not work.begin({"cut": "a"})
    assert work.done("parts") == set()
    assert work.results("parts", []) == []
    work.record("parts", 100_000, ("c", b"\0"))
    work.record("parts", 2, {"a": 1})
    work.record("parts", 7, None)
    work.record("others", 1, "x")
    assert work.begin({"cut": "a"})
    assert work.done("parts") == {2, 7, 100_000}
    assert work.results("parts", [100_000, 7, 2]) == [{"a": 1}, None, ("c", b"\0")]
    with pytest.raises(ClusterError, match="was removed while a job worked in it"):
        work.results("parts", [2, 3])
    assert not work.begin({"cut": "b"})
    assert work.done("parts") == set()
    work.remove()
    assert not (tmp_path / "work").exists()


def test_tasks_that_are_done_are_not_run_again(in_process, tmp_path):
    ran, counted, broken = [], [], {2}
    items = [(number,) for number in range(4)]

    def task(item):
        (number,) = item
        ran.append(number)
        if number in broken:
            raise KeyboardInterrupt
        return number**2

    work = WorkDirectory(f"{tmp_path}/work")
    work.begin({})
    with pytest.raises(KeyboardInterrupt):
        grouping.run_tasks(work, "squares", items, task, ())
    broken.clear()
    count = lambda done, total: counted.append((done, total))  # noqa: E731
    assert grouping.run_tasks(work, "squares", items, task, (), count) == [0, 1, 4, 9]
    assert ran == [0, 1, 2, 2, 3]
    assert counted == [(2, 4), (3, 4), (4, 4)]


def test_a_stopped_job_goes_on_and_ends_alike(in_process, tmp_path, small_base, monkeypatch):
    config = write_rows(tmp_path / "in.parquet", 40)
    whole = prepare(config, small_base, f"{tmp_path}/whole", report=lambda line: None)
    make, calls, news = module._make_shards, [], []

    def stopping(*args):
        calls.append(args[1])
        made = make(*args)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return made

    monkeypatch.setattr(module, "_make_shards", stopping)
    with pytest.raises(KeyboardInterrupt):
        prepare(config, small_base, f"{tmp_path}/stopped", report=news.append)
    monkeypatch.setattr(grouping, "_spill", None)  # nothing is read again
    found = prepare(config, small_base, f"{tmp_path}/stopped", report=news.append)
    assert calls == [0, 1, 2, 2, 3]
    assert sum("going on where a stopped job was" in line for line in news) == 1
    assert found.manifest == whole.manifest
    found.verify()
    assert files(found) == files(whole)


def files(corpus):
    return {
        path.name for path in Path(corpus.directory).iterdir() if path.suffix in (".parquet", ".npy") or path.is_dir()
    }


def test_unusable_rows_leave_nothing_behind(in_process, tmp_path, small_base):
    config = write_rows(tmp_path / "in.parquet", 40, passage=" ")
    with pytest.raises(CorpusError, match="empty passage"):
        prepare(config, small_base, f"{tmp_path}/out", report=lambda line: None)
    assert [path.suffix for path in (tmp_path / "out").iterdir()] == [".lock"]


def test_a_job_waits_for_another_of_the_same_corpus(in_process, tmp_path, small_base, monkeypatch):
    config, news, made = write_rows(tmp_path / "in.parquet", 40), [], []
    make, other = module._make_shards, None

    def slow(*args):
        nonlocal other
        if other is None:
            other = threading.Thread(target=run, daemon=True)
            other.start()
            deadline = time.monotonic() + 30
            while not any("another job is making it" in line for line in news) and time.monotonic() < deadline:
                time.sleep(0.01)
        return make(*args)

    def run():
        made.append(prepare(config, small_base, f"{tmp_path}/out", report=news.append))

    monkeypatch.setattr(module, "_make_shards", slow)
    found = prepare(config, small_base, f"{tmp_path}/out", report=lambda line: None)
    other.join()
    assert any("another job is making it" in line for line in news)
    assert "already prepared" in news[-1]
    assert made[0].manifest == found.manifest


@pytest.mark.parametrize(("error", "kept"), [(TimeoutError("timed out"), True), (pa.ArrowInvalid("no Parquet"), False)])
def test_work_is_kept_where_the_input_may_be_in_order(in_process, tmp_path, small_base, monkeypatch, error, kept):
    config = write_rows(tmp_path / "in.parquet", 40)
    whole = grouping.read_unit

    def broken(unit):
        yield next(iter(whole(unit)))
        raise unreadable(unit.path, error, "damaged")

    monkeypatch.setattr(grouping, "read_unit", broken)
    with pytest.raises(UnreadableError if kept else CorpusError, match="cannot be read now" if kept else "damaged"):
        prepare(config, small_base, f"{tmp_path}/out", report=lambda line: None)
    assert [path.is_dir() for path in (tmp_path / "out").glob("*/.work")] == [True] * kept


def test_what_killed_tasks_left_is_removed(in_process, tmp_path, small_base):
    config = write_rows(tmp_path / "in.parquet", 40)
    found = prepare(config, small_base, f"{tmp_path}/out", report=lambda line: None)
    whole = files(found)
    directory = Path(found.directory)
    (directory / MANIFEST).unlink()
    for name in ("train-00001-0badbad0.parquet", "train-00001-0badbad0.parquet.1234.part"):
        (directory / name).write_bytes(b"half")
    (directory / ".work" / "done").mkdir(parents=True)  # of a job that was killed while it removed this
    again = prepare(config, small_base, f"{tmp_path}/out", report=lambda line: None)
    assert again.manifest == found.manifest
    assert files(again) == whole
    assert not list(directory.glob("*.part"))


@pytest.mark.drill
@pytest.mark.timeout(600)
def test_a_killed_job_goes_on(tmp_path, small_base):
    write_corpus(tmp_path / "corpus", 40_000, ("en", "de", "th"))
    recipe = JOB.parent / "recipes" / "parallel_qa.yaml"
    command = [sys.executable, str(JOB), "--recipe", str(recipe), f"workspace={tmp_path}/{{}}"]
    command += [f"corpus.input={tmp_path}/corpus", f"model.base={small_base}", "evaluation.dev_langs=[]"]
    run = lambda where: [part.format(where) for part in command]  # noqa: E731
    subprocess.run(run("whole"), check=True)
    job = subprocess.Popen(run("killed"), start_new_session=True)
    deadline = time.monotonic() + 300
    while len(list((tmp_path / "killed").glob("corpora/*/.work/done/partitions/*.pickle"))) < 2:
        assert job.poll() is None, "the job has ended before it was killed"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(job.pid, signal.SIGKILL)
    job.wait()
    again = subprocess.run(run("killed"), check=True, capture_output=True, text=True)
    assert "going on where a stopped job was" in again.stdout
    whole, killed = (next((tmp_path / name).glob(f"corpora/*/{MANIFEST}")) for name in ("whole", "killed"))
    assert json.loads(whole.read_text()) == json.loads(killed.read_text())
