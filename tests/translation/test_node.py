"""A node that dies takes its translators along, and no row."""

import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.translation import toy

REPOSITORY = Path(__file__).resolve().parents[2]
NUM_ITEMS = 120


@pytest.mark.drill
@pytest.mark.timeout(600)
def test_a_killed_node_loses_and_doubles_no_row(toy_model, tmp_path):
    rng = random.Random(3)
    rows = [{"id": f"i{at}", "lang": "en", "question": toy.sentence(rng, "?")} for at in range(NUM_ITEMS)]
    for row in rows:
        row["passage"] = toy.sentence(rng)
    (tmp_path / "corpus").mkdir()
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "corpus" / "a.parquet")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"workspace: {tmp_path}\ncorpus: {{input: {tmp_path}/corpus}}\ntranslate: {{langs: [de], model: {toy_model}, "
        "precision: float32, rows_per_shard: 2, cpus_per_translator: 1}\n"
    )
    root = tmp_path / "translations"
    command = [sys.executable, "-m", "tests.translation.two_nodes", str(recipe), str(root)]
    paths = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH", "")]))
    done = subprocess.run(
        command, cwd=REPOSITORY, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    shards = int(re.search(r"killed a node after (\d+) shards", done.stdout)[1])
    assert 0 < shards < NUM_ITEMS // 2
    (directory,) = root.glob("*/de")
    found = [row for path in directory.glob("*.parquet") for row in pq.read_table(path).to_pylist()]
    assert sorted(row["id"] for row in found) == sorted(row["id"] for row in rows)
    answers = {row["id"]: (toy.answer(row["question"]), toy.answer(row["passage"])) for row in rows}
    assert {row["id"]: (row["question"], row["passage"]) for row in found} == answers
