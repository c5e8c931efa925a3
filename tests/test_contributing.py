"""The table of CONTRIBUTING.md that says where something is decided: its ways and symbols are there."""

import ast
import re
from itertools import pairwise
from pathlib import Path

import pytest

from tests.test_dependencies import FLOORS, ROOT, names_of

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| ([^|]+\?[^|]*) \| ([^|]+) \| `([\w.]+)` \|$", TEXT, flags=re.MULTILINE)
MOST_HOPS = 2
STARTS = {
    "training/experiment.py",
    "training/worker.py",
    "training/stepper.py",
    "evaluation/evaluate.py",
    "cleaning/clean_corpus.py",
    "reports/study_output.py",
}


def file_of(name: str) -> Path:
    return ROOT / name if name.startswith("jobs/") else ROOT / "hbt_ray" / name


def imported(path: Path) -> set[Path]:
    """Files of the package that a file imports, inside functions too."""
    modules = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        modules |= set(names_of(node)) if isinstance(node, ast.Import | ast.ImportFrom) else set()
        if isinstance(node, ast.ImportFrom) and node.module:
            modules |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {ROOT / f"{module.replace('.', '/')}.py" for module in modules if module.startswith("hbt_ray")}


def names_in(body: list[ast.stmt]) -> dict[str, ast.stmt]:
    names: dict[str, ast.stmt] = {}
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names[node.name] = node
        for target in getattr(node, "targets", [getattr(node, "target", None)]):
            if isinstance(target, ast.Name):
                names[target.id] = node
    return names


def test_the_questions_that_newcomers_ask_are_answered():
    assert len(ROWS) >= 12
    text = " ".join(question for question, _, _ in ROWS).lower()
    for topic in (
        "monolingual",
        "pair",
        "negatives",
        "terms",
        "batch larger",
        "rank distance",
        "resume",
        "metric recorded",
        "recommended",
        "gates",
        "retrieval sets",
        "cleaning",
    ):
        assert topic in text, topic


@pytest.mark.parametrize(("question", "way", "symbol"), ROWS, ids=[symbol for _, _, symbol in ROWS])
def test_a_way_is_short_and_ends_at_its_symbol(question, way, symbol):
    names = re.findall(r"`([\w/.]+)`", way)
    assert names[0].startswith("jobs/") or names[0] in STARTS, question
    assert len(names) - 1 <= MOST_HOPS, question
    files = [file_of(name) for name in names]
    for here, there in pairwise(files):
        assert there in imported(here), f"{here.name} imports {there.name}"
    body = ast.parse(files[-1].read_text(encoding="utf-8")).body
    for part in symbol.split("."):
        names_here = names_in(body)
        assert part in names_here, f"{files[-1].name} defines {symbol}"
        body = getattr(names_here[part], "body", [])


def test_every_folder_and_ground_file_is_explained():
    rooms = {name for names in FLOORS for name in names}
    explained = set(re.findall(r"`([\w]+)`", TEXT))
    assert rooms <= explained, rooms - explained
