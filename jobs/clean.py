"""Clean a corpus: set bad translations, near-duplicates and what test sets hold aside, each row with its reason.

python jobs/clean.py --recipe jobs/recipes/clean.yaml corpus.input=/data/my_corpus [section.field=value ...]
python jobs/clean.py --recipe jobs/recipes/clean.yaml corpus.input=/data/my_corpus --show numbers     # look at some
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hbt_ray.cleaning.clean_corpus import clean
from hbt_ray.cleaning.rejected import check_reason, rejected_table, sample_lines, sample_rejected
from hbt_ray.cluster.capacity import check_shared, local_cpus
from hbt_ray.cluster.connect import join, resolve_workspace
from hbt_ray.config.load import load_recipe
from hbt_ray.corpus.resolve import resolve_input
from hbt_ray.reports.corpus_card import write_clean_card
from hbt_ray.retrieval.sets.catalog import absolute_set
from hbt_ray.terminal import quiet_transformers, recipe_parser, run_job, say, show


def main(argv: Sequence[str]) -> int:
    """Clean the recipe's corpus and show what was rejected."""
    parser = recipe_parser(__doc__ or "")
    parser.add_argument("--show", nargs="?", const="", metavar="REASON", help="print rejected rows (of this reason)")
    parser.add_argument("--rows", type=int, default=10, help="how many of them (default 10)")
    args = parser.parse_args(argv)
    quiet_transformers()
    recipe = load_recipe(args.recipe, args.overrides)
    check_reason(args.show or "")
    join(local_cpus(recipe.resources), log_to_driver=args.verbose)
    workspace = resolve_workspace(recipe.workspace)
    check_shared(workspace)
    config = resolve_input(recipe.corpus, workspace, say)
    sets = tuple(map(absolute_set, recipe.clean.check_against))
    cleaned = clean(config, replace(recipe.clean, check_against=sets), f"{workspace}/cleaned", report=say)
    if args.show is None:
        show(rejected_table(cleaned))
        say(f"card  {write_clean_card(cleaned)}")
        say(f"kept  corpus.input={cleaned.kept}")
        return 0
    for line in sample_lines(sample_rejected(cleaned.directory, args.show, args.rows)):
        say(line)
    return 0


if __name__ == "__main__":
    run_job(main)
