"""Row → remedy → proof: runs a row's remediation in its shared terminal, has the row checked again, and returns both outcomes."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from ..exceptions import CommandError, RefusedError, ScanError
from ..scans.model import Remediation
from ..scans.proof import COMMAND, Proof
from .arguments import fingerprint as named_row
from .terminal import TerminalClient

if TYPE_CHECKING:
    from .ops import OpsClient


_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
"""Control characters, and those that reorder or hide text: a row may come from anybody who publishes results. As in `ts/remedy.ts`."""


class Remedy:
    """The remedy of a row: `text`, `command` and `sandbox` of its remediation, and `run()`.

    Making it raises ScanError when there is no such row. `open_terminal(sandbox)` gives the terminal of a sandbox, not yet connected.
    """

    def __init__(self, ops: OpsClient, fingerprint: str, open_terminal: Callable[[str], TerminalClient]) -> None:
        fingerprint = named_row(fingerprint, ops.rows)
        row = ops.rows.get(fingerprint)
        if row is None:
            raise ScanError(f"the ops room {ops.room} has no row {fingerprint!r}: name it by its check_id or its fingerprint, as in ops.df")
        self.fingerprint = fingerprint
        self.before: dict[str, Any] = row
        self.remediation = Remediation(**(row.get("remediation") or {}))
        self._ops, self._open_terminal = ops, open_terminal

    @property
    def text(self) -> str:
        """What the check's author says about it."""
        return self.remediation.text

    @property
    def command(self) -> str | None:
        """The command of the remediation."""
        return self.remediation.command

    @property
    def sandbox(self) -> str | None:
        """The sandbox that the command is for."""
        return self.remediation.sandbox

    def __repr__(self) -> str:
        title = self.before.get("title") or self.before.get("check_id")
        return f"Remedy({title}: {self.command or 'no command'!r} in {self.sandbox or 'no sandbox'})"

    async def run(
        self,
        command: str | None = None,
        *,
        sandbox: str | None = None,
        timeout: float | None = 300.0,
        confirm: Callable[[str, str], Awaitable[bool]] | None = None,
    ) -> Proof:
        """Runs the command in the sandbox's shared shell, visible to all, then has this one row checked again; returns the proof.

        `command` and `sandbox` replace the remediation's. `timeout` is in seconds and holds for the command, and again for the look.
        `confirm(command, sandbox)` is asked before anything is typed; without it, calling this is the confirmation.
        Raises RefusedError, before anything runs, without the ops role responder or admin or when not confirmed; CommandError when there
        is no command or one may not type there; CommandTimeoutError; HostError; TimeoutError when the look does not end.
        """
        wanted, place = command or self.command, sandbox or self.sandbox
        title = self.before.get("title") or self.before.get("check_id")
        if not wanted or not place:
            missing = "command" if not wanted else "sandbox"
            raise CommandError(f"the remediation of {title} names no {missing}: give run({missing}=…), or add it to the check's config")
        if command is None and _UNSEEN.search(wanted):
            raise CommandError(
                f"the command of {title} holds characters that cannot be seen, so it is not what it looks like: give run(command=…)"
            )
        if len(wanted) > COMMAND:
            raise CommandError(f"the command has {len(wanted)} characters, a remedy at most {COMMAND}: run a script instead")
        await self._ops.ready(self._ops.timeout)
        if self._ops.role not in ("responder", "admin"):
            raise RefusedError(f"a remedy needs the ops role responder or admin, you are {self._ops.role or 'none'}", status=403)
        if confirm is not None and not await confirm(wanted, place):
            raise RefusedError(f"{wanted!r} was not confirmed: nothing ran")
        before = self._ops.rows.get(self.fingerprint, self.before)
        async with self._open_terminal(place) as terminal:
            result = await terminal.run(wanted, timeout=timeout)
        return await self._ops.prove(
            self.fingerprint,
            sandbox=place,
            command=wanted,
            exit_code=result.exit_code,
            duration_s=result.duration_s,
            before=int(before["seq"]),
            timeout=timeout,
        )
