"""`RunStore`: the calls on MLflow. Blocking, without global state, and harmless to repeat.

A run is known by our own key (tag `hbt.key`), so that a mirror which starts again finds its run instead of making a
second one.

MLflow's limits: 250 characters a name, 6,000 a parameter value, 8,000 a tag value (we stay under all three);
names of word characters, `_-. :/` only, so `recall@10` is recorded as `recall_at_10`.
"""

from __future__ import annotations

import getpass
import json
import logging
import math
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar
from urllib.parse import quote

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT, MLFLOW_PARENT_RUN_ID

from hbt_ray.records import EndStatus, Record
from hbt_ray.storage import dotted
from hbt_ray.tracking.uri import artifact_location, follow_move, sqlite_path

logger = logging.getLogger(__name__)

MAX_NAME_CHARS, MAX_VALUE_CHARS = 250, 6000
# A trial that the scheduler stopped did what it was asked to: FINISHED, told apart by a tag.
END_STATUS: dict[EndStatus, str] = {
    "finished": "FINISHED",
    "stopped": "FINISHED",
    "failed": "FAILED",
    "killed": "KILLED",
}
KEY_TAG = "hbt.key"
ERROR_TAG = "hbt.error"
"""Why a run failed; gone when it is resumed."""
EARLY_STOPPED_TAG = "hbt.early_stopped"
NONFINITE_TAG = "hbt.num_nonfinite_metrics"
CONFLICT_TAG = "hbt.param_conflict."
EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
"""The UI opens on runs and their charts, not on what it has for chat applications."""

PARAMS_PER_BATCH = 25  # MLflow takes 100, and 1 MB a request: 25 values of 6,000 escaped characters fit
COMPARED = 100  # runs that one page compares: each is 40 characters of its address
METRICS_PER_BATCH = 1000  # the most that MLflow takes in one request

T = TypeVar("T")


class RunStore:
    """One experiment of one tracking store. Nothing is opened or created before the first call.

    Every method raises `mlflow.exceptions.MlflowException` where the store refuses or does not answer.
    """

    def __init__(self, tracking_uri: str, experiment: str) -> None:
        self.tracking_uri = tracking_uri
        self.experiment = experiment
        self._created: set[str] = set()  # runs made by this process: nothing was logged to them before us
        self._steps: dict[tuple[str, str], set[int]] = {}  # (run, metric) -> steps that are in the store
        self._num_nonfinite: dict[str, int] = {}

    @cached_property
    def client(self) -> MlflowClient:
        """The MLflow client; opening a SQLite store creates or migrates its tables."""
        if database := sqlite_path(self.tracking_uri):
            database.parent.mkdir(parents=True, exist_ok=True)
            if before := follow_move(database):
                logger.warning("MLflow at %s: its artifacts were in %s, and are beside it", database, before)
        return MlflowClient(tracking_uri=self.tracking_uri)

    def ping(self) -> None:
        """One cheap question, which raises where the store does not answer."""
        self.client.search_experiments(max_results=1)

    def get_or_create(
        self, key: str, name: str, tags: Mapping[str, str], parent: str | None = None, start_ms: int | None = None
    ) -> str:
        """The id of the run of this key, set to RUNNING again if it had ended; created if there is none.

        A key is an identity within the experiment, such as `study/trial-3`, without quotes and backslashes; the UI
        shows the run as `name`, under the run of the id `parent`. Tags are added also to a run that exists.
        """
        all_tags = {**tags, KEY_TAG: key, "mlflow.runName": name} | _source_tags()
        if parent is not None:
            all_tags[MLFLOW_PARENT_RUN_ID] = parent
        run = self._find(key)
        if run is None:
            created = self.client.create_run(self._experiment_id, run_name=name, start_time=start_ms, tags=all_tags)
            self._created.add(created.info.run_id)
            return str(created.info.run_id)
        run_id = str(run.info.run_id)
        if run.info.status != "RUNNING":
            self.client.update_run(run_id, status="RUNNING")
        for tag in {EARLY_STOPPED_TAG, ERROR_TAG} & set(run.data.tags):
            self.client.delete_tag(run_id, tag)
        self.set_tags(run_id, {k: v for k, v in all_tags.items() if run.data.tags.get(k) != v})
        return run_id

    def find(self, key: str) -> str | None:
        """The run id of a key, None if there is no such run (yet)."""
        run = self._find(key)
        return None if run is None else str(run.info.run_id)

    def tag(self, run_id: str, name: str) -> str:
        """The value of a run's tag, empty where it has none."""
        return str(self.client.get_run(run_id).data.tags.get(name, ""))

    def log_params(self, run_id: str, params: Mapping[str, Any]) -> None:
        """Nested settings as parameters `section.field`.

        MLflow refuses another value for a parameter once logged; the new one becomes a tag
        `hbt.param_conflict.<name>` instead, so that a resumed run shows what changed.
        """
        known = self.client.get_run(run_id).data.params
        flat = params_of(params)
        new = [Param(name, value) for name, value in flat.items() if name not in known]
        for chunk in _chunks(new, PARAMS_PER_BATCH):
            self.client.log_batch(run_id, params=chunk)
        changed = {n: v for n, v in flat.items() if n in known and known[n] != v}
        self.set_tags(run_id, {f"{CONFLICT_TAG}{n}"[:250]: v for n, v in changed.items()})

    def log_metrics(self, run_id: str, records: Iterable[Record]) -> None:
        """Records of metrics. What is in the store already (of a training resumed) stays.

        Values that are not finite are left out; their number is a tag of the run.
        """
        num_nonfinite, new = 0, []
        for record in records:
            step = int(record["step"])
            for key, value in record["values"].items():
                name = metric_name(key)
                if value is None or not math.isfinite(value):
                    num_nonfinite += 1
                elif step not in self._logged_steps(run_id, name):
                    new.append(Metric(name, value, int(record["time_ms"]), step))
        for chunk in _chunks(list({(metric.key, metric.step): metric for metric in new}.values()), METRICS_PER_BATCH):
            self.client.log_batch(run_id, metrics=chunk)
            for metric in chunk:  # only now: a request that failed will be repeated
                self._steps[run_id, metric.key].add(metric.step)
        if num_nonfinite:
            self._num_nonfinite[run_id] = self._num_nonfinite.get(run_id, 0) + num_nonfinite
            self.set_tags(run_id, {NONFINITE_TAG: str(self._num_nonfinite[run_id])})

    def log_datasets(self, run_id: str, datasets: Sequence[Mapping[str, Any]]) -> None:
        """What the run learned from and was scored on (`corpus.dataset_info`), in MLflow's column of datasets."""
        inputs = []
        for info in datasets:
            source_type, source = _dataset_source(info["source"])
            dataset = Dataset(
                info["name"], info["digest"], source_type, json.dumps(source), profile=json.dumps(info["profile"])
            )
            inputs.append(DatasetInput(dataset, [InputTag(MLFLOW_DATASET_CONTEXT, info["context"])]))
        if inputs:
            self.client.log_inputs(run_id, inputs)

    def log_bytes(self, run_id: str, path: str, content: bytes) -> None:
        """An artifact from bytes, one of the same path is replaced; `path` such as `config/resolved.yaml`."""
        target = PurePosixPath(path)
        with tempfile.TemporaryDirectory() as scratch:
            local = Path(scratch) / target.name
            local.write_bytes(content)
            self.client.log_artifact(
                run_id, str(local), artifact_path=str(target.parent) if target.parent.name else None
            )

    def finish(
        self, run_id: str, status: EndStatus, tags: Mapping[str, str] | None = None, end_ms: int | None = None
    ) -> None:
        """Ends a run. `stopped` ends as FINISHED with the tag `hbt.early_stopped`."""
        stopped = {EARLY_STOPPED_TAG: "true"} if status == "stopped" else {}
        self.set_tags(run_id, {**(tags or {}), **stopped})
        self.client.set_terminated(run_id, END_STATUS[status], end_time=end_ms)

    def children(self, run_id: str) -> dict[str, str]:
        """Key -> id of the runs under a run."""
        found: dict[str, str] = {}
        token = None
        while True:
            query = f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{run_id}'"
            page = self.client.search_runs([self._experiment_id], query, max_results=1000, page_token=token)
            found |= {run.data.tags.get(KEY_TAG, ""): str(run.info.run_id) for run in page}
            token = page.token
            if not token:
                return found

    def comparison(self, keys: Sequence[str]) -> str:
        """The page of the UI that compares the runs of these keys (at most `COMPARED`), as the end of its address."""
        ids = [run_id for key in keys[:COMPARED] if (run_id := self.find(key))]
        return f"/#/compare-runs?runs={quote(json.dumps(ids))}&experiments={quote(json.dumps([self._experiment_id]))}"

    @cached_property
    def _experiment_id(self) -> str:
        experiment = self.client.get_experiment_by_name(self.experiment)
        if experiment is None:
            try:
                return str(
                    self.client.create_experiment(
                        self.experiment, artifact_location=artifact_location(self.tracking_uri), tags=EXPERIMENT_TAGS
                    )
                )
            except MlflowException:
                experiment = self.client.get_experiment_by_name(self.experiment)
                if experiment is None:
                    raise  # else another study was quicker
        if experiment.lifecycle_stage == "deleted":
            logger.warning("MLflow experiment %r was deleted; it is restored", self.experiment)
            self.client.restore_experiment(experiment.experiment_id)
        return str(experiment.experiment_id)

    def _find(self, key: str) -> Run | None:
        if "'" in key or '"' in key or "\\" in key:
            raise ValueError(f"run key {key!r}: quotes and backslashes are not allowed; rename the study")
        runs = self.client.search_runs(
            [self._experiment_id], f"tags.`{KEY_TAG}` = '{key}'", max_results=1, order_by=["start_time ASC"]
        )
        return runs[0] if runs else None

    def _logged_steps(self, run_id: str, name: str) -> set[int]:
        if (run_id, name) not in self._steps:
            history = [] if run_id in self._created else self.client.get_metric_history(run_id, name)
            self._steps[run_id, name] = {int(metric.step) for metric in history}
        return self._steps[run_id, name]

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Put tags on a run; values are cut to what MLflow takes."""
        entries = [RunTag(name, str(value)[:MAX_VALUE_CHARS]) for name, value in tags.items()]
        for chunk in _chunks(entries, PARAMS_PER_BATCH):
            self.client.log_batch(run_id, tags=chunk)


def metric_name(name: str) -> str:
    """The name under which MLflow shows a metric or parameter."""
    cleaned = re.sub(r"[^\w\-. :/]", "_", name.replace("@", "_at_"))
    return cleaned.strip("/")[:MAX_NAME_CHARS] or "_"


def params_of(settings: Mapping[str, Any]) -> dict[str, str]:
    """Nested settings as MLflow's parameters `section.field` -> text; lists, numbers and booleans as JSON.

    What is None is left out: a text among numbers would make the column one of texts, which sorts by no size.

    >>> params_of({"plan": {"alpha": 0.5, "langs": ["de", "hi"], "lang_temperature": None}})
    {'plan.alpha': '0.5', 'plan.langs': '["de", "hi"]'}
    """
    return {metric_name(name): _text(value) for name, value in dotted(settings).items()}


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= MAX_VALUE_CHARS else text[: MAX_VALUE_CHARS - 1] + "…"


def _source_tags() -> dict[str, str]:
    """What the UI shows in the columns Source and User."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container user without a name
        user = "unknown"
    return {"mlflow.source.name": "hbt_ray", "mlflow.source.type": "JOB", "mlflow.user": user}


def _dataset_source(place: str) -> tuple[str, dict[str, Any]]:
    """Kind and description, of which `mlflow.data.get_source` makes a source that can be loaded."""
    if place.startswith("/"):
        return "local", {"uri": place}
    scheme, separator, _ = place.partition("://")
    return (scheme, {"uri": place}) if separator else ("code", {"tags": {"set": place}})


def _chunks(items: Sequence[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
