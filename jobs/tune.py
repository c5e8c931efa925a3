"""A study over alpha (and any other field): every trial scored and recorded; the same command resumes it.

python jobs/tune.py --recipe jobs/recipes/sample.yaml [section.field=value ...]
"""

from __future__ import annotations

from collections.abc import Sequence

from hbt_ray.cluster.connect import connect
from hbt_ray.config.load import load_recipe
from hbt_ray.errors import HbtError
from hbt_ray.release.promote import write_study_cards
from hbt_ray.reports.corpus_card import write_prepared_card
from hbt_ray.reports.study_output import report_study
from hbt_ray.reports.study_table import study_table
from hbt_ray.reports.study_wording import recommendation_line
from hbt_ray.study.arms import check_arms
from hbt_ray.study.baselines import baseline_names, check_baselines
from hbt_ray.study.directory import StudyDirectory
from hbt_ray.study.points import check_metric, check_space, known_recipes
from hbt_ray.study.run_study import run_study
from hbt_ray.study.study import Study
from hbt_ray.study.trials import scored_sets
from hbt_ray.terminal import quiet_transformers, recipe_parser, run_job, say, show
from hbt_ray.tracking.models import log_run_models
from hbt_ray.tracking.session import tracking
from hbt_ray.tracking.uri import ui_command
from hbt_ray.training.experiment import open_experiment


def main(argv: Sequence[str]) -> int:
    """Run the study, print its table, the recommended point and how to look at it in MLflow."""
    args = recipe_parser(__doc__ or "").parse_args(argv)
    quiet_transformers()
    recipe = load_recipe(args.recipe, args.overrides)
    check_space(recipe)
    check_arms(recipe)
    check_metric(recipe)
    with tracking(recipe) as (uri, open_log):
        connect(recipe, log_to_driver=args.verbose)
        experiment = open_experiment(recipe, say, known_recipes(recipe))
        write_prepared_card(experiment.corpus)
        check_baselines(recipe, experiment.corpus)
        check_metric(recipe, has_dev=experiment.corpus.manifest.splits["dev"].num_items > 0)
        directory = StudyDirectory(f"{experiment.runs}/{recipe.name}")
        study_id = directory.claim(recipe, experiment.made_from)
        study = Study(recipe, experiment, directory, open_log(), study_id)
        results, failed = run_study(study, say)
        said = end_study(study, uri, len(failed))
        run_ids = {result.spec.name: study.log.run_id(study.trial_key(result.spec), 2.0) or "" for result in results}
        for name in scored_sets(results):
            show(study_table(name, results, run_ids, baseline_names(recipe, results)))
        say(said)
        for result in failed:
            say(f"failed {result.spec.label}: {result.error}")
        say(f"MLflow UI: {ui_command(uri)}")
        if failed:
            say(f"{len(failed)} trials of this run failed, so its exit status is 1; the same command tries them again")
    return 1 if failed else 0


def end_study(study: Study, uri: str, num_failed: int) -> str:
    """Decide the study where all of it has arrived in MLflow, and end its run; what is decided, in a line."""
    log = study.log
    run_id = log.run_id(study.key) if log.flush() else None  # the report is made of what is in the store
    if run_id is None:
        stats = log.stats()
        said = (
            f"{stats.num_pending if stats else 'some'} records have not arrived; no decision: "
            f"`python jobs/report.py {study.recipe.name}` makes it when they have"
        )
    else:
        said = decide_study(study, uri, run_id)
        log.log_artifact_text(study.key, "recommendation.txt", said + "\n")
    # That trials failed is no failure of the study, which has run them all.
    log.finish_run(study.key, "finished", {"hbt.failed_trials": str(num_failed)})
    log.flush()
    return said


def decide_study(study: Study, uri: str, run_id: str) -> str:
    """Write the decision report of the study's own run; the recommendation in one line, or why there is none."""
    recipe = study.recipe
    try:
        analysis, written = report_study(
            uri, recipe.tracking.experiment, recipe.name, study.directory.path, run_id=run_id
        )
    except HbtError as error:
        return f"no recommendation: {error}; `python jobs/report.py {recipe.name}` makes the report later"
    say(f"report {written[0]}")
    write_study_cards(uri, analysis, say)
    recommended = [trial.run_id for trial in analysis.recommended.trials] if analysis.recommended else []
    finished = [trial.run_id for trial in analysis.study.finished]
    chosen = {"best": recommended, "all": finished, "none": []}[recipe.tracking.log_models]
    log_run_models(uri, chosen, say)
    return recommendation_line(analysis)


if __name__ == "__main__":
    run_job(main)
