"""Trained encoders as MLflow models: the files as they are, in the flavour `mlflow.sentence_transformers`.

`mlflow.sentence_transformers.load_model` and `mlflow.pyfunc.load_model` read what is logged here. The role of a text
is the parameter `prompt_name`, "query" unless it is given: `predict(texts, params={"prompt_name": "passage"})`.
Nothing is pickled, and no process is started to find out what the model needs.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from mlflow import MlflowClient
from mlflow.entities import LoggedModel, LoggedModelOutput, Metric, Run
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.models.model import MLMODEL_FILE_NAME
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema, TensorSpec

from hbt_ray.errors import ConfigError, HbtError, one_line
from hbt_ray.model.find import model_fingerprint
from hbt_ray.storage import is_local, open_fs
from hbt_ray.tracking.runs import RunStore

NAME = "model"
FILES_TAG = "hbt.files"
"""Tag of a logged model: digest of its files, by which a second call finds it."""
EXAMPLE = "What is the capital of France?"
REQUIRED = ("sentence-transformers", "transformers", "torch", "numpy")
README = "README.md"
LOADER = "retriever_pyfunc"
"""File beside this one by which `mlflow.pyfunc` reads a model."""


@dataclass(frozen=True)
class RunModel:
    """A model of a run.

    Attributes:
        key: of the run.
        location: directory or URL of the model.
        step: that it was trained to.
        label: for people; the model is named after it.
    """

    key: str
    location: str
    step: int
    label: str


def log_model(client: MlflowClient, run_id: str, location: str, *, step: int = 0, label: str = NAME) -> LoggedModel:
    """Log the encoder that `Encoder.save` wrote to `location` as the model of the run that trained it to a step.

    However often it is called, it is logged once. It carries the run's scores of that step, with their data sets.

    Raises:
        ConfigError: there is no such model, or it brings code of its own, which MLflow would run at loading.
        MlflowException: the store refuses or does not answer.
    """
    with local_model(location) as directory:
        config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
        if config.get("auto_map"):
            raise ConfigError(
                f"model {location!r} names code of its own (auto_map in config.json), which MLflow would run wherever "
                "the model is loaded; it is not logged. Use it from its directory, or set tracking.log_models=none"
            )
        digest = model_fingerprint(directory)[:12]
        known = [model for model in logged_models(client, run_id) if model.tags.get(FILES_TAG) == digest]
        if known:
            return known[0]
        run = client.get_run(run_id)
        model = client.create_logged_model(
            run.info.experiment_id,
            name=_name(label),
            source_run_id=run_id,
            tags={FILES_TAG: digest},
            params=run.data.params,
        )
        try:
            with tempfile.TemporaryDirectory() as scratch:
                _write(f"{scratch}/{NAME}", directory, model, run_id)
                client.log_model_artifacts(model.model_id, f"{scratch}/{NAME}")
        except BaseException:
            client.finalize_logged_model(model.model_id, "FAILED")
            raise
        client.finalize_logged_model(model.model_id, "READY")
        client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=step)])
        _log_scores(client, run, model.model_id, step)
        return client.get_logged_model(model.model_id)


def log_run_models(
    tracking_uri: str, experiment: str, models: Iterable[RunModel], report: Callable[[str], None]
) -> None:
    """Log the models of runs that ended, where that was not done; what cannot be logged is said, and ends nothing."""
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    store = RunStore(tracking_uri, experiment)
    logged = []
    for model in models:
        try:
            if (run_id := store.find(model.key)) is None:
                raise ConfigError("its run is not in MLflow")
            logged.append(log_model(store.client, run_id, model.location, step=model.step, label=model.label))
        except (HbtError, MlflowException, OSError) as error:
            report(f"note: the model of {model.key} is not in MLflow: {one_line(error)}")
    if logged:
        report(f"models in MLflow: {', '.join(model.model_uri for model in logged)}")


def _name(label: str) -> str:
    """A label as MLflow takes the name of a model: without / : . % and quotes."""
    return re.sub(r"[^\w\- ]+", "_", label).strip("_ ").replace(" ", "-") or NAME


def _log_scores(client: MlflowClient, run: Run, model_id: str, step: int) -> None:
    """The run's scores of a step as those of a model, each with the data set that it is of."""
    inputs = run.inputs.dataset_inputs if run.inputs else []
    digests = {each.dataset.name: each.dataset.digest for each in inputs}
    metrics = []
    for name in run.data.metrics:
        on_set = name.partition("/")[0]
        if on_set not in digests:
            continue
        for point in client.get_metric_history(run.info.run_id, name):
            if point.step == step:  # the same point again is one point of the run
                of = {"model_id": model_id, "dataset_name": on_set, "dataset_digest": digests[on_set]}
                metrics.append(Metric(name, point.value, point.timestamp, step, run_id=run.info.run_id, **of))
    if metrics:
        client.log_batch(run.info.run_id, metrics=metrics)


def logged_models(client: MlflowClient, run_id: str) -> list[LoggedModel]:
    """The whole models that were logged for a run, the newest first."""
    outputs = client.get_run(run_id).outputs
    models = [client.get_logged_model(output.model_id) for output in (outputs.model_outputs if outputs else [])]
    ready = [model for model in models if str(model.status) == "READY"]
    return sorted(ready, key=lambda model: -model.creation_timestamp)


def replace_card(client: MlflowClient, model: LoggedModel, text: str) -> None:
    """Put another model card in the place of a logged model's."""
    import mlflow.sentence_transformers as flavour

    with tempfile.TemporaryDirectory() as scratch:
        card = Path(scratch) / README
        card.write_text(text, encoding="utf-8")
        client.log_model_artifact(model.model_id, str(card), flavour.SENTENCE_TRANSFORMERS_DATA_PATH)


@contextmanager
def local_model(location: str) -> Iterator[Path]:
    """The model at a directory or URL as a local directory, for the time of the block.

    Raises:
        ConfigError: there is no model in the layout of sentence-transformers.
    """
    fs, path = open_fs(location)
    if not fs.exists(f"{path}/modules.json"):
        raise ConfigError(f"model {location!r} is not there (no modules.json): was the workspace moved or cleaned?")
    if is_local(fs):
        yield Path(path)
        return
    with tempfile.TemporaryDirectory() as scratch:
        fs.get(f"{path.rstrip('/')}/", f"{scratch}/{NAME}/", recursive=True)
        yield Path(scratch) / NAME


def _write(target: str, directory: Path, logged: LoggedModel, run_id: str) -> None:
    import mlflow.sentence_transformers as flavour
    from sentence_transformers import SentenceTransformer
    from transformers.utils.logging import get_verbosity, set_verbosity

    description: Any = Model(
        artifact_path=logged.artifact_location, run_id=run_id, model_uuid=logged.model_id, model_id=logged.model_id
    )
    verbosity = get_verbosity()
    set_verbosity(logging.ERROR)  # a pooler that the encoder does not use is missing: said at every loading
    try:
        model = SentenceTransformer(str(directory), device="cpu", local_files_only=True)
        dim = int(model.encode([EXAMPLE], prompt_name="query", show_progress_bar=False).shape[1])
        flavour.save_model(
            model,
            target,
            mlflow_model=description,
            signature=ModelSignature(
                inputs=Schema([ColSpec("string")]),
                outputs=Schema([TensorSpec(np.dtype(np.float32), (-1, dim))]),
                params=ParamSchema([ParamSpec("prompt_name", "string", "query")]),
            ),
            input_example=([EXAMPLE], {"prompt_name": "query"}),
            pip_requirements=[f"{name}=={version(name)}" for name in REQUIRED],
            code_paths=[f"{Path(__file__).with_name(LOADER)}.py"],
        )
        description.flavors["python_function"]["loader_module"] = LOADER
        description.save(f"{target}/{MLMODEL_FILE_NAME}")
    finally:
        set_verbosity(verbosity)
    # The files as training wrote them, which sentence-transformers would write anew without what it does not know:
    # the lengths by role, and the card.
    data = f"{target}/{flavour.SENTENCE_TRANSFORMERS_DATA_PATH}"
    shutil.rmtree(data)
    shutil.copytree(directory, data)
