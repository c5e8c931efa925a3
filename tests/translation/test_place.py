"""Where a translation is put and what lies beside its rows; no Ray, and the translator only says that it was there."""

import json
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hbt_ray.config import CorpusConfig, TranslateConfig
from hbt_ray.corpus.inputs import find_inputs, read_unit
from hbt_ray.reports.corpus_card import stated_licences
from hbt_ray.translation import job as module
from hbt_ray.translation.job import open_job, run_job
from hbt_ray.translation.translator import Translations

ROWS = [{"id": f"i{n}", "lang": "en", "question": f"q {n}", "passage": f"p {n}", "source": "s"} for n in range(3)]


class Spec:
    """A translator that gives texts back."""

    name = directory = fingerprint = "model"

    def load(self, device, threads):
        return lambda texts, lang: Translations(list(texts), [0] * len(texts), 0, 0)


@pytest.fixture
def translate(in_process, monkeypatch, tmp_path):
    """Translates an input: translate(location) -> directory of the result."""
    monkeypatch.setattr(module, "num_places", lambda *needs: 1)
    monkeypatch.setattr(module, "_models", lambda config, source, langs: {"de": Spec()})
    monkeypatch.setattr(module.Job, "converted", lambda job, report: job)

    def translate_it(location, dev_ids=""):
        config = TranslateConfig(langs=("de",), model="model")
        job = open_job(CorpusConfig(input=location, dev_ids=dev_ids), config, str(tmp_path / "work"))
        run_job(job, lambda line: None, lambda *at: None)
        return job.store.directory

    return translate_it


def langs_of(location):
    tables = [table for unit in find_inputs(location).units for table in read_unit(unit)]
    return sorted({lang for table in tables for lang in table["lang"].to_pylist()})


@pytest.mark.parametrize(
    ("location", "name"),
    [
        ("{root}/faq", "faq"),
        ("{root}/faq/rows.v1.parquet", "rows"),
        ("{root}/faq/ro?s.*.parquet", "ro-s"),
        ("{root}/faq/[a-s]ows.*.parquet", "a-s-ows"),
        ("{root}/faq/rows.csv?question=title&source==x", "rows"),
        ("{root}/faq/rows.csv?question=title, source:mmarco:{root}/copy?langs=en", "rows"),
        ("source:mmarco:{root}/copy?langs=en&rows=2", "copy"),
        ("{root}/cleaned/faq-12ab/kept", "faq-12ab"),
    ],
)
def test_the_result_is_read_by_its_name(location, name, translate, tmp_path):
    for place in ("faq", "cleaned/faq-12ab/kept"):
        (tmp_path / place).mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / place / "rows.v1.parquet")
    (tmp_path / "faq" / "rows.csv").write_text("id,lang,title,passage\nc1,en,q,p\n")
    if name == "faq":
        (tmp_path / "faq" / "rows.csv").unlink()
    triples = [{"query": f"q{n}", "positive": f"p{n}", "negative": f"n{n}"} for n in range(3)]
    datasets.Dataset.from_list(triples).save_to_disk(tmp_path / "copy" / "english")
    directory = translate(location.format(root=tmp_path))
    assert directory.rpartition("/")[2].rpartition("-")[0] == name
    assert langs_of(directory) == ["de", "en"]
    assert translate(location.format(root=tmp_path)) == directory


def test_dev_items_and_licences_lie_beside_the_result(translate, tmp_path):
    (tmp_path / "faq").mkdir()
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "faq" / "rows.parquet")
    (tmp_path / "faq" / "licences.json").write_text(json.dumps({"s": "CC0 1.0"}))
    (tmp_path / "faq" / "dev_ids.txt").write_text("i1\n")
    directory = translate(f"{tmp_path}/faq", dev_ids=f"{tmp_path}/faq/dev_ids.txt")
    assert stated_licences(directory) == {"s": "CC0 1.0"}
    assert (Path(directory) / "dev_ids.txt").read_text() == "i1\n"
