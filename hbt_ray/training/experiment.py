"""What every job does first: find or make the input, the base model and the prepared corpus, and open tracking."""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version

from hbt_ray.batches.index import ItemIndex
from hbt_ray.batches.plan import BatchPlan
from hbt_ray.cluster.capacity import check_shared
from hbt_ray.cluster.connect import resolve_workspace
from hbt_ray.config import CorpusConfig, Recipe
from hbt_ray.corpus.dataset_info import DatasetInfo, corpus_datasets, set_dataset
from hbt_ray.corpus.inputs import find_inputs, read_unit
from hbt_ray.corpus.manifest import Corpus
from hbt_ray.corpus.prepare import prepare
from hbt_ray.corpus.resolve import SAMPLE, local_directory, resolve_input
from hbt_ray.corpus.rows import BAD_LANG, NOT_SELECTED, check_rows
from hbt_ray.errors import ConfigError, CorpusError, asked_by
from hbt_ray.languages import canonical_lang, lang_hint
from hbt_ray.model.find import model_fingerprint, resolve_model
from hbt_ray.retrieval.sets.catalog import absolute_set, load_set
from hbt_ray.terminal import Report
from hbt_ray.training.clusters import with_partition

TINY = "tiny"
TINY_ROWS_A_LANG = 3_000
SAMPLE_VOCABULARY, TINY_VOCABULARY = 5_000, 16_000
"""Tokens of the tiny encoder; a corpus of one's own may have thousands of Chinese characters alone."""


@dataclass(frozen=True)
class Experiment:
    """A recipe with all its paths made: absolute, existing, the same for every process of the job.

    The recipe itself keeps its spelling, by which a study is recognised; `runnable` is what workers get.
    """

    recipe: Recipe
    workspace: str
    base: str
    corpus: Corpus
    sets: tuple[str, ...]
    datasets: tuple[DatasetInfo, ...] = ()

    @property
    def runs(self) -> str:
        """Directory of studies and runs."""
        return f"{self.workspace}/runs"

    @property
    def made_from(self) -> dict[str, str]:
        """What the recipe does not say: contents of the corpus, and of the base model's files."""
        return {"corpus": self.corpus.manifest.fingerprint, "base": model_fingerprint(self.base)}

    def runnable(self, recipe: Recipe) -> Recipe:
        """A trial's recipe with absolute paths of its retrieval sets, its anchor language and its clusters."""
        recipe = with_partition(recipe.with_anchor(), self.corpus, self.base, self.workspace)
        return replace(recipe, evaluation=replace(recipe.evaluation, sets=self.sets))


def open_experiment(recipe: Recipe, report: Report, recipes: Iterable[Recipe] = ()) -> Experiment:
    """Check what can be checked at once, then make what is missing: sample, tiny encoder, prepared corpus.

    Workers find nothing out after an hour that the driver could have found out now. Ray must be connected.

    Args:
        recipe: of the job.
        report: receives one line of news at a time.
        recipes: of all trials, as far as they are known; without any, `recipe` is the only one.

    Raises:
        HbtError: input, model, retrieval sets or corpus cannot be used, or a plan cannot be supplied.
    """
    recipes = list(recipes) or [recipe]
    workspace = resolve_workspace(recipe.workspace)
    check_shared(workspace)
    sets = tuple(absolute_set(name) for name in recipe.evaluation.sets)
    datasets = []
    for name in sets:
        with asked_by(f"evaluation.sets={name!r}"):
            retrieval_set = load_set(name)
        datasets.append(set_dataset(retrieval_set, name))
        for note in retrieval_set.notes:
            report(f"note: {name}: {note}")
    config = resolve_input(recipe.corpus, workspace, report)
    base = resolve_base(recipe, config, workspace, report)
    with asked_by(f"model.base={recipe.model.base!r}"):
        _check_models(recipes, base, report)
    corpus = prepare(
        config,
        base,
        f"{workspace}/corpora",
        name=SAMPLE if recipe.corpus.input == SAMPLE else "",
        trust_remote_code=recipe.model.trust_remote_code,
        report=report,
    )
    _check_dev(recipe, corpus, report)
    resolved = [with_partition(recipe.with_anchor(), corpus, base, workspace) for recipe in recipes]
    check_plans(resolved, corpus, report)
    datasets = [*corpus_datasets(corpus, recipe.evaluation), *datasets]
    here = f"{workspace}/"  # which may be moved: a source in it is named as seen from there
    datasets = [replace(info, source=info.source.removeprefix(here)) for info in datasets]
    return Experiment(recipe, workspace, base, corpus, sets, tuple(datasets))


def _check_models(recipes: Sequence[Recipe], base: str, report: Report) -> None:
    from hbt_ray.training.stepper import load_encoder, make_loss

    for recipe in {recipe.digest("model", "corpus"): recipe for recipe in recipes}.values():
        for note in load_encoder(recipe, base).notes:
            report(f"note: {note}")
        make_loss(recipe)


def _check_dev(recipe: Recipe, corpus: Corpus, report: Report) -> None:
    if not corpus.manifest.splits["dev"].num_items:
        report("note: the corpus has no dev items (corpus.dev_ids, corpus.dev_share), so dev/* is not scored")
    for code in recipe.evaluation.dev_langs:
        if canonical_lang(code) not in corpus.manifest.langs:
            raise ConfigError(
                f"evaluation.dev_langs: the corpus has no language {code!r}; it has {', '.join(corpus.manifest.langs)}"
            )


def check_plans(recipes: Sequence[Recipe], corpus: Corpus, report: Report) -> None:
    """PlanError where the corpus cannot supply the plan of one of `recipes`; what the plans leave out is reported."""
    index = ItemIndex.of(corpus)
    notes: dict[str, None] = {}
    for recipe in {(r.digest("plan"), r.train.steps, r.train.seed): r for r in recipes}.values():
        plan = BatchPlan(index, recipe.plan, seed=recipe.train.seed, num_steps=recipe.train.steps)
        notes.update(dict.fromkeys(plan.notes))
    for note in notes:
        report(f"note: {note}")


def resolve_base(recipe: Recipe, config: CorpusConfig, workspace: str, report: Report) -> str:
    """Name or directory of the base model; `tiny` is built from the input's texts."""
    base = recipe.model.base
    if base == TINY:
        vocab_size = SAMPLE_VOCABULARY if recipe.corpus.input == SAMPLE else TINY_VOCABULARY
        return _tiny(config, workspace, vocab_size, report)
    return resolve_model(base)


def _tiny(config: CorpusConfig, workspace: str, vocab_size: int, report: Report) -> str:
    from hbt_ray.model.tiny import build_tiny_encoder

    inputs = find_inputs(config.input)
    digest = hashlib.sha256(f"{inputs.fingerprint} {version('tokenizers')} {vocab_size}".encode()).hexdigest()[:12]
    directory = local_directory(workspace, "model.base=tiny") / "models" / f"tiny-{digest}"
    if not (directory / "config.json").exists():
        fresh = directory.with_name(f".{directory.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        build_tiny_encoder(fresh, _texts(config), vocab_size=vocab_size)
        fresh.rename(directory)
        report(f"tiny encoder {directory}: built from the corpus's texts")
    return str(directory)


def _texts(config: CorpusConfig) -> Iterator[str]:
    """Questions and passages for a tokenizer: at most as many rows of every language.

    Raises:
        CorpusError: no row can be used; names the reasons.
    """
    wanted = {canonical_lang(code) for code in config.langs}
    taken: Counter[str] = Counter()
    problems: Counter[str] = Counter()
    for unit in find_inputs(config.input).units:
        for table in read_unit(unit):
            for row in check_rows(table, sorted(wanted)).to_pylist():
                if row["problem"] is not None:
                    wrong = f" {row['lang']!r}" if row["problem"] in (BAD_LANG, NOT_SELECTED) else ""
                    problems[f"{row['problem']}{wrong}"] += 1
                elif taken[row["lang"]] < TINY_ROWS_A_LANG:
                    taken[row["lang"]] += 1
                    yield row["question"]
                    yield row["passage"]
    if not taken:
        reasons = "; ".join(f"{num:,} x {problem}" for problem, num in problems.most_common(5)) or "it is empty"
        hints = {lang_hint(problem.split("'")[1]) for problem in problems if problem.startswith(BAD_LANG)} - {""}
        hint = f" ({', '.join(sorted(hints))})" if hints else ""
        raise CorpusError(f"corpus.input={config.input!r} has no usable row: {reasons}{hint}; mend them")
