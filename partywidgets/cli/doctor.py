"""`partywidgets doctor`: has this machine what partywidgets needs?"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .. import __version__
from ..engines.docker import EngineKind, engine_sockets, start_of
from ..exceptions import HostError, PartyError
from ..party.database import is_full
from . import Verdict
from .tokens import read_token

if TYPE_CHECKING:
    from ..partysocket import FetchResponse

PACKAGES = ("websockets", "uvicorn", "starlette", "pydantic", "aiohttp", "pandas", "jupyterlab", "ipywidgets", "anywidget")
SHELLS = ("bash", "zsh", "dash", "ash", "sh")
"""Those that `terminal.shell.local_start` can have mark their prompts."""
ENGINE_TIMEOUT = 3.0
"""Seconds that an engine's socket has for each step of its answer."""
HOST_TIMEOUT = 5.0
"""Seconds that a host has for each of its answers."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line. `bad` is what matters, `note` what something optional lacks; both say the remedy."""

    kind: Literal["ok", "note", "bad"]
    text: str


def run(*, url: str | None, token_file: Path | None) -> None:
    """Prints one line a finding; ends with exit code 1 when one of them is bad."""
    findings = list(_findings(url, read_token(token_file)))
    for finding in findings:
        print(f"{finding.kind:<5}{finding.text}")
    raise Verdict(1 if any(finding.kind == "bad" for finding in findings) else 0)


def _findings(url: str | None, token: str | None) -> Iterator[Finding]:
    looks: list[Callable[[], Finding | list[Finding]]] = [
        _python,
        _packages,
        _bundles,
        _extension,
        _state_directory,
        _pseudo_terminal,
        _shell,
        _screen,
        _loop,
        lambda: _engine("docker"),
        lambda: _engine("podman"),
    ]
    if url is not None:
        looks.append(lambda: _host(url, token))
    for look in looks:
        try:
            found = look()
        except Exception as error:
            found = Finding("bad", f"{getattr(look, '__name__', 'a check')} failed to look: {type(error).__name__}: {error}")
        yield from [found] if isinstance(found, Finding) else found


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("ok", f"Python {version}, partywidgets {__version__}")


def _packages() -> list[Finding]:
    from packaging.requirements import Requirement

    try:
        requirements = metadata.requires("partywidgets") or []
    except metadata.PackageNotFoundError:  # a checkout that runs without being installed
        requirements = []
    wanted = {found.name.lower(): found.specifier for found in map(Requirement, requirements) if found.marker is None}
    found, findings = [], []
    for name in PACKAGES:
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            findings.append(Finding("bad", f"{name} is not installed: run pip install partywidgets"))
            continue
        specifier = wanted.get(name)
        if specifier is not None and not specifier.contains(version, prereleases=True):
            findings.append(Finding("bad", f"{name} {version} is not a tested version: run pip install '{name}{specifier}'"))
        else:
            found.append(f"{name} {version}")
    return [Finding("ok", ", ".join(found)), *findings]


def _bundles() -> Finding:
    from ..bundles import LOADER, bundle_names, static_hash

    names = bundle_names()
    if LOADER not in names:
        return Finding("bad", "the front end is not built, so widgets stay empty: run ./dev lab in a checkout, or install the wheel")
    return Finding("ok", f"front end {static_hash()} with {len(names)} files")


def _extension() -> Finding:
    from jupyter_core.paths import jupyter_config_path

    if util.find_spec("partywidgets.extension") is None:
        return Finding("bad", "partywidgets.extension is missing from the package: reinstall partywidgets")
    verdict: tuple[bool, Path] | None = None
    for directory in reversed(jupyter_config_path()):  # the last that speaks wins, as in Jupyter
        for path in [*sorted(Path(directory, "jupyter_server_config.d").glob("*.json")), Path(directory, "jupyter_server_config.json")]:
            try:
                settings = json.loads(path.read_text(encoding="utf-8"))
                enabled = settings["ServerApp"]["jpserver_extensions"]["partywidgets"]
            except (OSError, ValueError, KeyError, TypeError):
                continue
            verdict = bool(enabled), path
    if verdict is None:
        return Finding("bad", "the Jupyter Server extension is not enabled: run jupyter server extension enable partywidgets")
    enabled, path = verdict
    if not enabled:
        return Finding("bad", f"the Jupyter Server extension is disabled by {path}: run jupyter server extension enable partywidgets")
    return Finding("ok", f"Jupyter Server extension enabled by {path}")


def _state_directory() -> Finding:
    from ..party.directory import default_directory

    directory = default_directory()
    there = directory
    while not there.exists():
        there = there.parent
    if not os.access(there, os.W_OK | os.X_OK):
        return Finding("bad", f"rooms cannot keep their state in {directory}: make it writable, or set PARTYWIDGETS_HOME")
    if is_full(there):
        return Finding("bad", f"the disk of {directory}, where rooms keep their state, is full: make room on it")
    return Finding("ok", f"rooms keep their state in {directory}")


def _pseudo_terminal() -> Finding:
    try:
        ours, theirs = os.openpty()
    except OSError as error:
        return Finding("bad", f"no pseudo terminal can be opened ({error.strerror}): local: sandboxes need /dev/ptmx")
    os.close(ours)
    os.close(theirs)
    return Finding("ok", "pseudo terminals can be opened")


def _shell() -> Finding:
    shell = os.environ.get("SHELL") or "/bin/sh"
    if shutil.which(shell) is None:
        return Finding("bad", f"the shell {shell} for local: sandboxes does not exist: set SHELL to one that does")
    if Path(shell).name in SHELLS:
        return Finding("ok", f"shell {shell}: run() gets exit codes from it")
    known = next((found for name in SHELLS if (found := shutil.which(name))), None)
    if known is None:
        return Finding("note", f"shell {shell}: run() gets exit codes only from {', '.join(SHELLS)}, none of which is installed")
    return Finding("note", f"shell {shell}: run() gets exit codes only from {', '.join(SHELLS)}; use the sandbox local:{known}")


def _screen() -> Finding:
    if util.find_spec("pyghostty") is None:
        return Finding(
            "note",
            "pyghostty is not installed (no wheel for this machine): viewers who join a terminal late see its recent output replayed",
        )
    return Finding("ok", f"pyghostty {metadata.version('pyghostty')}: late viewers of a terminal see its exact screen")


def _loop() -> Finding:
    if util.find_spec("uvloop") is None:
        return Finding("note", "uvloop is not installed: serve is faster with it; run pip install 'partywidgets[fast]'")
    return Finding("ok", f"uvloop {metadata.version('uvloop')}")


def _engine(kind: EngineKind) -> Finding:
    name, need = kind.title(), f"needed for {kind}: sandboxes; {start_of(kind)}"
    given = os.environ.get("DOCKER_HOST" if kind == "docker" else "CONTAINER_HOST", "")
    places = [given.removeprefix("unix://")] if given else [str(place) for place in engine_sockets(kind)]
    for place in places:
        if not place.startswith("/"):
            return Finding("note", f"{name} is at {place}: doctor does not check remote engines")
        if not Path(place).exists():
            continue
        try:
            version = engine_version(place)
        except (OSError, ValueError) as error:
            return Finding("note", f"{name} does not answer at {place} ({error}): {need}")
        return Finding("ok", f"{name} {version} at {place}")
    return Finding("note", f"{name} is not running here (no socket at {', '.join(places)}): {need}")


def engine_version(path: str) -> str:
    """The version that the engine at a Unix socket tells. Raises OSError, ValueError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.settimeout(ENGINE_TIMEOUT)
        peer.connect(path)
        peer.sendall(b"GET /version HTTP/1.0\r\nHost: engine\r\n\r\n")
        answer = b""
        while chunk := peer.recv(65536):
            answer += chunk
            if len(answer) > 1024 * 1024:
                raise ValueError("its answer is too long")
    head, _, body = answer.partition(b"\r\n\r\n")
    status = head.partition(b"\r\n")[0].decode("latin-1")
    if " 200" not in status:
        raise ValueError(f"it answered {status[:80]!r}")
    return str(json.loads(body)["Version"])


TROUBLES = {
    "partywidgets_storage_lost": "its storage directory was moved or removed: put it back, or restart the host",
    "partywidgets_history_unkept": "it does not keep the history of its checks, as on a full disk: its log and every dashboard say why",
    "partywidgets_config_refused": "it refuses its config as the file is now, and goes on with the former: run partywidgets validate on it",
}
"""What a host tells of itself in its metrics that somebody has to mend."""


def _troubles(metrics: str) -> list[Finding]:
    from prometheus_client.openmetrics.parser import text_string_to_metric_families

    families: Any = text_string_to_metric_families
    samples = [sample for family in families(metrics) for sample in family.samples if sample.value]
    silent = [sample.labels["target"] for sample in samples if sample.name == "partywidgets_notifications_failing"]
    return [
        *(Finding("bad", f"that host: {TROUBLES[sample.name]}") for sample in samples if sample.name in TROUBLES),
        *(Finding("bad", f"that host: {target} takes no messages: its log and every dashboard say why") for target in silent),
    ]


def _host(url: str, token: str | None) -> Finding | list[Finding]:
    from ..partysocket import fetch_url
    from ..partysocket.address import http_url, root_url

    try:
        root = http_url(root_url(url))
        hello = asyncio.run(fetch_url("GET", f"{root}/hello", token=token, timeout=HOST_TIMEOUT))
        if not hello.ok:
            raise HostError(_refusal(hello) or f"{root}/hello answered HTTP {hello.status}: is it the root of a partywidgets host?")
        host = hello.json()
        if token is None:
            return Finding("note", f"host {host['host_id']} answers at {root}; give a token to check more")
        rooms = asyncio.run(fetch_url("GET", f"{root}/api/ops/scans", token=token, timeout=HOST_TIMEOUT))
        if rooms.status in (401, 403):
            return Finding("bad", f"host {host['host_id']} at {root} refuses this token: use the one it was started with")
        well = Finding("ok", f"host {host['host_id']} (partywidgets {host.get('version', '?')}) answers at {root} and accepts the token")
        asked = {"Accept": "application/openmetrics-text"}
        metrics = asyncio.run(fetch_url("GET", f"{root}/metrics", headers=asked, token=token, timeout=HOST_TIMEOUT))
        return [well, *asyncio.run(_socket(root, token)), *(_troubles(metrics.text) if metrics.ok else [])]
    except (PartyError, ValueError, KeyError) as error:
        return Finding("bad", f"host {url}: {error}")


def _refusal(answer: FetchResponse) -> str | None:
    """The sentence with which a host of ours refuses; None where somebody else answered."""
    try:
        return str(answer.json()["error"])
    except (ValueError, KeyError, TypeError):
        return None


async def _socket(root: str, token: str) -> list[Finding]:
    """Nothing when a WebSocket comes through to that host: a proxy in front may pass requests alone."""
    from ..partysocket.dial import Ear, dial, failure_of

    try:
        async with asyncio.timeout(HOST_TIMEOUT):
            connection = await dial(
                f"ws{root.removeprefix('http')}/api/ops/broadcast",
                None,
                headers={},
                token=token,
                label="doctor",
                ear=Ear(),
                close_timeout=HOST_TIMEOUT,
                max_message=1024 * 1024,
                ssl=None,
            )
            await connection.close()
    except Exception as error:
        return [Finding("bad", f"no WebSocket comes through to {root}: {failure_of(error, HOST_TIMEOUT)[0]}")]
    return []
