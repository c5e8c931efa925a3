"""Makes the decision report of a study and puts it where people look: on the study's run, and in a directory."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from mlflow.exceptions import MlflowException

from hbt_ray.errors import ConfigError
from hbt_ray.reports.study_page import chart_files, report_files
from hbt_ray.storage import write_whole
from hbt_ray.study.analysis import StudyAnalysis, analyse
from hbt_ray.study.mlflow_reader import read_study, store_error
from hbt_ray.study.trial_scores import read_trial_scores
from hbt_ray.tracking.runs import RunStore


def report_study(
    tracking_uri: str, experiment: str, name: str, directory: str, set_name: str = "", run_id: str = ""
) -> tuple[StudyAnalysis, list[str]]:
    """Read the study, analyse it, and write its report to its MLflow run and to `directory` (a path or URL).

    The run gets each chart as SET/CHART.png too.

    `set_name` and `run_id` are as in `analyse` and `read_study`. The report on another set than the study's own goes to
    a directory `on-SET` at either place: the study's decision stays what it was.

    Returns:
        The analysis and the files that were written.

    Raises:
        HbtError: the store does not answer, or has no such study, or the study no finished trial with scores.
    """
    study = read_study(tracking_uri, experiment, name, run_id)
    analysis = analyse(study, partial(read_trial_scores, study), set_name)
    other = set_name and set_name != study.metric.rpartition("/")[0]
    files = {f"on-{set_name}/{file}" if other else file: text.encode() for file, text in report_files(analysis).items()}
    written = _write(directory, files)
    store = RunStore(tracking_uri, experiment)
    try:
        for file, content in {**files, **({} if other else chart_files(analysis))}.items():
            store.log_bytes(study.run_id, file, content)
    except (MlflowException, OSError) as error:
        raise store_error(tracking_uri, error) from error
    return analysis, written


def _write(directory: str, files: Mapping[str, bytes]) -> list[str]:
    written = []
    for file, content in files.items():
        written.append(f"{directory.rstrip('/')}/{file}")
        try:
            write_whole(written[-1], content)
        except OSError as error:
            raise ConfigError(f"report {written[-1]} cannot be written ({error.strerror}); use --out DIR") from None
    return written
