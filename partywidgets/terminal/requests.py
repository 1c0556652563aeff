"""What viewers ask of a terminal room, beside keystrokes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..exceptions import CommandError, SandboxError
from ..party import ReadyState
from . import protocol

if TYPE_CHECKING:
    from .server import TerminalServer
    from .viewer import Viewer

EJECTED = "a moderator ejected you from this terminal"
REQUESTS_PER_VIEWER = 64
ID_CHARACTERS = 128
"""Of a request's id, what comes back."""


class Requests:
    """Answers control messages: each that has an `id` gets exactly one `reply`."""

    def __init__(self, room: TerminalServer) -> None:
        self._room = room
        self._by_type = {
            "consumed": self._consumed,
            "resync": self._resync,
            "resize": self._resize,
            "lease": self._lease,
            "ask": self._ask,
            "eject": self._eject,
            "restart": self._restart,
            "run": self._run,
            "cancel": self._cancel,
            "send": self._send,
            "screen": self._screen,
            "history": self._history,
            "interrupt": self._interrupt,
            "terminate": self._terminate,
        }

    def take(self, viewer: Viewer, message: dict[str, Any]) -> None:
        """Does what a message of a known type asks for. Never waits."""
        self._by_type[message["type"]](viewer, message)

    def malformed(self, viewer: Viewer, error: protocol.MalformedError) -> None:
        """Answers a message that means nothing, by its id where it has one."""
        if error.request_id:
            viewer.note(type="reply", id=error.request_id[:ID_CHARACTERS], ok=False, error=str(error))
        else:
            viewer.refuse(str(error))

    def _consumed(self, viewer: Viewer, message: dict[str, Any]) -> None:
        self._room.stream.drawn(viewer, int(message["offset"]), message.get("rate"))

    def _resync(self, viewer: Viewer, message: dict[str, Any]) -> None:
        self._room.stream.show(viewer, "asked")

    def _resize(self, viewer: Viewer, message: dict[str, Any]) -> None:
        self._room.sizing.asked(viewer, *protocol.clamp_size(message["cols"], message["rows"]))

    def _lease(self, viewer: Viewer, message: dict[str, Any]) -> None:
        action, person = message["action"], viewer.person
        wanted = message.get("to")
        to = next((v.person for v in self._room.viewers.values() if v.person.connection == wanted), None)
        if action == "take":
            refusal = self._room.control.lease.take(person)
        elif action == "release":
            refusal = self._room.control.lease.release(person)
        elif action == "refuse":
            refusal = self._room.control.asking.refuse(person, None if to is None else to.subject)
        elif action == "withdraw":
            refusal = self._room.control.asking.withdraw(person)
        else:
            refusal = self._room.control.lease.give(person, to)
        facts = {} if self._room.control.lease.holder is None or refusal else {"holder": self._room.control.lease.holder.subject}
        if action == "refuse" and to is not None:
            facts["to"] = to.subject
        self._room.audit.note(f"lease-{action}" if not refusal else f"lease-{action}-refused", person, **facts)
        if not refusal:
            self._room.control.changed()
        if "id" in message:
            reply = {"ok": False, "error": refusal} if refusal else {"ok": True, "result": {}}
            viewer.note(type="reply", id=message["id"][:ID_CHARACTERS], **reply)
        elif refusal:
            viewer.refuse(refusal)

    def _ask(self, viewer: Viewer, message: dict[str, Any]) -> None:
        async def ask() -> dict[str, Any]:
            self._room.audit.note("control-asked", viewer.person)
            await self._room.control.asking.ask(viewer.person)
            return {}

        self._answer(viewer, message, ask)

    def _eject(self, viewer: Viewer, message: dict[str, Any]) -> None:
        async def eject() -> dict[str, Any]:
            out = next((v.person for v in self._room.viewers.values() if v.person.connection == message["connection"]), None)
            if viewer.person.role != "moderator":
                self._room.audit.note("eject-refused", viewer.person)
                raise CommandError(f"ejecting somebody needs the role moderator; this connection is {viewer.person.role}")
            if out is None:
                raise CommandError("nobody in this room has that connection: take one from presence")
            if out.role == "moderator":
                raise CommandError(f"{out.name} is a moderator and cannot be ejected: revoke their grant on the host")
            self._room.audit.note("ejected", out, by=viewer.person.subject)
            self._room.ejections.put_out(out.subject)
            for connection, other in list(self._room.viewers.items()):
                if other.person.subject == out.subject:
                    connection.close(4403, EJECTED)
            await self._room.ejections.keep()
            return {"subject": out.subject}

        self._answer(viewer, message, eject)

    def _restart(self, viewer: Viewer, message: dict[str, Any]) -> None:
        async def restart() -> dict[str, Any]:
            if not viewer.person.may_restart:
                self._room.audit.note("restart-refused", viewer.person)
                raise CommandError(f"restart needs the role peer or moderator; this connection is {viewer.person.role}")
            self._room.audit.note("restart", viewer.person)
            await self._room.session.restart()
            return {}

        self._answer(viewer, message, restart)

    def _run(self, viewer: Viewer, message: dict[str, Any]) -> None:
        async def run() -> dict[str, Any]:
            self._require_typing(viewer)
            self._room.audit.note("run", viewer.person)
            return await self._room.commands.run(
                message["command"],
                viewer.person.name,
                message.get("timeout_s"),
                waits,
                inside=message.get("inside") is True,
                may_type=may_type,
            )

        def may_type() -> None:
            # It waited behind others' commands: meanwhile its sender may have been put out, or control taken from them.
            if viewer.connection.ready_state is not ReadyState.OPEN:
                raise CommandError("you are no longer in this terminal: nothing was typed")
            self._require_typing(viewer)

        def waits(reason: str) -> None:
            viewer.note(type="waits", id=message["id"][:ID_CHARACTERS], reason=reason)

        self._answer(viewer, message, run)

    def _cancel(self, viewer: Viewer, message: dict[str, Any]) -> None:
        for run, task in list(viewer.runs.items()):
            if message["run"] not in ("", run):
                continue
            if not self._room.commands.typed_for(task):
                self._room.audit.note("run-withdrawn", viewer.person)
                task.cancel()
                viewer.note(type="reply", id=run, ok=False, error="the command was withdrawn before it was typed")
            elif message.get("interrupt") is True:
                try:
                    self._require_typing(viewer)
                except CommandError as error:
                    viewer.note(type="waits", id=run, reason=f"Ctrl-C was not pressed: {error}")
                else:
                    self._room.typed(viewer, b"\x03")

    def _send(self, viewer: Viewer, message: dict[str, Any]) -> None:
        async def send() -> dict[str, Any]:
            self._require_typing(viewer)
            self._room.write(message["text"].encode(), viewer.person)
            return {}

        self._answer(viewer, message, send)

    def _screen(self, viewer: Viewer, message: dict[str, Any]) -> None:
        async def screen() -> dict[str, Any]:
            showing, saved = self._room.showing, message.get("saved") is True
            if message.get("format", "text") == "html":
                return {"html": await showing.html(saved=saved)}
            return {"text": await showing.text(saved=saved)}

        self._answer(viewer, message, screen)

    def _history(self, viewer: Viewer, message: dict[str, Any]) -> None:
        async def history() -> dict[str, Any]:
            return {"commands": await self._room.history()}

        self._answer(viewer, message, history)

    def _interrupt(self, viewer: Viewer, message: dict[str, Any]) -> None:
        self._room.typed(viewer, b"\x03")

    def _terminate(self, viewer: Viewer, message: dict[str, Any]) -> None:
        if not viewer.person.may_restart:
            self._room.audit.note("terminate-refused", viewer.person)
        elif self._room.session.end():
            self._room.audit.note("terminate", viewer.person)

    def _require_typing(self, viewer: Viewer) -> None:
        if self._room.control.may_type(viewer):
            return
        self._room.audit.dropped(viewer.person, 0)
        holder = self._room.control.lease.holder
        if holder is not None and viewer.person.may_hold:
            remedy = ("take it over", "take") if viewer.person.role == "moderator" else ("ask for it", "ask")
            how = f"{remedy[0]}, in Python by {remedy[1]}_control()"
            raise CommandError(f"{holder.name} has control of the terminal: {how}, or wait until they are idle")
        raise CommandError(f"typing needs the role operator, peer or moderator; this connection is {viewer.person.role}")

    def _answer(self, viewer: Viewer, message: dict[str, Any], work: Any) -> None:
        """Does what was asked in a task of its own, so that keystrokes overtake it, and replies."""
        request_id = message["id"][:ID_CHARACTERS]
        if len(viewer.tasks) >= REQUESTS_PER_VIEWER:
            viewer.note(type="reply", id=request_id, ok=False, error=f"more than {REQUESTS_PER_VIEWER} requests are open: wait for one")
            return

        async def reply() -> None:
            try:
                result = await work()
            except (CommandError, SandboxError) as error:
                viewer.note(type="reply", id=request_id, ok=False, error=str(error))
            except Exception as error:
                self._room.on_exception(error)
                viewer.note(type="reply", id=request_id, ok=False, error=f"{message['type']} failed in the room; its log says why")
            else:
                viewer.note(type="reply", id=request_id, ok=True, result=result)

        task = self._room.spawn_for(viewer, reply(), message["type"])
        if message["type"] == "run":
            viewer.runs[request_id] = task
            task.add_done_callback(lambda _: viewer.runs.pop(request_id, None))
