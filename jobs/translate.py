"""Translate a corpus: rows in one language become rows in others, beside the original ones; the same command resumes.

python jobs/translate.py --recipe jobs/recipes/translate.yaml translate.langs='[de, zh]' [--dry-run]
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from rich.table import Table

from hbt_ray.cluster.capacity import check_shared
from hbt_ray.cluster.connect import join, resolve_workspace
from hbt_ray.config.load import load_recipe
from hbt_ray.corpus.resolve import resolve_input
from hbt_ray.terminal import counting, quiet_transformers, recipe_parser, run_job, say, show
from hbt_ray.translation import job as translation
from hbt_ray.translation.estimate import Estimate, estimate
from hbt_ray.translation.pipeline import duration


def main(argv: Sequence[str]) -> int:
    """Translate what is missing, or say what that would cost, and where the corpus is."""
    parser = recipe_parser(__doc__ or "")
    parser.add_argument("--dry-run", action="store_true", help="rows, tokens and expected hours, and no translation")
    args = parser.parse_args(argv)
    quiet_transformers()
    recipe = load_recipe(args.recipe, args.overrides)
    config = recipe.translate
    join(max(os.cpu_count() or 1, config.cpus_per_translator), log_to_driver=args.verbose)
    workspace = resolve_workspace(recipe.workspace)
    check_shared(workspace)
    if config.output:
        config = replace(config, output=resolve_workspace(config.output))
        check_shared(config.output)
    corpus = resolve_input(recipe.corpus, workspace, say)
    job = translation.open_job(corpus, config, workspace, say)
    where = "a GPU" if config.use_gpu else f"{config.cpus_per_translator} CPUs"
    say(f"CTranslate2 in {config.precision}: {job.num_translators} translators at most, with {where} each")
    if args.dry_run:
        show(estimate_table(estimate(job), job.num_translators))
        return 0
    with counting("rows", own_time=True) as progress:
        manifest = translation.run_job(job, say, progress)
    show(result_table(manifest, job.store.directory))
    say(f"{job.store.directory}  (next: jobs/prepare.py with corpus.input={job.store.directory})")
    return 0


def estimate_table(estimates: Sequence[Estimate], num_translators: int) -> Table:
    """A row a language."""
    table = Table(title=f"what is left to translate, on {num_translators} translators", title_justify="left")
    names = ("language", "rows", "done before", "characters", "source tokens", "tokens/s of one", "expected time")
    for number, name in enumerate(names):
        table.add_column(name, justify="left" if number == 0 else "right")
    for own in estimates:
        counts = (f"{n:,}" for n in (own.num_rows, own.num_done, own.num_chars, own.num_tokens))
        table.add_row(own.lang, *counts, f"{own.tokens_per_second:,.0f}", duration(own.hours * 3600))
    total = sum(own.hours for own in estimates)
    sums = (
        sum(getattr(own, name) for own in estimates) for name in ("num_rows", "num_done", "num_chars", "num_tokens")
    )
    table.add_row("all", *(f"{n:,}" for n in sums), "", duration(total * 3600), style="bold")
    return table


def result_table(manifest: dict[str, Any], directory: str) -> Table:
    """A row a language: rows, what was left out, and how fast it went."""
    table = Table(title=directory, title_justify="left")
    names = ("language", "rows", "left out", "cut sentences", "source tokens", "translator time", "tokens/s", "rows/s")
    for number, name in enumerate(names):
        table.add_column(name, justify="left" if number == 0 else "right")
    for lang, own in manifest["langs"].items():
        seconds = max(own["seconds"], 1e-9)
        counts = (f"{own[name]:,}" for name in ("num_rows", "num_empty", "num_cut", "num_tokens"))
        rates = (f"{own['num_tokens'] / seconds:,.0f}", f"{own['num_rows'] / seconds:,.1f}")
        table.add_row(lang, *counts, duration(seconds), *rates)
    return table


if __name__ == "__main__":
    run_job(main)
