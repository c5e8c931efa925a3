import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted([*(ROOT / "hbt_ray").rglob("*.py"), *(ROOT / "jobs").rglob("*.py")])
PLAIN = sorted(
    [
        *(ROOT / "hbt_ray" / "batches").rglob("*.py"),
        *(ROOT / "hbt_ray" / "model").rglob("*.py"),
        *(ROOT / "hbt_ray" / "evaluation" / f"{name}.py" for name in ("metrics", "bias", "ranks", "sets", "score")),
        *(
            ROOT / "hbt_ray" / "tuning" / f"{name}.py"
            for name in ("analysis", "claims", "decision", "gains", "resampling")
        ),
    ]
)


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", re.match(r"[A-Za-z0-9._-]+", name)[0]).lower()


def names_of(node: ast.stmt) -> list[str]:
    """Full names of the modules that a statement imports."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.level == 0:
        return [node.module]
    return []


def imports(path: Path) -> set[str]:
    """Modules imported anywhere in a file."""
    return {name for node in ast.walk(ast.parse(path.read_text())) for name in names_of(node)}


def imports_on_loading(path: Path) -> set[str]:
    """Modules imported as soon as a file is: not in functions, and not for type checkers alone."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                continue
            found.update(names_of(child))
            visit(child)

    visit(ast.parse(path.read_text()))
    return found


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def declared(project):
    return {canonical(requirement) for requirement in project["dependencies"]}


@pytest.fixture(scope="module")
def optional(project):
    """Modules of what an extra declares that is for users, and need not be installed to test."""
    extras = (names for extra, names in project["optional-dependencies"].items() if extra != "dev")
    return {canonical(name).replace("-", "_") for names in extras for name in names}


@pytest.fixture(scope="module")
def third_party(declared, optional):
    """Distribution -> a file that imports one of its modules; a declared one where several have the module."""
    known = {
        top: next((name for name in names if canonical(name) in declared), names[0])
        for top, names in packages_distributions().items()
    }
    found = {}
    for path in MODULES:
        for top in {name.split(".")[0] for name in imports(path)} - {"hbt_ray", *sys.stdlib_module_names, *optional}:
            assert top in known, f"{path.relative_to(ROOT)} imports {top}, which no installed distribution has"
            found[canonical(known[top])] = path.relative_to(ROOT)
    return found


def test_what_is_imported_is_declared_and_what_is_declared_is_imported(declared, third_party):
    assert {name: path for name, path in third_party.items() if name not in declared} == {}
    assert declared - set(third_party) == set()


def test_constraints_pin_every_package_once_and_all_that_are_declared(project):
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    for line in lines:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line), line
    pins = [canonical(line) for line in lines]
    assert len(set(pins)) == len(pins)
    assert "torch==2.13.0" in lines
    extras = [name for names in project["optional-dependencies"].values() for name in names]
    assert {canonical(name) for name in [*project["dependencies"], *extras]} <= set(pins)


@pytest.mark.parametrize("path", PLAIN, ids=lambda path: str(path.relative_to(ROOT / "hbt_ray")))
def test_plain_modules_load_without_ray_and_mlflow(path):
    seen, todo = set(), [path]
    while todo:  # through the project's own modules too
        file = todo.pop()
        if file in seen:
            continue
        seen.add(file)
        loaded = imports_on_loading(file)
        assert {name.split(".")[0] for name in loaded} & {"ray", "mlflow"} == set(), file.relative_to(ROOT)
        for name in loaded:
            own = ROOT.joinpath(*name.split("."))
            todo += [p for p in (own.with_suffix(".py"), own / "__init__.py") if p.exists()]
