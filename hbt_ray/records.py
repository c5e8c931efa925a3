"""What a run learned, appended to its own directory: the one truth that reports, decisions and MLflow are made from.

    records/WRITER.jsonl          a line per record, a file per process: no writer waits for another
    records/WRITER-000007.jsonl   numbered segments instead, where files cannot be appended to (object storage)
    PATH                          a file that belongs to the run, such as `dev/scores.json`; a record names it

All paths are relative to the run's directory, which can be moved or copied. A record is a JSON object:

    start      key, name, parent, tags, settings, versions, commit: the run begins, or is resumed
    params     values: further settings, nested
    datasets   datasets: what it learns from and is scored on
    metrics    step, values; of a step that is computed again the newest value counts
    file       path, digest
    note       text: a line for people
    checkpoint step: of one that was made
    end        status, tags, and what the run ended with

with its `kind` and the `time_ms` (Unix time) at which it was written. Knows neither Ray nor MLflow.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import secrets
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from hbt_ray.errors import one_line
from hbt_ray.storage import is_local, open_fs, plain, write_whole

logger = logging.getLogger(__name__)

Record = dict[str, Any]
EndStatus = Literal["finished", "stopped", "failed", "killed"]
"""`stopped` is early, by a scheduler; `killed` by a person or a signal."""

FOLDER, SUFFIX = "records", ".jsonl"
SEGMENT_S = 10.0
"""Seconds that metrics wait for a segment on object storage; any other record is written at once."""
PACKAGES = ("hbt-ray", "torch", "transformers", "sentence-transformers", "ray", "numpy", "pyarrow", "mlflow")


class RunRecords:
    """Appends to the records of the run in `directory`; safe to use from several threads, and to make anywhere."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._name = f"{time.time_ns():020d}-{secrets.token_hex(3)}"
        self._lock = threading.Lock()
        self._waiting: list[bytes] = []
        self._since = 0.0
        self._num_segments = 0

    def __reduce__(self) -> tuple[type[RunRecords], tuple[str]]:
        return RunRecords, (self.directory,)  # another process has a file of its own

    def start(
        self,
        key: str,
        name: str,
        *,
        tags: Mapping[str, str],
        settings: Mapping[str, Any],
        parent: str = "",
        **more: Any,
    ) -> None:
        """The run begins or is resumed. `key` identifies it wherever it is mirrored; `parent` is the key of another."""
        content = {"key": key, "name": name, "parent": parent, "tags": dict(tags), "settings": settings, **more}
        self.append("start", **content, versions=versions(), commit=commit())

    def params(self, values: Mapping[str, Any]) -> None:
        """Settings that only became known while it ran."""
        self.append("params", values=values)

    def metrics(self, step: int, values: Mapping[str, Any]) -> None:
        """Numbers at a step; a tensor becomes a number here, and a value that is not finite null."""
        self.append("metrics", step=int(step), values={name: float(value) for name, value in values.items()})

    def file(self, path: str, content: bytes | str) -> None:
        """A file of the run, written whole; one of the same path is replaced."""
        data = content.encode() if isinstance(content, str) else content
        write_whole(f"{self.directory}/{path}", data)
        self.append("file", path=path, digest=hashlib.sha256(data).hexdigest()[:12])

    def end(self, status: EndStatus, *, tags: Mapping[str, str] | None = None, **result: Any) -> None:
        """The run ended, with `result`."""
        self.append("end", status=status, tags=dict(tags or {}), **result)

    def append(self, kind: str, **content: Any) -> None:
        """Write one record, whole or not at all.

        Raises:
            OSError: it could not be written; nothing of it is left.
        """
        record = {"kind": kind, "time_ms": int(time.time() * 1000), **content}
        line = json.dumps(plain(record), ensure_ascii=False, allow_nan=False).encode() + b"\n"
        with self._lock:
            if self._is_local:
                _append(Path(self._folder, self._name + SUFFIX), line)
                return
            if not self._waiting:
                self._since = time.monotonic()
            self._waiting.append(line)
            if kind != "metrics" or time.monotonic() - self._since >= SEGMENT_S:
                self._write_segment()

    def flush(self) -> None:
        """Whatever waits for a segment is written now."""
        with self._lock:
            self._write_segment()

    def _write_segment(self) -> None:
        if self._waiting:
            write_whole(
                f"{self.directory}/{FOLDER}/{self._name}-{self._num_segments:06d}{SUFFIX}", b"".join(self._waiting)
            )
            self._num_segments += 1
            self._waiting = []

    @cached_property
    def _is_local(self) -> bool:
        return is_local(open_fs(self.directory)[0])

    @cached_property
    def _folder(self) -> str:
        folder = f"{open_fs(self.directory)[1]}/{FOLDER}"
        Path(folder).mkdir(parents=True, exist_ok=True)
        return folder


def _append(path: Path, line: bytes) -> None:
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        before = os.fstat(file).st_size
        try:
            if os.write(file, line) < len(line):
                raise OSError(28, os.strerror(28), str(path))  # no space left for the rest
        except OSError:
            os.ftruncate(file, before)
            raise
    finally:
        os.close(file)


class RecordReader:
    """Reads the records of the run in `directory` as they grow.

    Attributes:
        counts: writer -> how many of its records were given out.
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.counts: dict[str, int] = {}
        self._offsets: dict[str, int] = {}
        self._skipped: dict[str, int] = {}

    def skip(self, counts: Mapping[str, int]) -> None:
        """Do not give out the first records of each writer."""
        self._skipped = dict(counts)

    def new(self) -> list[Record]:
        """Records that were written since the last call, oldest first; a line that is no record is left out."""
        found: list[Record] = []
        for file, lines in self._new_lines():
            writer = "-".join(file.split("-")[:2]).removesuffix(SUFFIX)
            for line in lines:
                self.counts[writer] = self.counts.get(writer, 0) + 1
                if self.counts[writer] <= self._skipped.get(writer, 0):
                    continue
                try:
                    record = json.loads(line)
                    record["kind"], record["time_ms"]
                except (ValueError, KeyError, TypeError) as error:
                    logger.warning("%s/%s has a line that is no record: %s", self.directory, file, one_line(error))
                    continue
                found.append(record)
        return sorted(found, key=lambda record: int(record["time_ms"]))

    def _new_lines(self) -> Iterator[tuple[str, list[bytes]]]:
        fs, path = open_fs(f"{self.directory}/{FOLDER}")
        fs.invalidate_cache(path)
        if not fs.isdir(path):
            return
        local = is_local(fs)
        for info in sorted(fs.ls(path, detail=True), key=lambda info: str(info["name"])):
            place = str(info["name"])
            file = place.rsplit("/", 1)[-1]
            done = self._offsets.get(file, 0)
            if not file.endswith(SUFFIX) or (info["size"] or 0) <= done:
                continue
            content = _read_from(place, done) if local else fs.cat_file(place)
            whole = content[: content.rfind(b"\n") + 1]  # the rest of a line is on its way, or was cut off
            self._offsets[file] = done + len(whole)
            yield file, whole.splitlines()


def _read_from(path: str, offset: int) -> bytes:
    with open(path, "rb") as file:
        file.seek(offset)
        return file.read()


class RunRecord:
    """What is known of a run, from its records.

    Attributes:
        start: the latest; empty for a run that has none.
        end: empty while it runs, or where it was cut off.
        begun_ms: Unix time of its first start.
    """

    def __init__(self, directory: str, records: Sequence[Record]) -> None:
        self.directory = directory
        self.start: Record = {}
        self.end: Record = {}
        self.begun_ms = 0
        self._records = records
        for record in records:
            if record["kind"] == "start":
                self.begun_ms = self.begun_ms or int(record["time_ms"])
                self.start, self.end = record, {}
            elif record["kind"] == "end":
                self.end = record

    def has(self, kind: str) -> bool:
        """Whether there is a record of this kind."""
        return any(record["kind"] == kind for record in self._records)

    @property
    def notes(self) -> list[str]:
        """Lines for people, since it was started last."""
        latest = [record for record in self._records if record["time_ms"] >= self.start.get("time_ms", 0)]
        return [record["text"] for record in latest if record["kind"] == "note"]

    @property
    def datasets(self) -> list[dict[str, Any]]:
        """What it learned from and was scored on, as last recorded."""
        return next((record["datasets"] for record in reversed(self._records) if record["kind"] == "datasets"), [])

    def curves(self) -> dict[str, dict[int, float]]:
        """Metric -> step -> its newest value, in order of the steps; null is NaN."""
        points: dict[str, dict[int, float]] = {}
        for record in self._records:
            if record["kind"] == "metrics":
                for name, value in record["values"].items():
                    points.setdefault(name, {})[int(record["step"])] = math.nan if value is None else value
        return {name: dict(sorted(curve.items())) for name, curve in points.items()}


def read_run(directory: str) -> RunRecord:
    """What is known of the run in a directory (or URL)."""
    return RunRecord(directory, RecordReader(directory).new())


def run_directories(root: str) -> list[str]:
    """`root` and the directories in it, as far as they have records, in order of their names."""
    fs, path = open_fs(root)
    if not fs.isdir(path):
        return []
    fs.invalidate_cache(path)
    inside = sorted(str(info["name"]).rstrip("/") for info in fs.ls(path, detail=True) if info["type"] == "directory")
    names = [place.rsplit("/", 1)[-1] for place in inside]
    own = [root] if FOLDER in names else []
    return own + [f"{root}/{name}" for name in names if name != FOLDER and fs.isdir(f"{path}/{name}/{FOLDER}")]


@cache
def versions() -> dict[str, str]:
    """Package -> version, of those that decide results, as far as they are installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


@cache
def commit() -> str:
    """Commit of the git checkout that this code runs from; empty where it is installed, or git is not."""
    root = Path(__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return ""
    run: Callable[..., Any] = subprocess.run
    try:
        return str(run(["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True).stdout).strip()
    except OSError:
        return ""
