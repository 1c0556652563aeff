"""`./dev`: what it makes of a test that failed, and of a system package that is missing."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
ONCE = """
from pathlib import Path

def test_fails_once():
    mark = Path(__file__).with_name("mark")
    if not mark.exists():
        mark.touch()
        raise AssertionError("raced")
"""
TWICE = "def test_fails_always():\n    raise AssertionError('broken')\n"
MANY = "import pytest\n\n@pytest.mark.parametrize('case', range(4))\ndef test_fails(case):\n    raise AssertionError(case)\n"


@pytest.fixture
def dev() -> ModuleType:
    """The script as a module."""
    loader = SourceFileLoader("dev_script", str(ROOT / "dev"))
    spec = spec_from_loader("dev_script", loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    module.__dict__["PYTHON"] = sys.executable
    return module


@pytest.mark.parametrize(("text", "passed"), [(ONCE, ["test_it.py::test_fails_once"]), (TWICE, []), (ONCE + TWICE, []), (MANY, [])])
def test_only_what_passes_alone_is_unsteady(text: str, passed: list[str], dev: ModuleType, tmp_path: Path) -> None:
    """A test that failed in the run and passes alone is named; one that fails again fails the run, and so do more than a few."""
    (tmp_path / "test_it.py").write_text(text)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    cache = tmp_path / "cache"
    command = [sys.executable, "-m", "pytest", "-q", "-o", f"cache_dir={cache}", "test_it.py"]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    assert subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True).returncode == dev.TESTS_FAILED
    assert dev.unsteady(cache, environment, tmp_path) == passed


def test_missing_packages_are_named_once(dev: ModuleType, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Who may not install system packages is told which are missing, and not that they are being installed."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(SystemExit):
        dev.need_programs({"no-such-program": "its-package"})
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "dev: missing system packages, install them and run this again: its-package\n")
