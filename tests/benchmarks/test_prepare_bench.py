import subprocess
import sys

import pyarrow.parquet as pq
import pytest

from benchmarks.corpora import write_corpus
from benchmarks.machine import peak_memory, tree_pss
from benchmarks.prepare import main
from hbt_ray.errors import ConfigError

MIB = 1 << 20


def test_memory_of_a_process_and_its_children():
    hold = (
        f"data = bytearray(80 * {MIB})\nfor at in range(0, len(data), 4096): data[at] = 1\nprint(flush=True); input()"
    )
    before = tree_pss()
    with peak_memory(every_s=0.01) as peak:
        child = subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        child.stdout.readline()
        during = tree_pss()
        child.communicate(b"\n")
    assert 80 * MIB < during - before < 140 * MIB
    assert peak.num_bytes >= (before + 80 * MIB) * 0.9


def test_a_corpus_of_any_size_is_parallel_and_the_same_twice(tmp_path):
    num_bytes = write_corpus(tmp_path / "a", 120, ("en", "de"))
    assert num_bytes > write_corpus(tmp_path / "b", 120, ("en",)) > 0
    rows = {lang: pq.read_table(tmp_path / "a" / f"{lang}.parquet").to_pylist() for lang in ("en", "de")}
    assert [row["id"] for row in rows["en"]] == [row["id"] for row in rows["de"]]
    assert len({row["passage"] for row in rows["en"]}) == 120
    assert rows["en"] == pq.read_table(tmp_path / "b" / "en.parquet").to_pylist()


@pytest.mark.parametrize("argv", [["--items", "5"], ["--langs", "0"], ["--langs", "99"], ["--cpus", "0"]])
def test_arguments_out_of_range(argv):
    with pytest.raises(ConfigError, match="--items is 100 or more"):
        main(argv)
