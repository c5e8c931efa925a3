"""Train one model from a recipe; the same command goes on where it was cut off.

python jobs/train.py --recipe jobs/recipes/sample.yaml [section.field=value ...]
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import asdict

from hbt_ray.cluster.connect import connect
from hbt_ray.config.load import load_recipe
from hbt_ray.errors import one_line
from hbt_ray.records import RunRecords, read_run
from hbt_ray.reports.corpus_card import write_prepared_card
from hbt_ray.terminal import quiet_transformers, recipe_parser, run_job, say
from hbt_ray.tracking.models import RunModel, log_run_models
from hbt_ray.tracking.session import tracking
from hbt_ray.tracking.uri import ui_command
from hbt_ray.training.artifacts import record_config
from hbt_ray.training.experiment import open_experiment
from hbt_ray.training.launch import fit
from hbt_ray.training.progress import progress
from hbt_ray.training.run import RunSpec, begun


def main(argv: Sequence[str]) -> int:
    """Train, and print the scores, the run id and the model's directory."""
    args = recipe_parser(__doc__ or "").parse_args(argv)
    quiet_transformers()
    recipe = load_recipe(args.recipe, args.overrides)
    with tracking(recipe) as job:
        connect(recipe, log_to_driver=args.verbose)
        experiment = open_experiment(recipe, say)
        write_prepared_card(experiment.corpus)
        spec = RunSpec(
            recipe=experiment.runnable(recipe),
            corpus=experiment.corpus.directory,
            base=experiment.base,
            name=recipe.name,
            storage=f"{experiment.runs}/train",
        )
        state = begun(spec)  # refuses another recipe before anything is recorded
        records = RunRecords(spec.directory)
        key = read_run(spec.directory).start.get("key") or f"train/{recipe.name}-{secrets.token_hex(4)}"
        tags = {"hbt.kind": "train", "hbt.seed": str(recipe.train.seed)}
        settings = recipe.resolved()
        records.start(key, recipe.name, tags=tags, settings=settings)
        record_config(records, settings)
        records.append("datasets", datasets=[asdict(info) for info in experiment.datasets])
        job.mirror(spec.directory)
        from_step = f", from step {state.step}" if state else ""
        say(f"run {recipe.name}: {recipe.train.steps} steps on {recipe.resources.num_workers} workers{from_step}")
        try:
            with progress(lambda: {spec.directory: (recipe.name, recipe.train.steps)}, say):
                result = fit(spec)
        except BaseException as error:
            records.end("killed" if isinstance(error, KeyboardInterrupt) else "failed", error=one_line(error))
            raise
        for line in read_run(spec.directory).notes:
            say(f"note: {line}")
        model = result.model.removeprefix(f"{spec.directory}/")
        records.end("finished", step=recipe.train.steps, metrics=result.metrics, model=model)
        for name, value in result.metrics.items():
            say(f"{name:32} {value:12.4f}")
        say(f"model   {result.model}")
        if job.close() and recipe.tracking.log_models != "none":
            log_run_models(job.uri, job.experiment, [RunModel(key, result.model, recipe.train.steps, recipe.name)], say)
        say(f"MLflow  {ui_command(job.uri)}")
    return 0


if __name__ == "__main__":
    run_job(main)
