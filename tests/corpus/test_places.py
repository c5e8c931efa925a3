"""Inputs and made directories whose names have signs in them that globs, URLs and databases give a meaning."""

import json

import pytest

from hbt_ray.corpus.beside import DEV_IDS, files_beside
from hbt_ray.corpus.inputs import find_inputs, split_options
from hbt_ray.finished import FinishedFiles, made_otherwise
from hbt_ray.retrieval.sets.catalog import absolute_set, load_set, parse_name
from hbt_ray.storage import write_json
from hbt_ray.tracking.uri import artifact_location, resolve_tracking_uri, sqlite_path

NAMES = ["corpus [v2]", "50% off", "a%25b", "what?", "x?lang=de", "c#", "ü ö", "[[]", "a*b", "a,b"]
ROW = {"id": "i", "lang": "en", "question": "q", "passage": "p"}


@pytest.fixture(params=NAMES)
def place(request, tmp_path):
    """A directory of that name with one row and its dev item."""
    directory = tmp_path / request.param
    directory.mkdir()
    (directory / "c.jsonl").write_text(json.dumps(ROW))
    (directory / DEV_IDS).write_text("i\n")
    other = tmp_path / "corpus 2"  # what a pattern would find
    other.mkdir()
    (other / "c.jsonl").write_text(json.dumps(ROW))
    return directory


def test_an_input_is_taken_as_it_is_called(place):
    for location in (f"{place}", f"{place}/c.jsonl", f"{place}/*.jsonl", f"{place}/c.jsonl?lang==de"):
        if ("," in location or "=" in place.name) and location.endswith(("*.jsonl", "==de")):  # several inputs, options
            continue
        assert [unit.path for unit in find_inputs(location).units] == [f"{place}/c.jsonl"]
        assert files_beside(location, DEV_IDS) == [f"{place}/{DEV_IDS}"]
    assert split_options(f"{place}") == (str(place), {})


def test_made_directories_are_found_again(place):
    files = FinishedFiles(str(place / "done"), ".txt")
    files.write("a.txt", b"1")
    (place / "done" / "b.part").write_bytes(b"")
    files.remove_parts()
    assert [path.name for path in (place / "done").iterdir()] == ["a.txt"]
    write_json(f"{place}/x-1/made.json", {"made_from": {"k": "old"}})
    write_json(f"{place}/y-1/made.json", {"made_from": {"k": "old"}})
    assert made_otherwise(str(place), "x", "made.json", {"k": "new"}) == [(f"{place}/x-1", ["k"])]
    assert made_otherwise(f"{place}/none", "x", "made.json", {"k": "new"}) == []


def test_the_local_store_lies_in_its_directory(place, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    uri = resolve_tracking_uri("", place)
    assert sqlite_path(uri) == place / "mlflow.db"
    assert artifact_location(uri) == (place / "mlartifacts").as_uri()

    from sqlalchemy import create_engine, text

    with create_engine(uri).connect() as connection:
        connection.execute(text("create table t (x int)"))
    assert (place / "mlflow.db").stat().st_size > 0


def test_retrieval_sets(place):
    for side in ("corpus", "queries"):
        (place / f"{side}.jsonl").write_text(json.dumps({"_id": "i", "text": side}))
    (place / "qrels").mkdir()
    (place / "qrels" / "test.tsv").write_text("i\ti\t1\n")
    name = f"beir:{place}"
    assert parse_name(name) == ("beir", str(place), {})
    assert absolute_set(name) == name
    assert load_set(name).num_passages == 1
    assert load_set(f"{name}?langs=en").langs == ("en",)
