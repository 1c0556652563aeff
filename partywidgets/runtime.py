"""Which host this process uses; starts it once; the bridge between the kernel's threads and the room loop."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from . import __version__
from .exceptions import HostError, PartyError
from .host_http import ask, exchange, host_id_of, refusal_of, root_of
from .room_thread import RoomThread

if TYPE_CHECKING:
    from .app import App
    from .party.grant import Grant

log = logging.getLogger("partywidgets.runtime")

JUPYTER_TIMEOUT = 2.0
"""Seconds in which the Jupyter Server's host has to answer, before the kernel starts its own. It is asked twice: a server that is busy
for a moment, with a large notebook for example, would else part this kernel from its colleagues' rooms."""
CONNECT_TIMEOUT = 5.0
"""Seconds in which a host that the user named has to answer."""
JUPYTER_PATH = "partywidgets/"
"""Where the routes stand below the Jupyter Server's base URL."""
SHELF = "snapshots"
"""Where a kernel leaves last states below those; a model's id follows."""
LOCAL_SANDBOXES = {"default": "local:", "local": "local:"}


@dataclass(frozen=True, slots=True)
class HostAddress:
    """Where the rooms are. `url` is the root below which the routes of `docs/reference/routes.md` stand; `secret` is a bearer token, which
    repr hides."""

    kind: Literal["jupyter", "kernel", "remote"]
    url: str
    host_id: str
    secret: str = field(repr=False)
    jupyter_path: str | None = None

    def endpoints(self) -> list[dict[str, Any]]:
        """The candidates for a widget's `_endpoints`, in order; nothing secret.

        `PARTYWIDGETS_TRANSPORTS` (kinds separated by commas) leaves only those named: to look into one way, or to rule one out.
        """
        ways: list[dict[str, Any]] = [{"kind": "comm", "host_id": self.host_id}]
        if self.kind == "jupyter":
            ways.insert(0, {"kind": "server", "host_id": self.host_id, "path": self.jupyter_path})
        else:
            ways.insert(0, {"kind": "loopback" if self.kind == "kernel" else "remote", "host_id": self.host_id, "url": self.url})
        allowed = [kind.strip() for kind in os.environ.get("PARTYWIDGETS_TRANSPORTS", "").split(",") if kind.strip()]
        chosen = [way for way in ways if not allowed or way["kind"] in allowed]
        if not chosen:
            kinds = ", ".join(str(way["kind"]) for way in ways)
            raise HostError(f"PARTYWIDGETS_TRANSPORTS leaves no way to this host: use {kinds}, or unset it")
        return chosen


class Runtime:
    """The one host of this process: `connect(url)`, else `PARTYWIDGETS_URL`, else the Jupyter Server's, else its own.

    `environ` is where the URLs are looked up, None: the process's environment. `storage` is the directory of a host of its own.
    """

    def __init__(self, environ: Mapping[str, str] | None = None, *, storage: Path | str | None = None) -> None:
        self._environ = os.environ if environ is None else environ
        self._storage = storage
        self._lock = threading.Lock()
        self._address: HostAddress | None = None
        self._owner: Grant | None = None
        self._stack: contextlib.AsyncExitStack | None = None
        self.thread = RoomThread()
        self.app: App | None = None
        """The app of the host that this process itself started, else None."""

    @property
    def address(self) -> HostAddress:
        """The host's address; found or started at first use. Raises HostError with the remedy."""
        if self._address is not None:
            return self._address
        if self.thread.is_current():
            raise RuntimeError("finding the host would block the room loop: ask for `address` on another thread first")
        with self._lock:
            if self._address is None:
                self._address = self._find()
            return self._address

    @property
    def known(self) -> HostAddress | None:
        """The host's address if it was needed before, without looking for one."""
        return self._address

    def connect(self, url: str, token: str | None = None) -> HostAddress:
        """Uses the host at `url` from now on. Raises HostError when it does not answer within 5 s, RefusedError when it refuses the token,
        or needs one and got none.

        Widgets that exist already stay with the host that they were made for.
        """
        address = self._remote(url, token if token is not None else self._environ.get("PARTYWIDGETS_TOKEN"))
        with self._lock:
            self._address = address
        return address

    def _remote(self, url: str, token: str | None) -> HostAddress:
        root = root_of(url)
        token = token or None
        host_id = host_id_of(ask("GET", root + "hello", token=token, timeout=CONNECT_TIMEOUT), root)
        # Anybody may say hello. Tickets are for everybody who is let in; GET takes none, and the answer to those is "use POST".
        status, _, said = exchange("GET", root + "tickets", token=token, timeout=CONNECT_TIMEOUT)
        if (refusal := refusal_of(root, status, said, token=token)) is not None:
            raise refusal
        return HostAddress("remote", root, host_id, token or "")

    def _find(self) -> HostAddress:
        if url := self._environ.get("PARTYWIDGETS_URL"):
            return self._remote(url, self._environ.get("PARTYWIDGETS_TOKEN"))
        url, secret = self._jupyter()
        if url and secret:
            for last in (False, True):
                try:
                    root = root_of(url)
                    hello = ask("GET", root + "hello", token=secret, timeout=JUPYTER_TIMEOUT)
                    return HostAddress("jupyter", root, host_id_of(hello, root), secret, jupyter_path=JUPYTER_PATH)
                except PartyError as error:
                    if last:
                        log.warning("the Jupyter Server's rooms are not used, this kernel starts its own: %s", error)
        return self.thread.run(self._start(), timeout=60)

    def _jupyter(self) -> tuple[str | None, str | None]:
        """Where the Jupyter Server's extension is, and what it knows this kernel by."""
        return self._environ.get("PARTYWIDGETS_JUPYTER_URL"), self._environ.get("PARTYWIDGETS_KERNEL_SECRET")

    async def _start(self) -> HostAddress:
        """A host of this process: loopback, a random port and a random token."""
        from .app import create_app
        from .auth import LOOPBACK_ORIGINS, Gate, Identity, new_token
        from .party.grant import OWNER_ROLES, Grant
        from .transport.server import bind_socket, serve

        _at_exit(self.stop)
        listening = bind_socket("127.0.0.1", 0)
        port, secret = listening.getsockname()[1], new_token()
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(listening.close)
            gate = Gate(hosts=(f"127.0.0.1:{port}", f"localhost:{port}"), any_port_origins=LOOPBACK_ORIGINS)
            owner = Identity("owner", "owner", OWNER_ROLES | {"runner"})
            grant = Grant(owner.subject, owner.display_name, OWNER_ROLES, grant_id=gate.add_token(secret, owner))
            made = create_app(gate=gate, storage=self._storage, sandboxes=dict(LOCAL_SANDBOXES), owner_addresses=True)
            app = await stack.enter_async_context(made)
            await stack.enter_async_context(serve(app.asgi, sock=listening))
            self.app, self._owner, self._stack = app, grant, stack.pop_all()
        return HostAddress("kernel", f"http://127.0.0.1:{port}/", app.host.host_id, secret)

    def _own(self, address: HostAddress) -> App | None:
        return self.app if self.app is not None and self.app.host.host_id == address.host_id else None

    async def ticket(self, party: str, room: str, *, address: HostAddress | None = None) -> dict[str, Any]:
        """A ticket into one room with the rights of the notebook's owner: `{"ticket", "expires_in"}`. Await it on the room loop.

        Raises HostError and RefusedError.
        """
        address = address or self.address
        if (app := self._own(address)) is not None and self._owner is not None:
            from .auth import TICKET_LIFETIME

            return {"ticket": app.gate.tickets.issue(self._owner, party=party, room=room), "expires_in": TICKET_LIFETIME}
        answer = await self.request(address, "POST", "tickets", {"party": party, "room": room})
        return {"ticket": str(answer["ticket"]), "expires_in": float(answer["expires_in"])}

    async def hello(self, address: HostAddress) -> dict[str, Any]:
        """What the host says of itself: `{"host_id", "version"}`. Await it on the room loop. Raises HostError and RefusedError."""
        if self._own(address) is not None:
            return {"host_id": address.host_id, "version": __version__}
        answer = await self.request(address, "GET", "hello")
        return {"host_id": host_id_of(answer, address.url), "version": str(answer.get("version", ""))}

    async def put_sandbox(self, sandbox: str, target: str, *, address: HostAddress | None = None) -> None:
        """Maps a sandbox id to an address in the host. Await it on the room loop. Raises HostError and RefusedError."""
        await self.request(address or self.address, "PUT", f"api/sandboxes/{quote(sandbox, safe='')}", {"address": target})

    async def shelve(self, model_id: str, snapshot: Mapping[str, Any]) -> None:
        """Leaves the last state of a widget whose room is elsewhere with the Jupyter Server, for the notebook that it saves, if it has our
        extension. Await it on the room loop."""
        url, secret = self._jupyter()
        if url and secret:
            where = f"{root_of(url)}{SHELF}/{quote(model_id, safe='')}"
            try:
                await asyncio.to_thread(ask, "PUT", where, token=secret, body=dict(snapshot), timeout=JUPYTER_TIMEOUT)
            except PartyError as error:
                log.debug("the Jupyter Server keeps no last state of %s: %s", model_id, error)

    async def request(self, address: HostAddress, method: str, path: str, body: Any = None) -> Any:
        """One HTTP request to a host, its answer as JSON; `path` is below its root. Raises HostError and RefusedError."""
        return await asyncio.to_thread(ask, method, address.url + path, token=address.secret or None, body=body, timeout=CONNECT_TIMEOUT)

    def stop(self) -> None:
        """Stops what this process started, within 5 s."""
        with self._lock:
            stack, self._stack, self.app = self._stack, None, None
            if self._address is not None and self._address.kind == "kernel":
                self._address = None
        if stack is not None and self.thread.running:
            try:
                self.thread.run(stack.aclose(), timeout=4.0)
            except Exception as error:
                log.warning("the host of this kernel did not stop cleanly: %s: %s", type(error).__name__, error)
        self.thread.stop()


def _at_exit(stop: Callable[[], None]) -> None:
    """Calls `stop` while threads and executors still work: atexit's own functions run when they do not any more."""
    register = getattr(threading, "_register_atexit", None)
    try:
        (register or atexit.register)(stop)
    except RuntimeError:  # the interpreter is ending already
        atexit.register(stop)


_runtime: Runtime | None = None
_making = threading.Lock()


def runtime() -> Runtime:
    """The process' Runtime."""
    global _runtime
    with _making:
        if _runtime is None:
            _runtime = Runtime()
        return _runtime


@contextlib.contextmanager
def using(other: Runtime) -> Iterator[Runtime]:
    """Replaces the process's Runtime for a while: for tests."""
    global _runtime
    with _making:
        before, _runtime = _runtime, other
    try:
        yield other
    finally:
        with _making:
            _runtime = before


def _forget_after_fork() -> None:
    # The child has neither the room thread nor the right to the parent's port: its first use finds or starts a host of its own.
    global _runtime, _making
    _runtime, _making = None, threading.Lock()


os.register_at_fork(after_in_child=_forget_after_fork)
