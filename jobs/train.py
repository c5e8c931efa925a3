"""Train one model from a recipe; the same command goes on where it was cut off.

python jobs/train.py --recipe jobs/recipes/sample.yaml [section.field=value ...]
"""

from __future__ import annotations

from collections.abc import Sequence

from hbt_ray.cluster.connect import connect
from hbt_ray.config.load import load_recipe
from hbt_ray.reports.corpus_card import write_prepared_card
from hbt_ray.storage import claim_id
from hbt_ray.terminal import quiet_transformers, recipe_parser, run_job, say
from hbt_ray.tracking.artifacts import LOCATION, log_config
from hbt_ray.tracking.models import log_run_models
from hbt_ray.tracking.progress import progress
from hbt_ray.tracking.session import tracking
from hbt_ray.tracking.uri import ui_command
from hbt_ray.training.experiment import open_experiment
from hbt_ray.training.launch import fit
from hbt_ray.training.run import RunSpec, begun


def main(argv: Sequence[str]) -> int:
    """Train, and print the scores, the run id and the model's directory."""
    args = recipe_parser(__doc__ or "").parse_args(argv)
    quiet_transformers()
    recipe = load_recipe(args.recipe, args.overrides)
    with tracking(recipe) as (uri, open_log):
        connect(recipe, log_to_driver=args.verbose)
        experiment = open_experiment(recipe, say)
        write_prepared_card(experiment.corpus)
        directory = f"{experiment.runs}/train"
        key = f"train/{recipe.name}-{claim_id(f'{directory}/{recipe.name}/run.json')}"
        spec = RunSpec(
            recipe=experiment.runnable(recipe),
            corpus=experiment.corpus.directory,
            base=experiment.base,
            name=recipe.name,
            storage=directory,
            key=key,
        )
        state = begun(spec)  # refuses another recipe before anything is recorded
        log = open_log()
        log.start_run(key, recipe.name, {"hbt.kind": "train", "hbt.seed": str(recipe.train.seed)})
        log_config(log, key, recipe.resolved())
        log.log_datasets(key, experiment.datasets)
        from_step = f", from step {state.step}" if state else ""
        say(f"run {recipe.name}: {recipe.train.steps} steps on {recipe.resources.num_workers} workers{from_step}")
        try:
            with progress(log, lambda key: recipe.train.steps, say):
                result = fit(spec, log)
        except BaseException as error:
            log.finish_run(key, "killed" if isinstance(error, KeyboardInterrupt) else "failed")
            raise
        log.log_artifact_text(key, LOCATION, result.model + "\n")
        log.finish_run(key, "finished")
        for name, value in result.metrics.items():
            say(f"{name:32} {value:12.4f}")
        say(f"model   {result.model}")
        run_id = log.run_id(key)
        say(f"run id  {run_id}")
        if run_id and recipe.tracking.log_models != "none" and log.flush():
            log_run_models(uri, [run_id], say)
        say(f"MLflow  {ui_command(uri)}")
    return 0


if __name__ == "__main__":
    run_job(main)
