"""OpsDashboard: the rows of the ops room with their details, history and actions; what `pw.ops` returns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ..exceptions import PartyError
from .ops_view import OpsView
from .terminal import Terminal


class OpsDashboard(OpsView):
    """The ops room in a cell, with its rows' details, history and actions: `pw.OpsDashboard(title="Shop", height=400)`.

    `title` is shown above it, `height` is its table's in CSS pixels. `columns`, `sort` (strongest first, `-` reverses), `group` and
    `search` are how the table opens. `pw.ops(CONFIG)` loads checks into the room and returns one. Its methods (`scan`, `ack`, `history`, …)
    act on the room. Raises KeywordError for what it cannot show, HostError when no host can be reached.
    """

    bundle: ClassVar[str] = "dashboard.js"

    async def _wanted_room(self, message: Mapping[str, Any]) -> tuple[str, str]:
        """Beside the ops room: the terminal of a sandbox that a row's remediation names, which is what the page offers to open.

        The room is called like the sandbox, as for `remedy().run()`: the page and Python share its shell. Nothing else is opened, so that
        a page cannot ask its kernel for the rooms of others.
        """
        if "sandbox" not in message:
            return await super()._wanted_room(message)
        sandbox, named = message["sandbox"], (await self._ops.connected()).sandboxes
        if not isinstance(sandbox, str) or sandbox not in named:
            raise PartyError(f"no row names the sandbox {str(sandbox)[:64]!r}: name it in a check's `remediation`")
        return Terminal.party, sandbox
