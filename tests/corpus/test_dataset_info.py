"""Datasets of a run in MLflow, and searching runs as the UI does."""

from dataclasses import asdict, replace
from types import SimpleNamespace

import mlflow.data
import pytest
from mlflow import MlflowClient

from hbt_ray.config import EvaluationConfig
from hbt_ray.corpus.dataset_info import DatasetInfo, corpus_datasets, dev_digest, set_dataset
from hbt_ray.retrieval.sets.parallel import parallel_set
from hbt_ray.retrieval.sets.set_digest import set_digest
from hbt_ray.tracking.runs import RunStore
from tests.mlflow_store import fresh_store


def corpus(fingerprint="f" * 64, dev_items=40, **made_from):
    split = SimpleNamespace(num_items=90, num_rows=170)
    dev = SimpleNamespace(num_items=dev_items, num_rows=dev_items)
    made = {"input": "abc", "tokenizer": "t1", "dev items": "share 0.05", **made_from}
    manifest = SimpleNamespace(
        fingerprint=fingerprint, made_from=made, splits={"train": split, "dev": dev}, langs=("de", "en")
    )
    return SimpleNamespace(directory=f"/data/corpora/mine-{fingerprint[:12]}", manifest=manifest)


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    return fresh_store(tmp_path_factory.mktemp("datasets"))


def test_each_dataset_is_a_run_input_once_with_digest_context_and_source(uri):
    store = RunStore(uri, "x")
    sets = [set_dataset(a_set(), "xquad_r:/data/eval")]
    found = (*corpus_datasets(corpus(), EvaluationConfig(max_dev_items=30)), *sets)
    found = (*found, replace(found[0], name="far", source="s3://bucket/corpora/far"))
    for key in ("s", "s/0"):
        for _ in range(2):  # a study that is resumed records them again
            store.log_datasets(store.get_or_create(key, key, {}), [asdict(info) for info in found])
    client = MlflowClient(tracking_uri=uri)
    for key in ("s", "s/0"):
        inputs = {each.dataset.name: each for each in client.get_run(store.find(key)).inputs.dataset_inputs}
        assert {name: each.dataset.digest for name, each in inputs.items()} == {e.name: e.digest for e in found}
        contexts = {name: each.tags[0].value for name, each in inputs.items()}
        assert contexts == {"mine": "training", "dev": "evaluation", "xquad_r": "evaluation", "far": "training"}
        sources = {name: mlflow.data.get_source(each) for name, each in inputs.items()}
        assert sources["mine"].uri == corpus().directory
        assert sources["far"].uri == "s3://bucket/corpora/far"
        assert sources["xquad_r"].to_dict() == {"tags": {"set": "xquad_r:/data/eval"}}
        assert '"num_items": 30' in inputs["dev"].dataset.profile
    experiment = client.get_experiment_by_name("x").experiment_id
    by_dataset = client.search_runs([experiment], "dataset.name = 'xquad_r' AND dataset.context = 'evaluation'")
    assert len(by_dataset) == 2


def test_runs_are_found_by_headline_numbers_and_parameters(uri):
    store = RunStore(uri, "y")
    for alpha in (0.0, 0.5, 1.0):
        run_id = store.get_or_create(f"k{alpha}", f"alpha={alpha}", {})
        store.log_params(run_id, {"plan": {"alpha": alpha}, "train": {"steps": 20, "lr": 2e-5}})
        for step in (10, 20):
            values = {"dev/pool_map": alpha / 2 + step / 100, "train/loss": 1.0}
            store.log_metrics(run_id, [{"step": step, "time_ms": step, "values": values}])

    experiments = [store.client.get_experiment_by_name("y").experiment_id]

    def names(query, order=()):
        return [run.info.run_name for run in store.client.search_runs(experiments, query, order_by=list(order))]

    assert names("metrics.`dev/pool_map` > 0.4", ["metrics.`dev/pool_map` DESC"]) == ["alpha=1.0", "alpha=0.5"]
    assert names("params.`plan.alpha` = '0.5'") == ["alpha=0.5"]
    run = store.client.search_runs(experiments, "params.`plan.alpha` = '0.0'")[0]
    assert {name: float(value) for name, value in run.data.params.items()} == {
        "plan.alpha": 0.0,
        "train.steps": 20.0,
        "train.lr": 2e-5,
    }
    steps = [[point.step for point in store.client.get_metric_history(run.info.run_id, n)] for n in run.data.metrics]
    assert steps == [[10, 20], [10, 20]]


def test_dev_items_are_the_same_for_another_tokenizer_and_no_others():
    config = EvaluationConfig()
    own = dev_digest(corpus(), config)
    assert own == dev_digest(corpus("e" * 64, tokenizer="t2"), config)
    assert own == dev_digest(corpus(**{"hard negatives": "3"}), config)
    others = [
        dev_digest(corpus(input="other"), config),
        dev_digest(corpus(**{"dev items": "share 0.1"}), config),
        dev_digest(corpus(), replace(config, max_dev_items=20)),
        dev_digest(corpus(), replace(config, dev_langs=("de",))),
    ]
    assert len({own, *others}) == 5
    assert len(corpus_datasets(corpus(dev_items=0), config)) == 1


def a_set(**changed):
    made = parallel_set("xquad_r", ("de", "en"), [[True, True], [True, False], [True, True]])
    texts = [f"text {at}" for at in range(made.num_queries)]
    return replace(made, queries=texts, passages=texts, **changed)


def test_the_digest_of_a_set_is_of_its_contents():
    own = set_digest(a_set())
    assert own == set_digest(a_set())
    assert own == set_digest(replace(a_set(), name="another", notes=("said",)))
    made = a_set()
    others = [
        replace(made, langs=("de", "fr")),
        replace(made, queries=["other", *made.queries[1:]]),
        replace(made, passages=[*made.passages[:-1], "other"]),
        replace(made, queries=None),
        replace(made, query_keys=[f"q{key}" for key in made.query_keys]),
        replace(made, passage_ids=made.passage_ids + 7),
        replace(made, gold_grades=[2] * len(made.gold_passages)),
        replace(made, lost_queries=[0], lost_grades=[1]),
        parallel_set("xquad_r", ("de", "en"), [[True, True], [True, True], [True, False]]),
    ]
    assert len({own, *map(set_digest, others)}) == 1 + len(others)


def test_dataset_names_fit_mlflow():
    found = set_dataset(a_set(), "miracl:hub")
    assert isinstance(found, DatasetInfo)
    assert len(found.digest) <= 36
    with pytest.raises(TypeError):
        DatasetInfo(name="x")
