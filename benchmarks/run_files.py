"""Scores of `jobs/evaluate.py` against ir-measures, on TREC run files of the same vectors.

    python jobs/evaluate.py --model MODEL --set beir:DIR miracl:DIR --json scores.json
    python -m benchmarks.run_files --scores scores.json --set beir:DIR miracl:DIR --out runs

writes `runs/SET/LANG.run` and `LANG.qrels` (each language in its own passages), and `pool.run` and `pool.qrels` of all
languages, reads them with ir-measures, and compares nDCG@10 and R@100. The rankings are full sorts in plain NumPy of
the vectors that the evaluation kept in its workspace. Scores in the run files fall by 1 per place: trec_eval orders
equal scores by the name of the document, and hbt_ray by its row.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import ir_measures
import numpy as np

from benchmarks.output import report
from hbt_ray.arrays import IntArray, VectorArray
from hbt_ray.errors import EvaluationError
from hbt_ray.model.find import resolve_model
from hbt_ray.model.roles import Role
from hbt_ray.retrieval.encoding.ray_encode import EncoderSpec
from hbt_ray.retrieval.encoding.vector_store import VectorStore
from hbt_ray.retrieval.scoring.copies import find_copies
from hbt_ray.retrieval.sets.catalog import load_set
from hbt_ray.retrieval.sets.retrieval_set import RetrievalSet
from hbt_ray.terminal import run_job, say

DEPTH = 1000
"""Passages per query in a run file, as TREC has them."""
TOLERANCE = 1e-9
QUERIES_AT_ONCE = 512
MEASURES = {"ndcg10": ir_measures.nDCG @ 10, "r100": ir_measures.R @ 100}


def main(argv: Sequence[str]) -> int:
    """Write the files, print the table; 1 where a number differs by more than 1e-9."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run_files", description=__doc__.splitlines()[0])
    parser.add_argument("--scores", type=Path, required=True, help="the --json of jobs/evaluate.py, of one model")
    parser.add_argument("--set", nargs="+", required=True, help="the sets of that command, in its order")
    parser.add_argument("--langs", nargs="*", default=(), help="the languages of that command")
    parser.add_argument("--workspace", type=Path, default=Path("build"), help="the workspace of that command")
    parser.add_argument("--out", type=Path, required=True, help="directory of the run files")
    args = parser.parse_args(argv)
    evaluations = json.loads(args.scores.read_text(encoding="utf-8"))["evaluations"]
    if len(evaluations) != len(args.set):
        raise EvaluationError(
            f"{args.scores} has {len(evaluations)} evaluations and --set names {len(args.set)} sets; "
            "name the sets of that command, which must have been of one model."
        )
    rows: list[dict[str, Any]] = []
    for evaluation, name in zip(evaluations, args.set, strict=True):
        rs = load_set(name, args.langs)
        directory = args.out / evaluation["name"]
        queries, passages = (
            kept_vectors(evaluation, rs, role, args.workspace / "vectors") for role in ("query", "passage")
        )
        write_runs(rs, queries, passages, directory)
        rows += compared(evaluation, rs, directory)
    report(
        {"numbers": {"title": "jobs/evaluate.py and ir-measures on the same run files", "rows": rows}}, "numbers", None
    )
    worst = max(abs(row["ours"] - row["ir-measures"]) for row in rows)
    say(f"{len(rows)} numbers, the largest difference is {worst:.1e}; run files: {args.out}")
    return int(worst > TOLERANCE)


def kept_vectors(evaluation: dict[str, Any], rs: RetrievalSet, role: Role, store: Path) -> VectorArray:
    """The vectors that the evaluation of `to_json` kept in `store`; EvaluationError where some are missing."""
    settings = evaluation["settings"]
    prefixes = [
        "" if settings[f"{side} prefix"] == "none" else settings[f"{side} prefix"] for side in ("query", "passage")
    ]
    spec = EncoderSpec(
        model=resolve_model(evaluation["model"]),
        pooling=settings["pooling"],
        query_prefix=prefixes[0],
        passage_prefix=prefixes[1],
        max_query_tokens=settings["query tokens"],
        max_passage_tokens=settings["passage tokens"],
        precision=settings["precision"],
    )
    texts = {"query": rs.queries, "passage": rs.passages}[role]
    assert texts is not None
    vectors, missing = VectorStore(store, spec.fingerprint(role), settings["dim"]).lookup(texts)
    if len(missing):
        raise EvaluationError(f"{store} lacks the vectors of {len(missing)} {role} texts; run jobs/evaluate.py first.")
    return vectors


def write_runs(rs: RetrievalSet, queries: VectorArray, passages: VectorArray, directory: Path) -> None:
    """`LANG.run` and `LANG.qrels` of each query language on its own passages, and `pool.*` of all on all of several."""
    directory.mkdir(parents=True, exist_ok=True)
    names = [f"{rs.langs[lang]}:{name}" for lang, name in zip(rs.passage_langs, rs.passage_ids, strict=True)]
    topics = [f"{rs.langs[lang]}:{key}" for lang, key in zip(rs.query_langs, rs.query_keys, strict=True)]
    if any(char.isspace() for name in (*names, *topics) for char in name):
        raise EvaluationError(f"an id of {rs.name!r} has a blank, which a TREC file cannot hold.")
    asked = {rs.langs[lang]: np.flatnonzero(rs.query_langs == lang) for lang in np.unique(rs.query_langs)}
    pools = {lang: np.flatnonzero(rs.passage_langs == rs.langs.index(lang)) for lang in asked}
    if rs.num_langs > 1:
        asked["pool"], pools["pool"] = np.arange(rs.num_queries), np.arange(rs.num_passages)
    for stem, pool in pools.items():
        inside = np.isin(np.arange(rs.num_passages), pool)
        with (directory / f"{stem}.qrels").open("w", encoding="utf-8") as file:
            for query in asked[stem].tolist():
                pairs = slice(rs.gold_offsets[query], rs.gold_offsets[query + 1])
                for passage, grade in zip(rs.gold_passages[pairs], rs.grades[pairs], strict=True):
                    if inside[passage]:
                        file.write(f"{topics[query]} 0 {names[passage]} {grade}\n")
                for number in np.flatnonzero(rs.lost_queries == query):
                    file.write(f"{topics[query]} 0 lost:{number} {rs.lost_grades[number]}\n")
        with (directory / f"{stem}.run").open("w", encoding="utf-8") as file:
            for query, order in _rankings(rs, queries, passages, asked[stem], pool):
                for place, row in enumerate(order.tolist(), start=1):
                    file.write(f"{topics[query]} Q0 {names[pool[row]]} {place} {DEPTH - place + 1} hbt_ray\n")


def _rankings(
    rs: RetrievalSet, queries: VectorArray, passages: VectorArray, asked: IntArray, pool: IntArray
) -> Iterator[tuple[int, IntArray]]:
    """Each query with the rows of `pool` by their best text, the first DEPTH of a full sort."""
    parts = np.arange(rs.num_passages) if rs.text_passages is None else rs.text_passages
    texts = np.flatnonzero(np.isin(parts, pool))
    starts, copies = np.searchsorted(parts[texts], pool), find_copies(passages[texts])
    for start in range(0, len(asked) if len(pool) else 0, QUERIES_AT_ONCE):
        rows = asked[start : start + QUERIES_AT_ONCE]
        products = queries[rows] @ passages[texts].T
        copies.level(products)
        for query, values in zip(rows, np.maximum.reduceat(products, starts, axis=1), strict=True):
            yield int(query), np.argsort(-values, kind="stable")[:DEPTH]


def compared(evaluation: dict[str, Any], rs: RetrievalSet, directory: Path) -> Iterator[dict[str, Any]]:
    """Each number of the evaluation next to that of ir-measures, which reads the files of `write_runs`."""
    alone = [rs.langs[lang] for lang in np.unique(rs.query_langs)]
    for kind, stems in (("mono", alone), ("pool", ["pool"] if rs.num_langs > 1 else [])):
        for stem in stems:
            qrels = list(ir_measures.read_trec_qrels(str(directory / f"{stem}.qrels")))
            run = list(ir_measures.read_trec_run(str(directory / f"{stem}.run")))
            for lang in sorted({judged.query_id.partition(":")[0] for judged in qrels}):
                judgements = [judged for judged in qrels if judged.query_id.partition(":")[0] == lang]
                theirs = ir_measures.calc_aggregate(list(MEASURES.values()), judgements, run)
                for name, measure in MEASURES.items():
                    yield {
                        "run file": f"{evaluation['name']} {stem}",
                        "language": lang,
                        "measure": str(measure),
                        "queries": len({judged.query_id for judged in judgements}),
                        "ours": evaluation["standard"][f"{kind}_{name}"][evaluation["langs"].index(lang)],
                        "ir-measures": theirs[measure],
                    }


if __name__ == "__main__":
    run_job(main)
