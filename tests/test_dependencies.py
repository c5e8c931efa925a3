import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted(path for folder in ("hbt_ray", "jobs", "benchmarks") for path in (ROOT / folder).rglob("*.py"))
FLOORS = (
    ("errors",),
    ("arrays", "storage", "languages", "terminal"),
    ("config", "finished", "reading", "records"),
    ("cluster", "stats", "model", "kit"),
    ("losses", "retrieval"),
    ("corpus",),
    ("cleaning", "translation", "batches"),
    ("training", "tracking"),
    ("evaluation", "study"),
    ("reports",),
    ("release",),
)
"""The packages and ground files from the bottom up. Each imports only what stands below it, and its own files."""
WITHOUT_RAY = ("batches", "losses", "model", "retrieval/scoring", "stats")
"""Folders of plain NumPy and PyTorch: tested in milliseconds, and used where Ray and MLflow are not installed."""
DECISION = ("analysis", "arms", "claims", "decision", "gains", "trials")
"""Files of `study` that are as plain."""
PLAIN = sorted(
    [
        *(path for place in WITHOUT_RAY for path in (ROOT / "hbt_ray" / place).rglob("*.py")),
        *(ROOT / "hbt_ray" / "study" / f"{name}.py" for name in DECISION),
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
        for top in {name.split(".")[0] for name in imports(path)} - {
            "hbt_ray",
            "benchmarks",
            *sys.stdlib_module_names,
            *optional,
        }:
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


def module_of(path: Path) -> str:
    """Dotted name of a file of the package."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


OWN = {module_of(path): path for path in MODULES if path.parts[len(ROOT.parts)] == "hbt_ray"}


def own_imports(path: Path) -> set[str]:
    """Modules of the package that a file imports anywhere, inside functions too, not for type checkers alone."""
    tree = ast.parse(path.read_text())
    checks = [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)]
    skipped = {id(node) for check in checks for node in ast.walk(check)}
    found = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "hbt_ray":
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                found.add(full if full in OWN else node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name in OWN}
    return found - {module_of(path)}


def test_imports_run_down():
    floor = {name: number for number, names in enumerate(FLOORS) for name in names}
    rooms = {name.split(".")[1] for name in OWN if "." in name}
    assert rooms == set(floor), "every package and ground file has a floor"
    upward = []
    for name, path in OWN.items():
        for other in own_imports(path):
            here, there = name.split(".")[1], other.split(".")[1]
            if here != there and floor[there] >= floor[here]:
                upward.append(f"{name} imports {other}")
    assert sorted(upward) == []


def test_no_file_imports_itself_by_way_of_others():
    graph = {name: own_imports(path) for name, path in OWN.items()}
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, f"a circle: {' -> '.join((*way[way.index(name) :], name))}"
        if name in done:
            return
        for other in sorted(graph[name]):
            visit(other, (*way, name))
        done.add(name)

    for name in sorted(graph):
        visit(name, ())
