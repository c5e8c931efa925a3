"""Prepare a corpus: check it, join it by id, tokenise it once and write shards.

python jobs/prepare.py --recipe jobs/recipes/sample.yaml [section.field=value ...]
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from hbt_ray.cluster.capacity import local_cpus
from hbt_ray.cluster.connect import join
from hbt_ray.config.load import load_recipe
from hbt_ray.corpus.manifest import Corpus
from hbt_ray.reports.corpus_card import write_prepared_card
from hbt_ray.terminal import quiet_transformers, recipe_parser, run_job, say, show
from hbt_ray.training.experiment import open_experiment


def main(argv: Sequence[str]) -> int:
    """Prepare the recipe's corpus and show what is in it."""
    args = recipe_parser(__doc__ or "").parse_args(argv)
    quiet_transformers()
    recipe = load_recipe(args.recipe, args.overrides)
    join(local_cpus(recipe.resources), log_to_driver=args.verbose)
    experiment = open_experiment(recipe, say)
    write_prepared_card(experiment.corpus)
    show(corpus_table(experiment.corpus))
    say(experiment.corpus.directory)
    return 0


def corpus_table(corpus: Corpus) -> Table:
    """A row a language: items, token lengths and the share that was cut."""
    manifest = corpus.manifest
    table = Table(title=f"{corpus.directory}", title_justify="left")
    columns = ("language", "train", "dev", "query tokens", "cut", "passage tokens", "p95", "cut")
    for number, name in enumerate(columns):
        table.add_column(name, justify="left" if number == 0 else "right")
    for lang in manifest.langs:
        query, passage = manifest.tokens[lang]["query"], manifest.tokens[lang]["passage"]
        table.add_row(
            lang,
            f"{manifest.splits['train'].items_per_lang[lang]:,}",
            f"{manifest.splits['dev'].items_per_lang[lang]:,}",
            f"{query['mean']:.1f}",
            f"{query['cut']:.1%}",
            f"{passage['mean']:.1f}",
            f"{passage['p95']:.0f}",
            f"{passage['cut']:.1%}",
        )
    return table


if __name__ == "__main__":
    run_job(main)
