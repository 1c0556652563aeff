"""TerminalServer: a room with one sandbox terminal, shared by all its viewers."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import asdict
from typing import Any, ClassVar

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from ..exceptions import SandboxError
from ..party import Connection, ConnectionContext, Server, grant_of
from . import protocol
from .audit import Audit
from .commands import Commands
from .control import Control
from .ejection import Ejections
from .greeting import BY_QUERY, Greeting, number_in, query_of, viewer_of
from .lease import Person
from .ledger import Ledger
from .recording import Recorder
from .recording_access import answer as recording_answer
from .requests import EJECTED, Requests
from .returning import Returning
from .screen import ScreenClosed
from .session import Session
from .settings import TerminalSettings
from .showing import Showing
from .sizing import Sizing
from .stream import Stream
from .upstream import Upstream
from .viewer import HOLE_SECONDS, RichViewer, Viewer
from .vt import is_query_reply

NO_ROLE = "this grant has no role in terminals"


class TerminalServer(Server):
    """The terminal room. Its sandbox starts in the background at the first viewer who may type, and lives `keep` seconds after the last
    viewer left."""

    hibernate = False
    subprotocols: ClassVar[tuple[str, ...]] = (protocol.RICH, *protocol.PLAIN)

    async def on_start(self, props: Any = None) -> None:
        """Makes the empty room; nothing runs yet. `props` may be TerminalSettings for this room alone; without any, no sandbox is known."""
        try:
            self.settings = props if isinstance(props, TerminalSettings) else self.env[TerminalSettings]
        except LookupError:
            self.settings = TerminalSettings()
        self.viewers: dict[Connection, Viewer] = {}
        self.audit = Audit(self.name, self.storage.folder("audit").parent, keep_bytes=lambda: self.settings.recording.audit_bytes)
        self.control = Control(self.viewers, self.settings, self.audit, handed=lambda: self.sizing.handed())
        self.recorder = Recorder(
            self.storage.folder("recordings"), room=self.name, want_screen=self._record_screen, known=self.settings.known_secrets
        )
        self.stream = Stream(self, self.viewers, shown=self._shown, ring_bytes=self.settings.ring_bytes)
        self.upstream = Upstream(
            self.name,
            changed=self._upstream_changed,
            wavered=self._tell_states,
            output=self._output,
            clear=self.stream.clear,
            ready=self.stream.room_for_more,
        )
        self.ledger = Ledger(self, self.settings, unsaved=lambda: self._unsaved)
        self.showing = Showing(self.stream, self.settings, unsaved=lambda: self._unsaved)
        self.returning = Returning(self.viewers)
        self.sizing = Sizing(self.viewers, self.control.lease, settings=self.settings, apply=self._resize, spawn=self.spawn)
        self.commands = Commands(write=self.upstream.write, announce=self._announce, keep=self.ledger.keep)
        self.session = Session(self)
        self.requests = Requests(self)
        self.ejections = Ejections(self)
        self._greeting = Greeting(self)
        await self.session.recall()
        await self.ejections.recall()

    # Viewers

    def on_connect(self, connection: Connection, ctx: ConnectionContext) -> None:
        """Lets a viewer in and returns at once; what the sandbox needs happens behind it."""
        person = Person.of(connection.grant, connection.id)
        if refusal := self._refuses(person):
            connection.close(4403, refusal)
            return
        query = query_of(connection)
        upstream = self.upstream
        first = not any(other.person.may_hold for other in self.viewers.values())
        is_open = upstream.alive or (upstream.state == "ended" and not first)
        wanted = query.get("sandboxId") or (upstream.sandbox_id if is_open else self.session.had or self.session.usual)
        if is_open and wanted != upstream.sandbox_id:
            self.audit.note("refused", person, reason=f"the terminal is open on {upstream.sandbox_id}")
            connection.close(4409, f"this terminal is open on the sandbox {upstream.sandbox_id}: end and leave it, or use another"[:120])
            return
        viewer = viewer_of(connection, person, query.get("dialect", ""))
        if viewer is None:
            self.audit.note("refused", person, reason="unknown dialect")
            connection.close(4400, f"unknown dialect: leave it out, or use {' or '.join(BY_QUERY)}")
            return
        self.viewers[connection] = viewer
        if person.may_hold and "cols" in query and "rows" in query:
            viewer.size = _size(query, self.settings)
        self.audit.note("joined", person, dialect=viewer.dialect)
        self.session.viewer_came()
        # Whoever reloads a page on a terminal that ended sees how it ended; whoever comes anew to an empty room gets a new one.
        saw_it_end = query.get("epoch", "") == self.stream.epoch != ""
        wants_a_new_one = upstream.state == "idle" or wanted != upstream.sandbox_id or (first and not upstream.alive and not saw_it_end)
        # Who only looks on starts no process, in no sandbox of their choice: they see one as soon as somebody opens it.
        if wants_a_new_one and person.may_hold:
            # A client without a window (a cell's `run`) has no size to keep: the first page that comes gives its own.
            self.sizing.by = person.name if viewer.size is not None else ""
            self.session.start(wanted, _size(query, self.settings))
        else:
            self.sizing.viewers_changed()
        if not self.session.preparing:
            self._greeting.greet(viewer)

    def _refuses(self, person: Person) -> str:
        """Why somebody gets nothing of this room, by a socket or over HTTP; "" where nothing is in the way."""
        refusal = NO_ROLE if not person.role else EJECTED if self.ejections.keeps_out(person.subject) else ""
        if refusal:
            self.audit.note("refused", person, reason="ejected" if refusal == EJECTED else "no role in terminals")
        return refusal

    def _shown(self, viewer: Viewer) -> None:
        """The dialects without a welcome hear of the state behind a screen, which clears whatever was there."""
        if not isinstance(viewer, RichViewer):
            self.tell_state(viewer)

    def tell_state(self, viewer: Viewer) -> None:
        """What runs, and how it ended."""
        upstream = self.upstream
        viewer.state(upstream.state, upstream.reason, upstream.sandbox_id)
        if upstream.exit is not None:
            viewer.ended(upstream.exit, self.stream.epoch, self.stream.position)

    def on_close(self, connection: Connection, code: int, reason: str, was_clean: bool) -> None:
        """A viewer left."""
        viewer = self.viewers.pop(connection, None)
        if viewer is None:
            return
        for task in viewer.tasks:
            task.cancel()
        self.audit.left(viewer.person)
        self.returning.left(viewer)
        if viewer.ticket and self.settings.release_ticket is not None:
            self.settings.release_ticket(viewer.ticket)
        if self.control.lease.left(viewer.person, [other.person for other in self.viewers.values()]):
            self.control.changed()
        self.sizing.viewers_changed()
        self.present()
        if not self.viewers:
            self.session.last_viewer_left()

    def present(self) -> None:
        """Tells everyone who is there."""
        people = [
            {"connection": v.person.connection, "name": v.person.name, "role": v.person.role, "subject": v.person.subject}
            for v in self.viewers.values()
        ]
        self._note_all(type="presence", people=people, size={"cols": self.stream.cols, "rows": self.stream.rows, "by": self.sizing.by})

    def _note_all(self, **message: Any) -> None:
        for viewer in list(self.viewers.values()):
            viewer.note(**message)

    # The sandbox

    def greet_all(self) -> None:
        """A new process: everyone hears what there is."""
        for viewer in list(self.viewers.values()):
            self._greeting.greet(viewer)

    def record(self, epoch: str, sandbox_id: str, size: tuple[int, int]) -> None:
        """Begins the recording of a process, where the settings want one."""
        if self.settings.recording.enabled and not self._unsaved:
            self.recorder.begin(self.settings.recording, epoch=epoch, sandbox=sandbox_id, cols=size[0], rows=size[1])

    def _output(self, piece: bytes) -> None:
        offset = self.stream.ring.end
        self.stream.append(piece)
        self.recorder.output(piece)
        self.commands.output(piece, offset)

    def _upstream_changed(self) -> None:
        upstream = self.upstream
        if upstream.state == "running" and upstream.sandbox is not None:
            self.commands.begin(self.session.nonce, upstream.sandbox.marks, self.stream.ring)
            self.session.opened()
        elif upstream.state == "starting":
            self.commands.coming()
        else:
            self.commands.end(upstream.reason)
            self.recorder.end(None if upstream.exit is None else upstream.exit.code)
        self.stream.flush()
        self._tell_states()

    def _tell_states(self) -> None:
        for viewer in list(self.viewers.values()):
            # The others are told behind the screen that they wait for, see _shown.
            if viewer.greeted and (isinstance(viewer, RichViewer) or not viewer.wanted):
                self.tell_state(viewer)

    async def on_stop(self) -> None:
        """Ends the process and frees the screen."""
        self.sizing.cancel()
        self.control.close()
        await self.session.close()
        for viewer in self.viewers.values():
            self.audit.left(viewer.person)
        await self.recorder.close()
        await self.stream.close()

    # What viewers send

    def on_message(self, connection: Connection, message: str | bytes) -> None:
        """Keystrokes, or a control message of the viewer's dialect. Never waits."""
        viewer = self.viewers.get(connection)
        if viewer is None:
            return
        try:
            meant = viewer.input(message)
        except protocol.MalformedError as error:
            self.requests.malformed(viewer, error)
            return
        except ValueError as error:
            viewer.refuse(str(error))
            return
        if isinstance(meant, bytes):
            self.typed(viewer, meant)
        else:
            self.requests.take(viewer, meant)

    def typed(self, viewer: Viewer, keys: bytes) -> None:
        """Keystrokes of a viewer, taken or dropped by its role and the lease."""
        if not keys:
            return
        person = viewer.person
        if is_query_reply(keys):
            if not self.control.answers(viewer):
                return
        elif not self.control.may_type(viewer):
            self.audit.dropped(person, len(keys))
            return
        if not self.upstream.alive and keys in (b"\r", b"\n") and person.role in ("peer", "moderator"):
            if not isinstance(viewer, RichViewer):
                self.spawn_for(viewer, self.session.restart(), "restart")
            return
        now = asyncio.get_running_loop().time()
        if viewer.behind_hole(keys, now):
            self.audit.dropped(person, len(keys))
            return
        try:
            self.write(keys, person)
        except SandboxError as error:
            self.audit.dropped(person, len(keys))
            follows = ""
            if self.upstream.alive:
                viewer.not_taken(now)
                follows = f"; what follows is dropped, too, until nothing has come from you for {HOLE_SECONDS:g} s"
            viewer.refuse(f"{error}{follows}")

    def write(self, keys: bytes, person: Person) -> None:
        """Keystrokes that are taken. Raises SandboxError when nothing runs."""
        self.upstream.write(keys)
        self.stream.typed()
        self.audit.typed(person, len(keys))
        self.recorder.typed(keys)
        self.commands.typed(keys, person.name)

    async def _resize(self, cols: int, rows: int, by: str) -> None:
        if (cols, rows) == (self.stream.cols, self.stream.rows):
            return
        offset = self.stream.resize(cols, rows)
        self.sizing.by = by
        self.recorder.resize(cols, rows)
        self._note_all(type="resize", cols=cols, rows=rows, by=by, offset=offset)
        await self.upstream.resize(cols, rows)

    def spawn_for(self, viewer: Viewer, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """A task that ends when its viewer leaves."""
        task = self.spawn(work, name=name)
        viewer.tasks.add(task)
        task.add_done_callback(viewer.tasks.discard)
        return task

    # Commands

    def _announce(self, mark: dict[str, Any]) -> None:
        self._note_all(type="mark", **mark)
        self.recorder.mark(mark)

    @property
    def _unsaved(self) -> bool:
        """The policy of this sandbox: nothing of it is kept."""
        return self.upstream.sandbox_id in self.settings.recording.unsaved

    def _record_screen(self, reason: str) -> None:
        self.spawn(self._give_screen(reason), name="recorded-screen")

    async def _give_screen(self, reason: str) -> None:
        """A screen for the recording, and the output since: from here on the recording is right again."""
        with suppress(ScreenClosed):
            self.recorder.screen(reason, await self.showing.drawing())

    async def history(self) -> list[dict[str, Any]]:
        """The commands that ran in this room, oldest first; the last 1000 by default."""
        return await self.ledger.entries()

    async def on_request(self, request: Request) -> Response:
        """GET: the room's state and screen as JSON, for a role in terminals; `?saved=1`: the screen as a file may hold it."""
        if request.method not in ("GET", "HEAD"):
            return PlainTextResponse("a terminal room answers GET only", 405, {"Allow": "GET, HEAD"})
        if refusal := self._refuses(Person.of(grant_of(request), "http")):
            return PlainTextResponse(refusal, 403)
        _, slash, wanted = request.url.path.rpartition("/recordings")
        if slash:
            await self.recorder.flushed()
            folder, packed = self.storage.folder("recordings"), "gzip" in request.headers.get("accept-encoding", "")
            return await recording_answer(folder, wanted.removeprefix("/"), grant_of(request), self.audit, packed=packed)
        upstream, stream = self.upstream, self.stream
        return JSONResponse(
            {
                "state": upstream.state,
                "reason": upstream.reason,
                "sandbox": upstream.sandbox_id,
                "size": {"cols": stream.cols, "rows": stream.rows, "by": self.sizing.by},
                "people": len(self.viewers),
                "exit": None if upstream.exit is None else asdict(upstream.exit),
                "screen": await self.showing.text(saved=request.query_params.get("saved") == "1"),
            }
        )


def _size(query: dict[str, str], settings: TerminalSettings) -> tuple[int, int]:
    return protocol.clamp_size(number_in(query, "cols", settings.cols), number_in(query, "rows", settings.rows))
