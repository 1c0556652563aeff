"""The built wheel: everything in it, nothing to build."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BUNDLES = ("loader.js", "terminal.js", "table.js", "dashboard.js", "chart.js", "recording.js", "page.js", "resume.js")


@pytest.mark.timeout(180)
def test_wheel_needs_neither_node_nor_a_build(tmp_path: Path) -> None:
    """A wheel holds the bundles and the Jupyter config, and imports where there is no source tree."""
    if not all((ROOT / "partywidgets" / "static" / name).exists() for name in BUNDLES):
        pytest.fail("the bundles are not built: ./dev test builds them")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)],
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    wheel = next(tmp_path.glob("*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        entries = archive.read(next(name for name in names if name.endswith("entry_points.txt"))).decode()
        archive.extractall(tmp_path / "site")
    assert {f"partywidgets/static/{name}" for name in BUNDLES} <= set(names)
    assert "partywidgets/py.typed" in names
    assert any(name.endswith("data/etc/jupyter/jupyter_server_config.d/partywidgets.json") for name in names)
    assert "runbook = partywidgets.runbook:RunbookExporter" in entries
    assert {f"partywidgets/nbconvert/runbook/{name}" for name in ("conf.json", "index.html.j2")} <= set(names)
    assert not [name for name in names if name.startswith(("ts/", "tests/", "benchmarks/"))]
    code = "import partywidgets as pw, sys; assert pw.__file__.startswith(sys.argv[1]), pw.__file__; print(pw.__version__)"
    site = tmp_path / "site"
    imported = subprocess.run(
        [sys.executable, "-c", code, str(site)],
        capture_output=True,
        text=True,
        timeout=30,
        cwd=tmp_path,
        env={"PYTHONPATH": str(site), "PATH": "/usr/bin"},
    )
    assert imported.returncode == 0, imported.stderr
