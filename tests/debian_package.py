"""Programs of Debian packages for tests, unpacked beside the system: nothing is installed, no service starts, no system file changes."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.node_packages import cache, without


def unpacked(*packages: str) -> Path:
    """The root of a tree that holds the files of these packages, as they would lie under `/`; kept from run to run.

    Dependencies that are not on the system have to be named too. The test skips with a sentence where there is no apt-get or no download;
    under CI it fails.
    """
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        without(f"no apt-get here: {', '.join(packages)} cannot be unpacked for this test")
    kept = cache() / "debian"
    root = kept / "+".join(sorted(packages))
    if not root.exists():
        part = kept / f"{root.name}.{os.getpid()}"
        part.mkdir(parents=True)
        try:
            if not _download(part, packages) and not (_update() and _download(part, packages)):
                without(f"apt-get could not download {', '.join(packages)}")
            for archive in sorted(part.glob("*.deb")):
                subprocess.run(["dpkg-deb", "-x", archive, part / "root"], check=True, timeout=120)
            (part / "root").rename(root)
        finally:
            shutil.rmtree(part)
    return root


def _download(place: Path, packages: tuple[str, ...]) -> bool:
    options = ["-q", "-o", "APT::Sandbox::User=root", "download", *packages]
    return subprocess.run(["apt-get", *options], cwd=place, capture_output=True, timeout=300).returncode == 0


def _update() -> bool:
    return os.geteuid() == 0 and subprocess.run(["apt-get", "-q", "update"], capture_output=True, timeout=300).returncode == 0
