"""What the repository must and must not hold."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import nbformat
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from partywidgets import __version__

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def tracked() -> list[Path]:
    """Files in git; everything below the root where this is not a checkout."""
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    return [ROOT / line for line in done.stdout.splitlines()] if done.returncode == 0 else []


def test_locks_name_no_address() -> None:
    """Lock and constraints files say versions, not where they came from."""
    locks = [path for path in tracked() if path.name in ("package-lock.json", "constraints.txt")]
    assert len(locks) >= 2
    for path in locks:
        text = path.read_text()
        assert not re.search(r"https?://[^\"\s]*(registry|pypi|pythonhosted|npmjs)[^\"\s]*", text), path
        if path.name == "package-lock.json":
            assert not [
                name for name, package in json.loads(text)["packages"].items() if "resolved" in package and not package.get("link")
            ], path


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_are_stored_as_they_are_written(path: Path) -> None:
    """A notebook whose cells were edited was run and stored again (./dev notebooks)."""
    from store_notebooks import fingerprint

    notebook = nbformat.read(path, as_version=4)
    assert notebook.metadata.get("partywidgets", {}).get("cells") == fingerprint(notebook), "run ./dev notebooks"
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.execution_count is not None, f"cell {cell.id} was never run: ./dev notebooks"
            assert not [output for output in cell.outputs if output.output_type == "error"], cell.id


def test_notebooks_are_the_two_of_the_readme() -> None:
    """Both demo notebooks are there."""
    assert {path.name for path in NOTEBOOKS} >= {"ops_dashboard.ipynb", "terminal.ipynb"}


def brought_by(*requirements: str) -> set[str]:
    """Distributions that an installation of these brings, with what those need."""
    found: set[str] = set()
    waiting = [Requirement(text) for text in requirements]
    while waiting:
        needed = waiting.pop()
        name = canonicalize_name(needed.name)
        if name in found or (needed.marker and not needed.marker.evaluate({"extra": ""})):
            continue
        found.add(name)
        try:
            waiting += map(Requirement, requires(name) or ())
        except PackageNotFoundError:
            continue
    return found


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_dev_lab_installs_what_the_notebooks_need(path: Path) -> None:
    """Whoever runs the README's first command runs every cell: a module that only the tests' extra brings is missing there."""
    extra = re.search(r"def lab\(.*?\n    install\(\"?(\w*)", (ROOT / "dev").read_text(), re.DOTALL)
    assert extra is not None
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    installed = brought_by(*project["dependencies"], *project["optional-dependencies"].get(extra[1], []))
    code = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    tree = ast.parse("\n".join(re.sub(r"(?m)^%.*", "", source) for source in code))
    modules = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    modules |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    if any(isinstance(node, ast.Attribute) and node.attr == "plot" for node in ast.walk(tree)):
        modules.add("matplotlib")  # pandas imports it when it draws
    owners = packages_distributions()
    for module in sorted({module.split(".")[0] for module in modules} - sys.stdlib_module_names - {"partywidgets"}):
        assert installed.intersection(map(canonicalize_name, owners.get(module, []))), f"./dev lab does not install {module}"


def test_the_version_is_one() -> None:
    """The package, its front end and the newest entry of the changelog say the same version."""
    newest = re.search(r"^## (\S+)$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert newest is not None
    assert (newest[1], json.loads((ROOT / "ts/package.json").read_text())["version"]) == (__version__, __version__)


def test_the_architecture_page_names_files_that_are_there() -> None:
    """Whoever follows a path of docs/topics/architecture.md finds it, from the root or from the package."""
    page = (ROOT / "docs/topics/architecture.md").read_text()
    paths = {path for path in re.findall(r"`([\w.-]+(?:/[\w.-]+)*/?)`", page) if "/" in path}
    assert len(paths) > 50
    assert not [path for path in sorted(paths) if not (ROOT / path).exists() and not (ROOT / "partywidgets" / path).exists()]


def test_the_architecture_page_names_functions_that_are_there() -> None:
    """What it names in a file (`app.py`: `reload`, or `reload` of `app.py`) is defined there."""
    page = (ROOT / "docs/topics/architecture.md").read_text()
    behind = re.findall(r"`([\w./-]+\.(?:py|ts))`: ((?:`[\w.]+`(?:, )?)+)", page)
    before = [(path, f"`{name}`") for name, path in re.findall(r"`([\w.]+)` (?:of |in |\()`([\w./-]+\.(?:py|ts))`", page)]
    named = [(path, name) for path, names in behind + before for name in re.findall(r"`([\w.]+)`", names)]
    assert len(named) > 40
    missing = []
    for path, name in named:
        place = next(place for place in (ROOT / path, ROOT / "partywidgets" / path) if place.exists())
        what = re.escape(name.rpartition(".")[2])
        if not re.search(rf"(?m)\b(?:class|def|function) {what}\b|^\s*(?:async )?{what}(?:\(|\b.* = )", place.read_text()):
            missing.append(f"{path}: {name}")
    assert not missing


@pytest.mark.parametrize("package", ["party", "transport", "terminal", "scans", "client"])
def test_a_package_names_its_files(package: str) -> None:
    """Whoever opens a large package finds each of its files once in the first docstring, beside what it is about."""
    folder = ROOT / "partywidgets" / package
    docstring = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
    lines = [re.split(r" {2,}", line.strip(), maxsplit=1)[1] for line in docstring.splitlines() if line.startswith("    ")]
    named = sorted(name for line in lines for name in line.split())
    folders = {f"{path.parent.name}/" for path in folder.glob("*/__init__.py")}
    there = folders | {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert named == sorted(there), f"the map in partywidgets/{package}/__init__.py and its files differ by {sorted(there ^ set(named))}"
