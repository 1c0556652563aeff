"""A row's remedy from a cell: `await ops.remedy(fingerprint).run()`, the line that the row's details show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..client.handle import Handle
from ..spelling import says_arguments

if TYPE_CHECKING:
    from ..scans.proof import Proof
    from .ops_view import OpsView


class RowRemedy:
    """The remedy of a row of a dashboard or a table; `run()` runs it."""

    def __init__(self, view: OpsView, fingerprint: str) -> None:
        self.fingerprint = fingerprint
        self._view = view

    @says_arguments
    def run(self, command: str | None = None, *, sandbox: str | None = None, timeout: float | None = 300.0) -> Handle[Proof]:
        """Runs the row's command in its sandbox's shared terminal, has this one row checked again, and returns the proof.

        `command` and `sandbox` replace the remediation's. `timeout` is in seconds and holds for the command, and again for the look.
        Awaiting raises ScanError when there is no such row, RefusedError, CommandError, CommandTimeoutError, HostError.
        """

        async def work() -> Proof:
            ops = await self._view._ops.connected()
            return await ops.remedy(self.fingerprint).run(command, sandbox=sandbox, timeout=timeout)

        return self._view._start(work(), f"remedy of {self.fingerprint}")

    def __repr__(self) -> str:
        return f"RowRemedy({self.fingerprint!r}): its run() types the row's command into the shared terminal"
