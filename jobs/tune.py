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
from hbt_ray.study.trials import Trial, scored_sets
from hbt_ray.terminal import quiet_transformers, recipe_parser, run_job, say, show
from hbt_ray.tracking.models import RunModel, log_run_models
from hbt_ray.tracking.runs import RunStore
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
    with tracking(recipe) as job:
        connect(recipe, log_to_driver=args.verbose)
        experiment = open_experiment(recipe, say, known_recipes(recipe))
        write_prepared_card(experiment.corpus)
        check_baselines(experiment.runnable(recipe), experiment.corpus)
        check_metric(recipe, has_dev=experiment.corpus.manifest.splits["dev"].num_items > 0)
        directory = StudyDirectory(f"{experiment.runs}/{recipe.name}")
        study = Study(recipe, experiment, directory, directory.claim(recipe, experiment.made_from))
        job.mirror(directory.path)
        results, failed = run_study(study, say)
        decision, chosen, scores = decide_study(study)
        directory.records.file("recommendation.txt", decision + "\n")
        directory.records.metrics(len(results), scores)  # a step per decision: more trials, another decision
        # That trials failed is no failure of the study, which has run them all.
        directory.records.end("finished", tags={"hbt.failed_trials": str(len(failed))}, description=decision)
        page = ""
        if job.close():
            models = [RunModel(trial.key, trial.model, trial.step, trial.label) for trial in chosen]
            log_run_models(job.uri, job.experiment, models, say)
            trained = [trial.key for trial in directory.read().finished if trial.config.get("train.steps")]
            page = RunStore(job.uri, job.experiment).comparison(trained)
        for name in scored_sets(results):
            show(study_table(name, results, baseline_names(recipe, results)))
        say(decision)
        for result in failed:
            say(f"failed {result.spec.label}: {result.error}")
        say(f"MLflow UI: {ui_command(job.uri, page)}")
        if failed:
            say(f"{len(failed)} trials of this run failed, so its exit status is 1; the same command tries them again")
    return 1 if failed else 0


def decide_study(study: Study) -> tuple[str, list[Trial], dict[str, float]]:
    """Write the report.

    Returns:
        The recommendation in one line, or why there is none; the trials whose models to log; and the means of the
        recommended configuration's headline numbers.
    """
    recipe = study.recipe
    try:
        analysis, written = report_study(study.directory)
    except HbtError as error:
        return f"no recommendation: {error}; `python jobs/report.py {recipe.name}` makes the report later", [], {}
    say(f"report {written[0]}")
    write_study_cards(analysis, say)
    point = analysis.recommended
    recommended = list(point.trials) if point else []
    chosen = {"best": recommended, "all": analysis.study.finished, "none": []}[recipe.tracking.log_models]
    means = dict(zip(analysis.main.on_set.metrics, point.means, strict=True)) if point else {}
    scores = {f"{analysis.main.on_set.name}/{metric}": float(mean) for metric, mean in means.items()}
    return recommendation_line(analysis), chosen, scores


if __name__ == "__main__":
    run_job(main)
