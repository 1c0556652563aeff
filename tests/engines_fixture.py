"""Real container engines for tests: a dockerd and a Podman socket of the suite's own, with a busybox image made here. No registry is asked.

Use: `from tests.engines_fixture import docker_engine, podman_engine` in a conftest, then `docker_engine.start("name")` in a test.
"""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import shutil
import socket
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

IMAGE = "partywidgets-busybox"
_LIMITS = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=100:100"]


def busybox_layer(extra: dict[str, Path] | None = None) -> bytes:
    """A root file system: busybox with a link for each of its applets, and what `extra` adds (path inside → file here)."""
    busybox = Path(shutil.which("busybox") or "/bin/busybox")
    applets = subprocess.run([busybox, "--list"], check=True, capture_output=True, text=True).stdout.split()
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for folder in ("bin", "dev", "etc", "proc", "root", "sys", "tmp", "usr", "usr/bin", "var"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            archive.addfile(entry)
        archive.add(busybox.resolve(), "bin/busybox")
        for applet in applets:
            if applet != "busybox":
                link = tarfile.TarInfo(f"bin/{applet}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                archive.addfile(link)
        for name, content in {"etc/passwd": "root:x:0:0:root:/root:/bin/sh\n", "etc/group": "root:x:0:\n"}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content.encode()))
        for inside, here in (extra or {}).items():
            archive.add(here.resolve(), inside.lstrip("/"))
    return made.getvalue()


def program_files(program: str) -> dict[str, Path]:
    """A program of this machine and the libraries that it loads, for `busybox_layer(extra=…)`."""
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is not installed: apt-get install {program}")
    linked = subprocess.run(["ldd", path], check=True, capture_output=True, text=True).stdout
    files = [Path(word) for line in linked.splitlines() for word in line.split() if word.startswith("/")]
    return {f"/bin/{program}": Path(path), **{str(file): file for file in files}}


@dataclass
class Engine:
    """A running engine; `command` is its command line up to the subcommand."""

    kind: str
    url: str
    command: list[str]
    run_options: list[str]
    process: subprocess.Popen[bytes]
    _started: list[str] = field(default_factory=list)
    _images: list[str] = field(default_factory=list)

    def call(self, *arguments: str, stdin: bytes | None = None) -> str:
        """Runs a subcommand; what it printed."""
        # With CONTAINER_HOST set, Podman's command line becomes a remote client that knows no storage of its own.
        environ = {name: value for name, value in os.environ.items() if name not in ("DOCKER_HOST", "CONTAINER_HOST")}
        done = subprocess.run([*self.command, *arguments], input=stdin, capture_output=True, timeout=60, env=environ, check=False)
        if done.returncode:
            raise AssertionError(f"{self.kind} {' '.join(arguments)}: {done.stderr.decode(errors='replace')}")
        return done.stdout.decode(errors="replace").strip()

    def start(self, name: str = "", command: tuple[str, ...] = ("sleep", "1000"), image: str = IMAGE) -> str:
        """Starts a container and returns its name."""
        name = name or f"pw-{secrets.token_hex(4)}"
        self.call("run", "-d", "--name", name, *self.run_options, image, *command)
        self._started.append(name)
        return name

    def image_with(self, program: str) -> str:
        """An image that has a program of this machine beside busybox."""
        image = f"{IMAGE}-{program}"
        if program not in self._images:
            self.call("import", "-", image, stdin=busybox_layer(program_files(program)))
            self._images.append(program)
        return image

    def remove(self, name: str) -> None:
        """Kills and removes a container, at once: Podman would let it stop first, for 10 s where its program ignores SIGTERM."""
        self.call("rm", "-f", *(["-t", "0"] if self.kind == "podman" else []), name)
        if name in self._started:
            self._started.remove(name)

    def clean(self) -> None:
        """Removes what was started."""
        for name in list(self._started):
            self.remove(name)


def _require(*binaries: tuple[str, str]) -> None:
    for binary, package in binaries:
        if shutil.which(binary, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin:/bin") is None:
            pytest.skip(f"{binary} is not installed: apt-get install {package}")
    if os.geteuid() != 0:
        pytest.skip("an engine of the suite's own needs root: run the tests as root, or in a container")


def listens(place: Path) -> bool:
    """Whether somebody takes connections there: a socket is in its folder before its owner listens."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(place)) == 0


def _wait(process: subprocess.Popen[bytes], place: Path, log: Path) -> None:
    deadline = time.monotonic() + 45
    while not listens(place):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise AssertionError(f"the engine did not start: {log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.05)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(5)


def _end_rest(folder: Path) -> None:
    """Podman's conmon of an exec waits for minutes after its end: those of this folder go at once."""
    for process in psutil.process_iter(["cmdline"]):
        if any(str(folder) in part for part in process.info["cmdline"] or ()):
            with contextlib.suppress(psutil.Error):
                process.kill()


def _short_folder() -> Path:
    # A socket's path has at most 107 bytes, which pytest's own folders can exceed.
    return Path(tempfile.mkdtemp(prefix="pw-engine-", dir="/tmp"))


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[Engine]:
    """A dockerd of this session's own: no network, no iptables, plain copies for layers."""
    _require(
        ("dockerd", "docker.io"), ("docker", "docker.io"), ("containerd", "containerd"), ("runc", "runc"), ("busybox", "busybox-static")
    )
    folder = _short_folder()
    place, log = folder / "docker.sock", folder / "dockerd.log"
    arguments = ["--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver=vfs", f"--data-root={folder}/data"]
    arguments += [f"--exec-root={folder}/exec", f"--pidfile={folder}/dockerd.pid", f"--host=unix://{place}"]
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    with log.open("wb") as into:
        process = subprocess.Popen(["dockerd", *arguments], stdout=into, stderr=into, env={**os.environ, "PATH": path})
    try:
        _wait(process, place, log)
        engine = Engine("docker", f"unix://{place}", ["docker", "--host", f"unix://{place}"], ["--network=none"], process)
        _answers(engine, process, log)
        engine.call("import", "-", IMAGE, stdin=busybox_layer())
        yield engine
        engine.clean()
    finally:
        _end(process)
        _end_rest(folder)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def podman_engine() -> Iterator[Engine]:
    """Podman's Docker-compatible socket, with storage of this session's own."""
    _require(("podman", "podman"), ("runc", "runc"), ("conmon", "conmon"), ("busybox", "busybox-static"))
    folder = _short_folder()
    place, log = folder / "podman.sock", folder / "podman.log"
    runc = shutil.which("runc", path="/usr/sbin:/usr/bin:/sbin:/bin") or "runc"
    own = ["podman", "--root", f"{folder}/root", "--runroot", f"{folder}/run", "--tmpdir", f"{folder}/tmp", "--storage-driver=vfs"]
    own += ["--runtime", runc, "--cgroup-manager=cgroupfs", "--events-backend=file"]
    with log.open("wb") as into:
        process = subprocess.Popen([*own, "system", "service", "--time=0", f"unix://{place}"], stdout=into, stderr=into)
    try:
        _wait(process, place, log)
        engine = Engine("podman", f"unix://{place}", own, ["--network=none", *_LIMITS], process)
        engine.call("import", "-", f"localhost/{IMAGE}", stdin=busybox_layer())
        yield engine
        engine.clean()
    finally:
        _end(process)
        _end_rest(folder)
        shutil.rmtree(folder, ignore_errors=True)


def _answers(engine: Engine, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            engine.call("version")
            return
        except AssertionError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"dockerd does not answer: {log.read_text(errors='replace')[-2000:]}") from None
            time.sleep(0.1)
