"""The input of a recipe with its paths made absolute, its dev items found, and the built-in sample written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hbt_ray.config import CorpusConfig
from hbt_ray.corpus.beside import DEV_IDS, files_beside
from hbt_ray.corpus.inputs import split_inputs
from hbt_ray.corpus.sample import SAMPLE_LANGS, write_sample
from hbt_ray.corpus.sources import SOURCE
from hbt_ray.errors import ConfigError
from hbt_ray.storage import absolute
from hbt_ray.terminal import Report

SAMPLE = "sample"


def resolve_input(config: CorpusConfig, workspace: str, report: Report) -> CorpusConfig:
    """The corpus section with paths made absolute, dev items beside the inputs, and `sample` written to the workspace.

    A `dev_ids.txt` counts in a directory that is an input, and beside an input that is a file or a glob, local or not.
    """
    dev_ids = absolute_inputs(config.dev_ids)
    if config.input == SAMPLE:
        directory = local_directory(workspace, "the built-in sample") / SAMPLE
        if not (directory / DEV_IDS).exists():  # written last
            write_sample(directory)
            report(f"sample corpus {directory}: written in {len(SAMPLE_LANGS)} languages")
        return replace(config, input=str(directory), dev_ids=dev_ids or str(directory / DEV_IDS))
    location = absolute_inputs(config.input)
    if not dev_ids and (files := files_beside(location, DEV_IDS)):
        report(f"dev items: those in {', '.join(files)}")
        dev_ids = ",".join(files)
    return replace(config, input=location, dev_ids=dev_ids)


def absolute_inputs(location: str) -> str:
    """Every input that `location` names (`hbt_ray.corpus.inputs`) as an absolute path."""
    parts = []
    for part in split_inputs(location):
        name, colon, path = part.removeprefix(SOURCE).partition(":")
        parts.append(SOURCE + name + colon + absolute(path) if part.startswith(SOURCE) else absolute(part))
    return ",".join(parts)


def local_directory(workspace: str, purpose: str) -> Path:
    """`workspace` as a path.

    Raises:
        ConfigError: it is a URL, and `purpose` needs a local directory.
    """
    if "://" in workspace:
        raise ConfigError(f"workspace={workspace!r}: {purpose} is made in a directory; build it in a local workspace")
    return Path(workspace)
