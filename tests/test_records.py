"""The records of a run: whole or not at all, from any number of writers, wherever the directory is."""

import json
import math
import os
import pickle
import shutil
import subprocess
import sys
import threading

import pytest

from hbt_ray import records as module
from hbt_ray.records import RecordReader, RunRecords, read_run, run_directories


@pytest.fixture(params=["local", "memory"])
def directory(request, tmp_path):
    return str(tmp_path / "run") if request.param == "local" else f"memory://{tmp_path.name}/run"


def begin(directory, key="k", **more):
    records = RunRecords(directory)
    records.start(key, "a run", tags={"a": "b"}, settings={"plan": {"alpha": 0.5}}, **more)
    return records


def test_what_is_recorded_is_read_back(directory):
    records = begin(directory, trial={"plan.alpha": 0.5})
    records.metrics(1, {"loss": 1.5, "lr": math.nan})
    records.file("dev/scores.json", "{}")
    records.append("datasets", datasets=[{"name": "dev"}])
    running = read_run(directory)
    assert (running.start["key"], running.start["trial"], running.end) == ("k", {"plan.alpha": 0.5}, {})
    assert running.start["versions"]["numpy"]
    records.end("stopped", step=7, metrics={"dev/pool_map": 0.5})
    run = read_run(directory)
    assert (run.end["status"], run.end["step"], run.end["metrics"]) == ("stopped", 7, {"dev/pool_map": 0.5})
    assert run.datasets == [{"name": "dev"}]
    curves = run.curves()
    assert curves["loss"] == {1: 1.5}
    assert math.isnan(curves["lr"][1])
    records.start("k", "a run", tags={}, settings={})
    assert read_run(directory).end == {}  # it is resumed


def test_a_step_that_is_computed_again_counts_once_by_its_newest_value(directory):
    records = begin(directory)
    for step in range(5):
        records.metrics(step, {"loss": float(step)})
    again = RunRecords(directory)
    for step in range(3, 7):
        again.metrics(step, {"loss": 10.0 + step})
    records.flush()
    again.flush()
    assert read_run(directory).curves()["loss"] == {0: 0.0, 1: 1.0, 2: 2.0, 3: 13.0, 4: 14.0, 5: 15.0, 6: 16.0}


def test_metrics_wait_for_a_segment_on_object_storage_and_nothing_else_does(tmp_path, monkeypatch):
    directory = f"memory://{tmp_path.name}/segments"
    records, reader = begin(directory), RecordReader(directory)
    assert [record["kind"] for record in reader.new()] == ["start"]
    for step in range(5):
        records.metrics(step, {"loss": 1.0})
    assert reader.new() == []
    records.file("a.txt", "a")
    assert [record["kind"] for record in reader.new()] == ["metrics"] * 5 + ["file"]
    monkeypatch.setattr(module, "SEGMENT_S", 0.0)
    records.metrics(5, {"loss": 1.0})
    assert [record["step"] for record in reader.new()] == [5]
    assert list(reader.counts.values()) == [8]


def test_lines_that_were_cut_off_or_are_damaged_are_left_out_and_nothing_else_is(tmp_path, caplog):
    records = begin(str(tmp_path))
    for step in range(3):
        records.metrics(step, {"loss": 1.0})
    (file,) = (tmp_path / "records").iterdir()
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[:2], b'{"kind": "met\x00\n', *lines[2:]])[:-4])
    reader = RecordReader(str(tmp_path))
    assert [record.get("step") for record in reader.new()] == [None, 0, 1]
    assert "has a line that is no record" in caplog.text
    with file.open("ab") as rest:
        rest.write(lines[-1][-4:])  # it was on its way
    assert [record["step"] for record in reader.new()] == [2]


def test_what_cannot_be_written_whole_is_not_written(tmp_path, monkeypatch):
    records = begin(str(tmp_path))
    (file,) = (tmp_path / "records").iterdir()
    before, write = file.read_bytes(), os.write
    monkeypatch.setattr(os, "write", lambda number, data: write(number, data[:10]))
    with pytest.raises(OSError, match="No space left"):
        records.metrics(1, {"loss": 1.0})
    assert file.read_bytes() == before
    monkeypatch.undo()
    records.metrics(2, {"loss": 1.0})
    assert [record.get("step") for record in RecordReader(str(tmp_path)).new()] == [None, 2]


def test_threads_and_processes_do_not_get_into_each_other(tmp_path):
    records = begin(str(tmp_path))
    other = pickle.loads(pickle.dumps(records))

    def work(writer, first):
        for step in range(first, first + 200):
            writer.metrics(step, {"loss": 0.5, "text": 1e-300})

    threads = [threading.Thread(target=work, args=(records if at < 2 else other, 200 * at)) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list((tmp_path / "records").iterdir())) == 2
    assert list(read_run(str(tmp_path)).curves()["loss"]) == list(range(800))


def test_a_process_that_is_killed_leaves_all_that_it_recorded(tmp_path):
    code = f"""
import os, signal
from hbt_ray.records import RunRecords
records = RunRecords({str(tmp_path)!r})
records.start("k", "k", tags={{}}, settings={{}})
for step in range(50):
    records.metrics(step, {{"loss": 1.0}})
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == -9
    assert list(read_run(str(tmp_path)).curves()["loss"]) == list(range(50))


def test_records_of_another_place_are_found_by_their_directories(directory, tmp_path):
    root = directory.rsplit("/", 1)[0] + "/runs [a] %25"
    assert run_directories(root) == []
    begin(root)
    begin(f"{root}/b").end("finished")
    begin(f"{root}/a")
    RunRecords(f"{root}/c").file("x", "no start")
    assert run_directories(root) == [root, f"{root}/a", f"{root}/b", f"{root}/c"]
    if "://" not in root:
        shutil.move(root, tmp_path / "moved")
        assert read_run(str(tmp_path / "moved" / "b")).end["status"] == "finished"


def test_some_records_of_each_writer_can_be_skipped(tmp_path):
    first, second = begin(str(tmp_path)), RunRecords(str(tmp_path))
    for step in range(3):
        first.metrics(step, {"loss": 1.0})
        second.metrics(10 + step, {"loss": 1.0})
    reader = RecordReader(str(tmp_path))
    reader.new()
    later = RecordReader(str(tmp_path))
    later.skip({writer: num - 1 for writer, num in reader.counts.items()})
    assert sorted(record["step"] for record in later.new()) == [2, 12]
    assert later.counts == reader.counts


def test_a_record_is_a_line_that_any_reader_of_json_takes(tmp_path):
    begin(str(tmp_path)).metrics(1, {"loss": math.inf})
    (file,) = (tmp_path / "records").iterdir()
    for line in file.read_text(encoding="utf-8").splitlines():
        assert json.loads(line, parse_constant=lambda _: 1 / 0)["time_ms"] > 0
