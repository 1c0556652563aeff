"""One suite of wire cases against our server and the real PartyServer on workerd: what differs stands in docs/topics/partykit.md."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from partywidgets.party import PartyHost
from partywidgets.transport.server import serve

from . import wire_cases  # noqa: F401 - registers them
from .conftest import HERE, _without
from .rooms import PARTIES, app
from .wire import CASES, ONCE, Wire

pytestmark = [pytest.mark.node, pytest.mark.timeout(400)]

DOCUMENT = HERE.parents[1] / "docs" / "topics" / "partykit.md"
DIFFERENCES = HERE / "differences.json"
PLACE = HERE / "partyserver"
KINDS = {"memory": "memory-room", "hibernating": "sleeping-room"}
RUNS = [(name, kind) for name in CASES for kind in KINDS if kind == "memory" or name not in ONCE]


def documented() -> dict[tuple[str, str], str]:
    """The differences on the page: (case, what) to the reason. What is a kind of room or `both`."""
    text = DOCUMENT.read_text()
    return {(name, kind): why for name, kind, why in re.findall(r"^\| `([a-z0-9-]+)` \| (both|memory|hibernating) \| (.+) \|$", text, re.M)}


@pytest.fixture(scope="session")
def workerd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of PartyServer's rooms on workerd, installed from the lock once and kept."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        _without("Node.js and npm are not installed: PartyServer cannot be tried")
    sources = [PLACE / name for name in ("package.json", "package-lock.json", ".npmrc")]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    place = cache / "partywidgets" / f"partyserver-{hashlib.sha256(sources[1].read_bytes()).hexdigest()[:16]}"
    place.mkdir(parents=True, exist_ok=True)
    for source in sources:
        shutil.copyfile(source, place / source.name)
    if not (place / "node_modules" / ".package-lock.json").exists():
        # Not `npm ci`: a registry that lacks workerd for other systems makes a lock without them, which that refuses.
        install = ["npm", "install", "--ignore-scripts", "--no-save"]
        done = subprocess.run(install, cwd=place, capture_output=True, text=True, timeout=300)
        if done.returncode:
            _without(f"npm install failed, PartyServer cannot be tried: {done.stderr.strip()[-300:]}")
    for name in ("worker.ts", "worker.capnp"):
        shutil.copyfile(PLACE / name, place / name)
    bundle = ["node_modules/.bin/esbuild", "worker.ts", "--bundle", "--format=esm", "--external:cloudflare:workers", "--outfile=worker.js"]
    subprocess.run(bundle, cwd=place, check=True, capture_output=True, timeout=60)
    binaries = sorted(place.glob("node_modules/@cloudflare/workerd-*/bin/workerd"))
    if not binaries:
        _without("npm has no workerd for this machine: PartyServer cannot be tried")
    process = subprocess.Popen(
        [binaries[0], "serve", "worker.capnp", "--control-fd=1", f"--directory-path=state={tmp_path_factory.mktemp('workerd')}"],
        cwd=place,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        port = None
        while port is None and (line := process.stdout.readline()):
            port = json.loads(line).get("port")
        assert port, "workerd ended before it listened"
        yield port
    finally:
        process.kill()
        process.communicate()


@contextlib.asynccontextmanager
async def ours(storage: Path) -> AsyncIterator[int]:
    """The port of the same rooms of ours."""
    async with PartyHost(PARTIES, storage=storage) as host, serve(app(host), port=0) as server:
        yield server.port


Answers = dict[tuple[str, str], tuple[list[str], list[str]]]


@pytest.fixture(scope="session")
def answers(workerd: int, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """What every case got from PartyServer and from us. Each has a room of its own, so all run at once."""
    return asyncio.run(_ask(workerd, tmp_path_factory.mktemp("ours")))


async def _ask(real: int, storage: Path) -> Answers:
    found: Answers = {}

    async def ask(name: str, kind: str, own: int) -> None:
        of_partyserver = await CASES[name](Wire(real, KINDS[kind], patient=False))
        found[name, kind] = of_partyserver, await CASES[name](Wire(own, KINDS[kind]))

    async with ours(storage) as own, asyncio.TaskGroup() as group:
        for name, kind in RUNS:
            group.create_task(ask(name, kind, own))
    return found


@pytest.mark.parametrize(("name", "kind"), RUNS)
def test_wire(answers: Answers, name: str, kind: str) -> None:
    """What comes back is the same, frame by frame, unless the page says that it is not."""
    real, own = answers[name, kind]
    listed = documented()
    if (name, "both") in listed or (name, kind) in listed:
        pinned = json.loads(DIFFERENCES.read_text())[name]
        assert {"partyserver": real, "here": own} == pinned
        assert own != real, f"the page lists {name} as different and it is not"
    else:
        assert own == real


def test_the_page_names_cases_that_there_are() -> None:
    """A difference on the page is of a case that runs."""
    assert {name for name, _ in documented()} == set(json.loads(DIFFERENCES.read_text()))
    assert {name for name, _ in documented()} <= set(CASES)
