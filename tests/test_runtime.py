"""RoomThread and Runtime: which host a process uses, and the bridge to the room loop."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from partywidgets.exceptions import HostError, RefusedError
from partywidgets.party.grant import OPEN_ROLES
from partywidgets.room_thread import RoomThread
from partywidgets.runtime import HostAddress, Runtime

from .running_app import running


@pytest.fixture
def thread() -> Iterator[RoomThread]:
    room_thread = RoomThread("test-rooms")
    yield room_thread
    room_thread.stop()


def test_run_gives_the_result(thread: RoomThread) -> None:
    """run() returns what the coroutine returned, from the room loop's own thread."""

    async def where() -> str:
        return threading.current_thread().name

    assert thread.run(where()) == "test-rooms"


def test_run_raises_what_the_coroutine_raised(thread: RoomThread) -> None:
    """An error crosses over to the caller."""

    async def fails() -> None:
        raise HostError("no")

    with pytest.raises(HostError, match="no"):
        thread.run(fails())


def test_run_refuses_its_own_loop(thread: RoomThread) -> None:
    """run() on the room loop would wait for itself: it is refused."""

    async def inner() -> None:
        return None

    async def outer() -> None:
        thread.run(inner())

    with pytest.raises(RuntimeError, match="await the coroutine instead"):
        thread.run(outer())


def test_a_timeout_cancels_there(thread: RoomThread) -> None:
    """run(timeout=) raises TimeoutError and the coroutine is cancelled on the room loop."""
    cancelled = threading.Event()

    async def sleeps() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    with pytest.raises(TimeoutError, match="sleeps"):
        thread.run(sleeps(), timeout=0.05)
    assert cancelled.wait(20)


def test_cancelling_the_future_cancels_there(thread: RoomThread) -> None:
    """A future from submit() cancels across threads."""
    started, cancelled = threading.Event(), threading.Event()

    async def sleeps() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    future = thread.submit(sleeps())
    assert started.wait(20)
    assert future.cancel()
    assert cancelled.wait(20)


def test_stop_cancels_and_ends_the_thread() -> None:
    """stop() cancels what runs, ends the thread, and may be called twice; later calls are a sentence."""
    room_thread = RoomThread()
    started, cancelled = threading.Event(), threading.Event()

    async def sleeps() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    room_thread.submit(sleeps())
    assert started.wait(20)
    room_thread.stop()
    room_thread.stop()
    assert cancelled.is_set()
    assert not room_thread.running

    async def late() -> None:
        return None

    with pytest.raises(HostError, match="stopped"):
        room_thread.submit(late())


def test_a_dropped_future_does_not_lose_the_work(thread: RoomThread) -> None:
    """Work goes on although nobody keeps its future."""
    import gc

    done = threading.Event()
    go = threading.Event()

    async def work() -> None:
        while not go.is_set():
            await asyncio.sleep(0.005)
        done.set()

    thread.submit(work())
    gc.collect()
    go.set()
    assert done.wait(20)


def _child(thread: RoomThread, answers: Any) -> None:
    async def nothing() -> None:
        return None

    try:
        thread.run(nothing())
        answers.put("ran")
    except HostError as error:
        answers.put(str(error))
    from partywidgets import runtime

    answers.put(runtime._runtime is None)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_is_refused_and_starts_anew(thread: RoomThread) -> None:
    """A forked child may not use the parent's loop; its own runtime begins empty, the parent's goes on."""

    async def one() -> int:
        return 1

    assert thread.run(one()) == 1
    fork = multiprocessing.get_context("fork")
    answers = fork.Queue()
    child = fork.Process(target=_child, args=(thread, answers))
    child.start()
    try:
        assert "forked process" in answers.get(timeout=20)
        assert answers.get(timeout=20) is True
    finally:
        child.join(20)
        answers.close()
        answers.join_thread()
    assert thread.run(one()) == 1


# which host


class _Host(BaseHTTPRequestHandler):
    seen: ClassVar[list[tuple[str, str | None]]] = []
    asked_again: ClassVar[threading.Event]

    def do_GET(self) -> None:
        type(self).seen.append((self.path, self.headers.get("Authorization")))
        if self.headers.get("Authorization") != "Bearer right-secret":
            self._answer(401, {"error": "who are you"})
        elif self.path == "/moved/hello":
            self.send_response(302)
            self.send_header("Location", "/hello")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif self.path == "/busy/hello" and [path for path, _ in self.seen].count(self.path) == 1:
            self.asked_again.wait(20)
        elif self.path in ("/hello", "/user/ana/partywidgets/hello", "/busy/hello"):
            self.asked_again.set()
            self._answer(200, {"host_id": "h1", "version": "0.1.0", "dialects": []})
        else:
            self._answer(404, {})

    def _answer(self, status: int, body: Any) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def host_url() -> Iterator[str]:
    _Host.seen, _Host.asked_again = [], threading.Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Host)
    serving = threading.Thread(target=server.serve_forever, args=(0.01,))
    serving.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    serving.join()
    server.server_close()


def test_connect_uses_the_named_host(host_url: str) -> None:
    """connect(url, token) asks /hello with the token and keeps the host_id; the token is in no repr and no endpoint."""
    runtime = Runtime({})
    address = runtime.connect(host_url, "right-secret")
    assert (address.kind, address.host_id, address.url) == ("remote", "h1", host_url + "/")
    assert runtime.address is address
    assert address.endpoints() == [{"kind": "remote", "host_id": "h1", "url": host_url + "/"}, {"kind": "comm", "host_id": "h1"}]
    assert "right-secret" not in repr(address)


def test_connect_says_what_is_wrong(host_url: str) -> None:
    """A refusal, a host that is not there, a redirect and a wrong URL are each one sentence with the remedy; a redirect gets no token."""
    runtime = Runtime({})
    with pytest.raises(RefusedError, match="who are you") as refused:
        runtime.connect(host_url, "wrong-secret")
    assert refused.value.status == 401
    with pytest.raises(HostError, match="partywidgets serve"):
        runtime.connect("http://127.0.0.1:1", "right-secret")
    with pytest.raises(RefusedError):
        runtime.connect(host_url + "/moved", "right-secret")
    assert [path for path, _ in _Host.seen] == ["/hello", "/moved/hello"], "not where the redirect leads"
    for wrong in ("ftp://x", "127.0.0.1:8787", "http://user:pw@127.0.0.1:1/", "http://127.0.0.1:1/?token=x", "http://a b/", None):
        with pytest.raises(HostError, match="http"):
            runtime.connect(wrong)  # type: ignore[arg-type]
    for wrong in ("http://127.0.0.1:abc", "http://127.0.0.1:99999", "http://[::1"):
        with pytest.raises(HostError, match=r"cannot be read \(.+\): write it like http://127\.0\.0\.1:8787"):
            runtime.connect(wrong)
    with pytest.raises(HostError, match=r"no host answers at http://a\.\.b: its name cannot be looked up .* is the URL right\?"):
        runtime.connect("http://a..b")


async def test_connect_tries_the_token(tmp_path: Path) -> None:
    """A host says hello to everybody; a wrong token or none is refused at connect(), with the remedy, and the address stays as it was."""
    async with running(tmp_path / "storage") as host:
        runtime = Runtime({})
        for token, remedy in (("not-a-token-of-this-host", "give its token"), (None, "PARTYWIDGETS_TOKEN"), ("", "needs a token")):
            with pytest.raises(RefusedError, match=remedy) as refused:
                await asyncio.to_thread(runtime.connect, host.url, token)
            assert refused.value.status == 401
            assert runtime.known is None
        for token in (host.owner, host.guest):
            assert (await asyncio.to_thread(runtime.connect, host.url, token)).host_id == host.app.host.host_id
        assert len(host.app.gate.tickets) == 0


async def test_connect_to_an_open_host_needs_no_token(tmp_path: Path) -> None:
    """A host without authentication takes whoever comes."""
    async with running(tmp_path / "storage", open_roles=OPEN_ROLES) as host:
        assert (await asyncio.to_thread(Runtime({}).connect, host.url)).secret == ""


async def test_only_an_unknown_token_is_told_to_give_one(tmp_path: Path) -> None:
    """What a known token may not do is said as the host says it: another token is not the remedy then."""
    async with running(tmp_path / "storage") as host:
        runtime = Runtime({})
        guest = HostAddress("remote", host.url + "/", "h", host.guest)
        owner = HostAddress("remote", host.url + "/", "h", host.owner)
        for address, sentence in ((guest, "only the role admin may map a sandbox"), (owner, "takes addresses from its config only")):
            with pytest.raises(RefusedError, match=sentence) as refused:
                await runtime.put_sandbox("web", "local:", address=address)
            assert refused.value.status == 403
            assert "token" not in str(refused.value)


def test_the_users_url_comes_before_jupyters(host_url: str) -> None:
    """PARTYWIDGETS_URL wins over the Jupyter Server's."""
    environ = {
        "PARTYWIDGETS_URL": host_url,
        "PARTYWIDGETS_TOKEN": "right-secret",
        "PARTYWIDGETS_JUPYTER_URL": "http://127.0.0.1:1/partywidgets/",
        "PARTYWIDGETS_KERNEL_SECRET": "x",
    }
    assert Runtime(environ).address.kind == "remote"


def test_the_jupyter_server_is_used_when_it_answers(host_url: str) -> None:
    """PARTYWIDGETS_JUPYTER_URL with its secret leads to the Jupyter host, whose page path is below the base URL."""
    environ = {"PARTYWIDGETS_JUPYTER_URL": host_url + "/user/ana/partywidgets/", "PARTYWIDGETS_KERNEL_SECRET": "right-secret"}
    address = Runtime(environ).address
    assert (address.kind, address.host_id) == ("jupyter", "h1")
    assert address.endpoints()[0] == {"kind": "server", "host_id": "h1", "path": "partywidgets/"}


def test_a_jupyter_server_that_is_busy_for_a_moment_is_asked_again(host_url: str) -> None:
    """One that lets the first question wait is used all the same: a host of its own would part the kernel from its colleagues."""
    environ = {"PARTYWIDGETS_JUPYTER_URL": host_url + "/busy/", "PARTYWIDGETS_KERNEL_SECRET": "right-secret"}
    assert Runtime(environ).address.kind == "jupyter"
    assert [path for path, _ in _Host.seen] == ["/busy/hello"] * 2


def test_the_transports_can_be_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """PARTYWIDGETS_TRANSPORTS leaves only the kinds it names, and says so when it leaves none."""
    address = HostAddress("kernel", "http://127.0.0.1:1/", "h", "s")
    monkeypatch.setenv("PARTYWIDGETS_TRANSPORTS", "comm")
    assert address.endpoints() == [{"kind": "comm", "host_id": "h"}]
    monkeypatch.setenv("PARTYWIDGETS_TRANSPORTS", "server")
    with pytest.raises(HostError, match="loopback, comm"):
        address.endpoints()


# its own host

SCRIPT = """
import json, sys, urllib.request
from partywidgets.runtime import runtime
mine = runtime()
address = mine.address
ticket = mine.thread.run(mine.ticket("terminal-server", "r"))
hello = mine.thread.run(mine.hello(address))
def status(headers):
    try:
        return urllib.request.urlopen(urllib.request.Request(address.url + "api/ops/scans", headers=headers)).status
    except urllib.error.HTTPError as error:
        with error:
            return error.code
print(json.dumps({
    "kind": address.kind, "host_id": address.host_id, "hello": hello, "same": mine.address is address,
    "ticket": len(ticket["ticket"]), "open": status({}), "secret": status({"Authorization": "Bearer " + address.secret}),
    "foreign": status({"Authorization": "Bearer " + address.secret, "Origin": "http://evil.example"}),
}))
"""


def _environ(tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PARTYWIDGETS", "JUPYTER", "JPY"))}
    return {**kept, "PARTYWIDGETS_HOME": str(tmp_path / "state")}


def test_a_process_starts_its_own_host_and_stops_it(tmp_path: Path) -> None:
    """Without any URL the process starts a host, closed by default, and leaves in order at its end without a stop() by hand."""
    outcomes = []
    for _ in range(2):
        ended = subprocess.run(
            [sys.executable, "-W", "error", "-c", SCRIPT], env=_environ(tmp_path), capture_output=True, text=True, timeout=50
        )
        assert ended.returncode == 0, ended.stderr
        [told] = ended.stderr.splitlines()
        assert "http://evil.example" in told, "the owner hears of the foreign page, and of nothing else"
        outcomes.append(json.loads(ended.stdout))
    for outcome in outcomes:
        assert outcome["kind"] == "kernel"
        assert outcome["same"] is True
        assert outcome["hello"]["host_id"] == outcome["host_id"]
        assert outcome["ticket"] >= 24
        assert (outcome["open"], outcome["secret"], outcome["foreign"]) == (401, 200, 403)
    assert outcomes[0]["host_id"] != outcomes[1]["host_id"], "a restarted kernel is another host"
