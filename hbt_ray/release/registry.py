"""The registered model: a version a promoted run, with the reasons written on it, and the alias `champion`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from mlflow import MlflowClient
from mlflow.entities import LoggedModel
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_MODEL_VERSIONS

from hbt_ray.errors import ConfigError
from hbt_ray.release.gates import GateResult

CHAMPION = "champion"
MAX_TAG_CHARS = 5000
VERDICT_TAG, REPLACES_TAG, GATE_TAG = "hbt.verdict", "hbt.replaces", "hbt.gate."


@dataclass(frozen=True, kw_only=True)
class Champion:
    """The version that the alias is on."""

    version: str
    run_id: str


def find_champion(client: MlflowClient, name: str) -> Champion | None:
    """The champion of a registered model; None where there is no such model, or none has the alias.

    Raises:
        ConfigError: the champion is of no run, so that nothing is known of its scores.
    """
    try:
        aliases = client.get_registered_model(name).aliases
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise
    if CHAMPION not in aliases:
        return None
    version = client.get_model_version(name, str(aliases[CHAMPION]))
    if not version.run_id:
        raise ConfigError(
            f"version {version.version} of registered model {name!r} is the champion and names no run, so its scores "
            "are not known: take the alias off it, or choose another registered model (gates.model=NAME)"
        )
    return Champion(version=str(version.version), run_id=str(version.run_id))


def register(
    client: MlflowClient,
    name: str,
    model: LoggedModel,
    results: Sequence[GateResult],
    verdict: str,
    *,
    tags: dict[str, str],
    description: str,
) -> str:
    """The version of `model` in the registered model `name`, made at need, with verdict and reasons; its number."""
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    version = next((each for each in _versions(client, name) if each.source == model.artifact_location), None)
    if version is None:
        version = client.create_model_version(
            name, model.artifact_location, run_id=model.source_run_id, model_id=model.model_id, description=description
        )
        _link(client, model, name, str(version.version))
    number = str(version.version)
    client.update_model_version(name, number, description)
    for key in version.tags:
        if key.startswith(GATE_TAG):  # of an earlier attempt with other gates
            client.delete_model_version_tag(name, number, key)
    labels = {VERDICT_TAG: verdict, **tags}
    for result in results:
        labels[f"{GATE_TAG}{result.on_set}.{result.gate}"] = f"{result.verdict}: {result.reason}"
    for key, value in labels.items():
        client.set_model_version_tag(name, number, key, value[:MAX_TAG_CHARS])
    return number


def crown(client: MlflowClient, name: str, version: str) -> None:
    """Move the alias to `version`."""
    client.set_registered_model_alias(name, CHAMPION, version)


def _versions(client: MlflowClient, name: str) -> list[ModelVersion]:
    return list(client.search_model_versions(f"name = '{name}'", max_results=10_000))


def _link(client: MlflowClient, model: LoggedModel, name: str, version: str) -> None:
    """What the UI shows on a model's page: the versions made of it."""
    known = json.loads(model.tags.get(MLFLOW_MODEL_VERSIONS, "[]"))
    client.set_logged_model_tags(
        model.model_id, {MLFLOW_MODEL_VERSIONS: json.dumps([*known, {"name": name, "version": version}])}
    )
