"""PartyWidget: what every widget has in common, from the traits of `docs/topics/messages.md` to its end of the comm."""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import logging
import weakref
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from types import FunctionType
from typing import Any, ClassVar

import anywidget
import traitlets

from .. import bundles
from ..exceptions import KeywordError, PartyError
from ..party.routing import check_room_name
from ..room_thread import RoomThread
from ..runtime import HostAddress, Runtime, runtime
from ..saved_notebook import ELSEWHERE
from ..spelling import SaysNames, says_arguments
from ..transport.comm import CommRelay
from ..transport.comm_socket import Buffer
from .rendering import still

log = logging.getLogger("partywidgets.widgets")

SNAPSHOT_INTERVAL = 3.0
"""Seconds at least between two updates of `_snapshot`: it is saved with the notebook, and every one is sent to every page."""
SNAPSHOT_TIME = 0.3
"""Seconds that a cell waits at its end for the snapshots: the rest come when they come."""


SHOWN = frozenset({"close", "layout", "observe", "unobserve"})
"""What a person needs of ipywidgets' own names: the other 50 would hide ours where names are completed."""
HIDDEN = frozenset({"bundle", "party"})


class PartyWidget(SaysNames, anywidget.AnyWidget):
    """A view of one room.

    The page connects to the room on its own; Python holds the room's address, answers the page's questions and keeps the last state for
    the saved notebook.
    Every message of the page goes to the room loop at once, so a running cell delays nothing that the kernel has read.
    """

    bundle: ClassVar[str]
    """The file in `partywidgets/static/` that mounts this widget."""
    party: ClassVar[str]

    _esm = traitlets.Unicode().tag(sync=True)
    _bundle = traitlets.Dict().tag(sync=True)
    _endpoints: Any = traitlets.List().tag(sync=True)
    _party = traitlets.Unicode().tag(sync=True)
    _room = traitlets.Unicode().tag(sync=True)
    _query = traitlets.Dict().tag(sync=True)
    _options = traitlets.Dict().tag(sync=True)
    _snapshot = traitlets.Dict().tag(sync=True)

    state = traitlets.Enum(
        ("connecting", "live", "lagging", "ended", "refused", "lost"), "connecting", help="How the page's view of the room is doing."
    ).tag(sync=True)
    role = traitlets.Unicode("", help="The page's role in the room, as the room says; empty until it is live.").tag(sync=True)
    transport = traitlets.Unicode("", help="What carries the page's socket: server, loopback, remote or comm.").tag(sync=True)

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        for name, method in list(vars(cls).items()):
            if isinstance(method, FunctionType) and not name.startswith("_"):
                setattr(cls, name, says_arguments(method))

    def __init__(
        self, room: str, *, query: Mapping[str, str] | None = None, options: Mapping[str, Any] | None = None, layout: Any = None
    ) -> None:
        check_room_name(room)
        self._runtime: Runtime = runtime()
        self._address: HostAddress = self._runtime.address
        self._thread: RoomThread = self._runtime.thread
        self._relay = CommRelay(self._address.url, self._address.secret, self._tell_page)
        self._dirty: asyncio.TimerHandle | None = None
        self._prepare()
        kept: dict[str, Any] = {} if layout is None else {"layout": layout}
        super().__init__(
            _bundle={"name": self.bundle, "hash": bundles.static_hash()},
            _endpoints=self._address.endpoints(),
            _party=self.party,
            _room=room,
            _query=dict(query or {}),
            _options=dict(options or {}),
            **kept,
        )
        self.on_msg(self._received)
        _open_widgets.add(self)
        self._thread.call_soon(self._hold, self._push_ticket(), "first ticket")

    def _prepare(self) -> None:
        """What the host must know before the page may come. May raise PartyError: then there is no widget."""

    @traitlets.default("_esm")
    def _default_esm(self) -> str:
        return bundles.loader()

    @property
    def room(self) -> str:
        """The room's name."""
        return str(self._room)

    @property
    def host_id(self) -> str:
        """The host that has the room."""
        return self._address.host_id

    def __dir__(self) -> list[str]:
        ours = {name for kind in type(self).__mro__ if kind.__module__.startswith(__package__) for name in vars(kind)}
        return [name for name in super().__dir__() if name.startswith("_") or name in SHOWN or (name in ours and name not in HIDDEN)]

    # the page's messages

    def _received(self, _: Any, content: Any, buffers: Sequence[Buffer]) -> None:
        # Runs on the kernel's main thread or on a subshell's: nothing may happen here but the handing over.
        self._thread.call_soon(self._handle, content, buffers)

    def _handle(self, content: Any, buffers: Sequence[Buffer]) -> None:
        if not isinstance(content, dict) or self._relay.receive(content, buffers):
            return
        if isinstance(content.get("id"), str):
            if content.get("op") == "hello":
                self._relay.compare(content.get("sockets"))
            self._hold(self._answer(content), f"answer to {content.get('op')!r}")

    def _hold(self, coroutine: Any, name: str) -> None:
        self._relay.hold(coroutine, f"{self!r}: {name}")

    async def _answer(self, message: dict[str, Any]) -> None:
        operation = message.get("op")
        answer: dict[str, Any] = {}
        buffers: list[bytes] = []
        try:
            if operation == "ticket":
                answer = await self._runtime.ticket(*await self._wanted_room(message), address=self._address)
            elif operation == "hello":
                answer = await self._runtime.hello(self._address)
                # As it is when the answer goes.
                answer = {**answer, "sockets": self._relay.counts(message.get("sockets"))}
            elif operation == "bundle":
                buffers = [await asyncio.to_thread(bundles.read, str(message.get("name")))]
            else:
                raise PartyError(f"this kernel does not know {str(operation)[:40]!r}: is its partywidgets older than the page's?")
        except PartyError as error:
            answer = {"error": str(error)}
        except Exception:
            log.exception("%r could not answer %r", self, operation)
            answer = {"error": "the kernel could not answer, its log says why"}
        self._tell_page({"op": operation, "id": message["id"], **answer}, buffers)

    async def _wanted_room(self, message: Mapping[str, Any]) -> tuple[str, str]:
        """The party and room that a page's request for a ticket is for. Raises PartyError for one that this widget does not open."""
        if "sandbox" in message:
            raise PartyError("this widget opens no terminal: pw.OpsDashboard does, and pw.Terminal is one")
        return self.party, self.room

    async def _push_ticket(self) -> None:
        try:
            ticket = await self._runtime.ticket(self.party, self.room, address=self._address)
        except PartyError as error:
            # The page asks for one itself and gets the same sentence then.
            log.warning("%r has no ticket for its page: %s", self, error)
            return
        self._tell_page({"op": "ticket", **ticket}, [])

    def _tell_page(self, content: dict[str, Any], buffers: list[bytes]) -> None:
        """Sends a custom message from whichever thread; a comm that is gone takes nothing."""
        try:
            self.send(content, buffers)
        except Exception as error:
            log.warning("%r could not send %r to its page: %s: %s", self, content.get("op"), type(error).__name__, error)

    # the saved notebook

    async def _look(self) -> tuple[str, str] | None:
        """The room's present state as text and as HTML without script; None when there is nothing to be seen. Runs on the room loop."""
        return None

    def _touch(self) -> None:
        """The room changed: `_snapshot` follows, at most every 3 s. Call it on the room loop."""
        if self._dirty is None:
            self._dirty = asyncio.get_running_loop().call_later(SNAPSHOT_INTERVAL, lambda: self._hold(self._follow(), "snapshot"))

    async def _follow(self) -> None:
        self._dirty = None
        seen = await self._look()
        if seen is not None:
            self._keep(*seen)

    def _keep(self, text: str, html: str) -> None:
        if (text, html) != (self._snapshot.get("text"), self._snapshot.get("html")) and self.comm is not None:
            at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            self._snapshot = {"text": text, "html": html, "at": at}
            if self._address.kind != "jupyter":
                self._hold(self._runtime.shelve(str(self.model_id), self._snapshot), "snapshot for the Jupyter Server")

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        found = super()._repr_mimebundle_(**kwargs)
        if found is None:
            return None
        shown, metadata = found
        # The name alone, not the room's state of that moment: what a cell displays must be the same in every run. The state is in
        # `_snapshot`, in the output of `snapshot()`, and in the HTML that the server extension puts here when the notebook is saved.
        shown["text/plain"] = repr(self)
        shown["text/html"] = still(repr(self))
        # The extension looks into the Jupyter Server's own rooms alone, and one of them may have the same name.
        return shown, metadata if self._address.kind == "jupyter" else {**metadata, ELSEWHERE: True}

    def close(self) -> None:
        """Closes the page's sockets, Python's own and the widget. The room stays."""
        _open_widgets.discard(self)
        if getattr(self, "_relay", None) is not None and self._thread.running:
            self._thread.submit(self._end())
        super().close()

    async def _end(self) -> None:
        if self._dirty is not None:
            self._dirty.cancel()
        await self._relay.close()
        await self._leave()

    async def _leave(self) -> None:
        """Closes what Python itself holds in the room."""


_open_widgets: weakref.WeakSet[PartyWidget] = weakref.WeakSet()


def keep_snapshots() -> None:
    """Brings the `_snapshot` of every widget up to date, within SNAPSHOT_TIME: after each cell, since the notebook may be saved now."""
    widgets = list(_open_widgets)
    if not widgets or widgets[0]._thread.is_current():
        return

    async def follow() -> None:
        await asyncio.gather(*(widget._follow() for widget in widgets), return_exceptions=True)

    with contextlib.suppress(TimeoutError, PartyError):
        widgets[0]._thread.run(follow(), timeout=SNAPSHOT_TIME)


def refuse_unknown(function: str, unknown: Iterable[str], known: Iterable[str]) -> None:
    """Raises KeywordError naming the first keyword that a function does not have, and what is nearest to it."""
    known = sorted(known)
    for name in unknown:
        near = difflib.get_close_matches(name, known, n=1)
        remedy = f"did you mean {near[0]!r}?" if near else f"it takes {', '.join(known)}"
        raise KeywordError(f"{function}() has no keyword {name!r}: {remedy}")


def refuse_positional(widget: str, given: tuple[object, ...]) -> None:
    """Raises KeywordError for what was given without a keyword to a widget that shows the ops room and nothing else."""
    if given:
        raise KeywordError(
            f"{widget}() shows the rows of the ops room and takes no {type(given[0]).__name__}: write {widget}(), or {widget}(title=…);"
            " `await pw.ops(CONFIG)` loads checks, and a DataFrame is shown by the cell itself"
        )
