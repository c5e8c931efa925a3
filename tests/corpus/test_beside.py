import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hbt_ray.config import CorpusConfig
from hbt_ray.corpus.beside import DEV_IDS, files_beside
from hbt_ray.corpus.prepare import prepare
from hbt_ray.corpus.resolve import resolve_input


@pytest.fixture
def two(tmp_path):
    """Two directories of three items each, one of each a dev item; the first one also in memory."""
    memory = fsspec.filesystem("memory")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        rows = [{"id": f"{name}{n}", "lang": "en", "question": f"q {name}{n}", "passage": f"p {n}"} for n in range(3)]
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / name / "rows.parquet")
        (tmp_path / name / "dev_ids.txt").write_text(f"{name}1\n")
    memory.pipe({f"/beside/{file.name}": file.read_bytes() for file in (tmp_path / "a").iterdir()})
    yield tmp_path
    memory.rm("/beside", recursive=True)


KINDS = {
    "directory": ("{root}/a", "a"),
    "file": ("{root}/a/rows.parquet", "a"),
    "options": ("{root}/a/rows.parquet?lang==en", "a"),
    "glob": ("{root}/a/*.parquet", "a"),
    "glob of directories": ("{root}/*/rows.parquet", "ab"),
    "URL of a directory": ("memory://beside", "a"),
    "URL of a file": ("memory://beside/rows.parquet", "a"),
    "URL of a glob": ("memory://beside/*.parquet", "a"),
    "several": ("{root}/a, {root}/b/rows.parquet", "ab"),
    "several with a URL": ("{root}/b,memory://beside", "ab"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_dev_items_beside_any_input_are_kept_out_of_training(kind, two, small_base, in_process):
    location, expected = KINDS[kind]
    news = []
    config = resolve_input(CorpusConfig(input=location.format(root=two)), str(two / "work"), news.append)
    corpus = prepare(config, small_base, str(two / "corpora"), report=lambda line: None)
    assert corpus.manifest.splits["dev"].num_items == len(expected)
    assert corpus.manifest.splits["train"].num_items == 2 * len(expected)
    (line,) = news
    assert line.startswith("dev items: those in ")
    assert line.count("dev_ids.txt") == len(expected)


def test_what_has_nothing_beside_it(two):
    (two / "b" / "dev_ids.txt").unlink()
    assert files_beside(f"{two}/b, source:squad, source:mmarco:{two}/a, {two}/missing.csv", DEV_IDS) == []
    config = CorpusConfig(input=f"{two}/b", dev_ids=f"{two}/a/dev_ids.txt")
    assert resolve_input(config, str(two / "work"), pytest.fail).dev_ids == config.dev_ids
