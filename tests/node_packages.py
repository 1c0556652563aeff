"""npm packages for tests: what a folder's lock names, installed once and kept from run to run, outside the checkout."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest


def cache() -> Path:
    """Where tests keep what they downloaded."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "partywidgets"


def without(reason: str) -> NoReturn:
    """Skips the test with a sentence; under CI it fails."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def installed(folder: Path, name: str, *scripts: str, untried: str, exact: bool = True) -> Path:
    """A directory with the packages of `folder`'s lock and these scripts of it. `untried` says what cannot be tried without it.

    `exact` is `npm ci`. A lock that lacks packages of other systems, because a registry does, is refused by that: then `npm install`.
    """
    if shutil.which("node") is None or shutil.which("npm") is None:
        without(f"Node.js and npm are not installed: {untried} cannot be tried")
    lock = (folder / "package-lock.json").read_bytes()
    place = cache() / f"{name}-{hashlib.sha256(lock).hexdigest()[:16]}"
    place.mkdir(parents=True, exist_ok=True)
    for file in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copyfile(folder / file, place / file)
    if not (place / "node_modules" / ".package-lock.json").exists():
        command = ["npm", "ci"] if exact else ["npm", "install", "--no-save"]
        done = subprocess.run([*command, "--ignore-scripts"], cwd=place, capture_output=True, text=True, timeout=300)
        if done.returncode:
            without(f"{' '.join(command)} failed, {untried} cannot be tried: {done.stderr.strip()[-300:]}")
    for script in scripts:
        shutil.copyfile(folder / script, place / script)
    return place
