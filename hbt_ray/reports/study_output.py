"""Makes the decision report of a study and puts it where people look: into its directory, from where MLflow gets it."""

from __future__ import annotations

from collections.abc import Mapping

from hbt_ray.errors import ConfigError
from hbt_ray.reports.study_page import chart_files, report_files
from hbt_ray.storage import write_whole
from hbt_ray.study.analysis import StudyAnalysis, analyse
from hbt_ray.study.directory import StudyDirectory


def report_study(directory: StudyDirectory, set_name: str = "", out: str = "") -> tuple[StudyAnalysis, list[str]]:
    """Read the study, analyse it, and write its report into its directory, with each chart as SET/CHART.png.

    `set_name` is as in `analyse`. The report on another set than the study's own goes to a directory `on-SET`: the
    study's decision stays what it was. With `out` (a path or URL) the report goes there instead.

    Returns:
        The analysis and the files that were written.

    Raises:
        HbtError: there is no such study, or it has no finished trial with scores.
    """
    study = directory.read()
    analysis = analyse(study, directory.scores, set_name)
    other = set_name and set_name != study.metric.rpartition("/")[0]
    files = {f"on-{set_name}/{file}" if other else file: text.encode() for file, text in report_files(analysis).items()}
    if out:
        return analysis, _write(out.rstrip("/"), files)
    for file, content in {**files, **({} if other else chart_files(analysis))}.items():
        directory.records.file(file, content)
    return analysis, [f"{directory.path}/{file}" for file in files]


def _write(out: str, files: Mapping[str, bytes]) -> list[str]:
    written = [f"{out}/{file}" for file in files]
    for place, content in zip(written, files.values(), strict=True):
        try:
            write_whole(place, content)
        except OSError as error:
            raise ConfigError(
                f"report {place} cannot be written ({error.strerror}); choose another --out DIR"
            ) from None
    return written
