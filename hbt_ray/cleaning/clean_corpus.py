"""Cleaning a corpus with Ray Data: rows of an item come together as in `prepare`, are judged, and kept or set aside.

kept/part-00003.parquet       long form, an input of `prepare`; dev_ids.txt of the input beside them
rejected/part-00003.parquet   with reason, value, and what a row was compared with
clean.json                    all counts; written last, and what says that the rest is whole
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from hbt_ray.cleaning.contamination import KnownTexts, known_texts
from hbt_ray.cleaning.counts import COUNTS, CleanCounts, KeptCounts
from hbt_ray.cleaning.duplicates import Item, find_duplicates, put_in_place, remove_items
from hbt_ray.cleaning.identify import unjudged
from hbt_ray.cleaning.partition import CleanJob, clean_partition
from hbt_ray.cleaning.similarity import encoder_fingerprint
from hbt_ray.cluster.capacity import takes_gpu
from hbt_ray.cluster.tasks import Shared
from hbt_ray.config import CleanConfig, CorpusConfig
from hbt_ray.corpus.beside import DEV_IDS, files_beside, read_ids, stated_licences, write_beside
from hbt_ray.corpus.grouping import WorkDirectory, count_partitions, cut_of, map_partitions, run_tasks, spill
from hbt_ray.corpus.inputs import KEPT, Inputs, find_inputs, input_name
from hbt_ray.corpus.rows import NOT_SELECTED
from hbt_ray.errors import CorpusError, UnreadableError
from hbt_ray.languages import canonical_lang
from hbt_ray.storage import only_job, open_fs, read_json, write_json
from hbt_ray.terminal import Report

SUMMARY, REJECTED = "clean.json", "rejected"
RULES_VERSION = 2
"""Changes when a rule says something else of the same row."""


@dataclass(frozen=True)
class Cleaned:
    """A cleaned corpus: its directory (local or URL) and its summary."""

    directory: str
    settings: dict[str, Any]
    """Input and thresholds."""
    counts: CleanCounts

    @property
    def kept(self) -> str:
        """What `corpus.input` is for the jobs that follow."""
        return f"{self.directory}/{KEPT}"

    @staticmethod
    def open(directory: str) -> Cleaned | None:
        """The corpus in a directory; None where there is none, or one that is not whole."""
        tree = read_json(f"{directory}/{SUMMARY}")
        return Cleaned(directory, tree["settings"], COUNTS.validate_python(tree["counts"])) if tree else None


def clean(config: CorpusConfig, rules: CleanConfig, root: str, *, report: Report = print) -> Cleaned:
    """Clean `config.input` under `root`; a no-op where that has been done; a job that was stopped is resumed.

    Args:
        config: of the corpus; only its input and languages matter.
        rules: thresholds, and which rules apply.
        root: directory or URL of cleaned corpora; this one becomes a sub-directory named by its fingerprint.
        report: receives one line of news at a time.

    Raises:
        CorpusError: input or dev items missing or malformed, or nothing is left of it; UnreadableError, a kind of it,
            where a file could not be read this time.
        ClusterError: a task failed in Ray, or another job removed what was there; the same call goes on.
        ConfigError: `clean.model` cannot be had.
        EvaluationError: a set of `clean.check_against` cannot be loaded.
    """
    inputs = find_inputs(config.input)
    dev_ids = read_ids(config.dev_ids or ",".join(files_beside(config.input, DEV_IDS)))
    licences = stated_licences(config.input)
    langs = tuple(sorted(canonical_lang(code) for code in config.langs))
    rules = dataclasses.replace(rules, reference_lang=canonical_lang(rules.reference_lang))
    known = [_load(place, rules, report) for place in rules.check_against]
    settings = {
        "input": config.input,
        "input_fingerprint": inputs.fingerprint,
        "languages": list(langs),
        "rules": json.loads(json.dumps(dataclasses.asdict(rules))),
        "sets": {
            texts.name: hashlib.sha256(texts.questions.tobytes() + texts.runs.tobytes()).hexdigest() for texts in known
        },
        "rules_version": RULES_VERSION,
    }
    if rules.model:
        settings["model"] = encoder_fingerprint(rules.model)
    fingerprint = hashlib.sha256(json.dumps({**settings, "input": ""}, sort_keys=True).encode()).hexdigest()
    directory = f"{root.rstrip('/')}/{input_name(config.input)}-{fingerprint[:12]}"
    for line in inputs.ignored:
        report(f"ignored {line}")
    work = WorkDirectory(f"{directory}/.work")
    with only_job(directory, report):
        done = Cleaned.open(directory)
        if done:
            work.remove()  # of a job that was killed when all was done
            report(f"cleaned corpus {directory}: already there")
            return done
        try:
            counts = _run(inputs, langs, CleanJob(rules, directory, Shared(known) if known else None), work, report)
            if not counts.kept.items:
                raise CorpusError(
                    f"corpus.input={config.input!r}: no row is left after cleaning; see {directory}/rejected"
                )
        except CorpusError as error:
            if not isinstance(error, UnreadableError):  # else the same command resumes
                work.remove()
            raise
        if "wrong_language" in rules.rules and (unknown := unjudged(counts.rows)):
            report(f"not judged by language, because the identifier does not know them: {', '.join(unknown)}")
        write_beside(f"{directory}/{KEPT}", dev_ids, licences)
        write_json(f"{directory}/{SUMMARY}", {"settings": settings, "counts": COUNTS.dump_python(counts)})
        work.remove()
    return Cleaned(directory, settings, counts)


def _run(inputs: Inputs, langs: tuple[str, ...], job: CleanJob, work: WorkDirectory, report: Report) -> CleanCounts:
    parts = count_partitions(inputs.num_bytes, inputs.unpacked_bytes)
    if work.begin(cut_of(inputs.units, parts)):
        report(f"{job.directory}: going on where a stopped job was")
    else:
        for stale in (KEPT, REJECTED):
            fs, path = open_fs(f"{job.directory}/{stale}")
            if fs.exists(path):
                fs.rm(path, recursive=True)

    def count(done: int, total: int) -> None:
        report(f"cleaned {done}/{total} partitions")

    files = spill(work, inputs.units, langs, parts)
    num_gpus = int(bool(job.config.model) and takes_gpu(None))
    results = map_partitions(work, files, parts, clean_partition, (job,), count, num_gpus=num_gpus)
    by_part = {part: counts for part, _, counts in results}
    if job.config.duplicates:
        num_items = {part: num for part, num, _ in results}
        duplicates = find_duplicates(job.directory, num_items, job.config.max_jaccard)
        report(f"near-duplicates of other items: {sum(map(len, duplicates.values())):,}")
        items = [(part, num_items[part], duplicates[part]) for part in sorted(duplicates)]
        rest = run_tasks(work, "duplicates", items, _remove, (job.directory,))
        for part, left in zip(sorted(duplicates), rest, strict=True):
            by_part[part].kept = KeptCounts()
            by_part[part].add(left)
            put_in_place(job.directory, part, left.kept.rows.total())
    total = CleanCounts()
    for part in sorted(by_part):
        total.add(by_part[part])
    if total.unusable.pop(NOT_SELECTED, 0):
        report("rows in languages that corpus.langs does not name were left out")
    return total


def _remove(item: tuple[int, int, dict[int, Item]], directory: str) -> CleanCounts:
    return remove_items(directory, *item)


def _load(place: str, rules: CleanConfig, report: Report) -> KnownTexts:
    from hbt_ray.retrieval.sets.catalog import load_set

    retrieval_set = load_set(place)
    texts = known_texts(retrieval_set, f"{place.partition(':')[0]}:{place.rpartition('/')[2]}", rules)
    report(f"{place}: {len(texts.questions):,} questions and {len(texts.runs):,} runs of words to compare with")
    if texts.num_short:
        num_passages = len(retrieval_set.passages or ())
        report(f"note: {place}: {texts.num_short:,} of {num_passages:,} passages are too short to compare")
    return texts
