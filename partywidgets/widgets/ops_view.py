"""What the widgets of the ops room share: its rows in Python, and all that can be done with them."""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Never, TypeVar

import traitlets

from .. import offers
from ..client.arguments import Until, config_path, names, patience
from ..client.handle import Handle
from ..client.ops import OpsClient
from ..client.told import Message, Told
from ..client.warning import warn
from ..exceptions import ConfigError, ConnectionClosedError, PartyError
from ..room_thread import RoomThread
from ..runtime import HostAddress
from ..scans.channel import PARTY, ROOM
from ._base import refuse_positional, refuse_unknown
from .ops_view_past import OpsViewPast
from .remedy import RowRemedy
from .rendering import rendered, still
from .view import check_frame, read_view

if TYPE_CHECKING:
    from pandas import DataFrame

    from ..promotion import CheckText, Promotable, Promotion
    from ..scans.model import CheckResult
    from ..scans.report import ScanReport

T = TypeVar("T")

log = logging.getLogger("partywidgets.widgets")

LEFT_OUT = {
    "auth": "its `auth` is not in force here: a host reads that when it starts, from the config that it is started with",
    "sandboxes": "its `sandboxes` are not taken: this host has addresses from its own config alone, so add them there",
}
"""What is said of a config's sections that a host takes from no client."""


class Room:
    """One OpsClient for all widgets of a host and credential: what Python knows of its ops room. Lives on the room loop."""

    def __init__(self, address: HostAddress) -> None:
        self._address = address
        self._client: OpsClient | None = None
        self._lock = asyncio.Lock()
        self.views: weakref.WeakSet[OpsView] = weakref.WeakSet()

    @property
    def client(self) -> OpsClient | None:
        """The client, once it has been needed."""
        return self._client

    async def connected(self) -> OpsClient:
        """The client with the room's rows in it. Raises RefusedError or HostError."""
        async with self._lock:
            if self._client is not None and not self._client.socket.should_reconnect:
                client, self._client = self._client, None
                await client.close()
            if self._client is None:
                client = OpsClient(self._address.url, token=self._address.secret or None, on_message=self._told)
                await client.__aenter__()
                self._client = client
        await self._client.ready(self._client.timeout)
        return self._client

    def _told(self, kind: str, _: dict[str, Any]) -> None:
        if kind != "reply":
            for view in list(self.views):
                view._touch()


_rooms: dict[tuple[HostAddress, RoomThread], Room] = {}


class OpsView(OpsViewPast):
    """A view of the ops room, and the room from Python. Every method starts at once and returns a handle: `await` it, or call `.wait()`."""

    _meant: ClassVar = {
        **dict.fromkeys(("check", "checks", "rows", "table", "status", "statuses"), "df, a DataFrame of all rows"),
        **dict.fromkeys(
            ("failed", "failures", "problems", "crit", "alerts"), "failing, a DataFrame of the rows that are unknown, warn or crit"
        ),
        **dict.fromkeys(("run", "run_scan", "refresh", "scan_all", "run_checks", "rescan"), "scan()"),
        **dict.fromkeys(("run_check", "check_again"), "scan('ID')"),
        **dict.fromkeys(("acknowledge", "acked"), "ack()"),
        **dict.fromkeys(("unack", "unacknowledge"), "withdraw_ack()"),
        **dict.fromkeys(("mute", "snooze", "maintenance"), "silence()"),
        **dict.fromkeys(("unsilence", "unmute"), "lift_silence()"),
        **dict.fromkeys(("report", "last_scan", "last", "last_report"), "latest()"),
        **dict.fromkeys(("fix", "repair", "remediate", "remediation"), "remedy()"),
        **dict.fromkeys(("compare", "delta"), "diff()"),
        **dict.fromkeys(("reload", "config", "load_config"), "load()"),
        **dict.fromkeys(("save", "export"), "promote()"),
        **dict.fromkeys(("uptime", "sla"), "hours(), whose frame has uptime"),
    }

    party: ClassVar[str] = PARTY

    selection: Any = traitlets.List(traitlets.Unicode(), help="Fingerprints of the rows that are selected.").tag(sync=True)
    view: Any = traitlets.Dict(
        help="How the table is looked at: columns, widths, sort, group, search, statuses; what is as usual is left out."
    ).tag(sync=True)
    counts: Any = traitlets.Dict(help="How many rows have each status, as the page sees it.").tag(sync=True)

    def __init__(
        self,
        *given: object,
        title: str | None = None,
        height: int | None = None,
        columns: Iterable[str] | None = None,
        sort: str | Iterable[str] | None = None,
        group: str | None = None,
        search: str | None = None,
        layout: Any = None,
        **unknown: Never,
    ) -> None:
        widget = type(self).__name__
        refuse_positional(widget, given)
        refuse_unknown(widget, unknown, ["title", "height", "columns", "sort", "group", "search", "layout"])
        check_frame(widget, title, height)
        view = read_view(widget, columns=columns, sort=sort, group=group, search=search)
        options = {"title": title, "height": height, **self._own_options()}
        super().__init__(ROOM, options={name: value for name, value in options.items() if value is not None}, layout=layout)
        self.view = view
        # One room a host and credential: whoever connects with another token acts with that one's rights alone.
        self._ops = _rooms.setdefault((self._address, self._thread), Room(self._address))
        self._config: Path | None = None
        self._thread.call_soon(self._hold, self._join(), "rows")

    def __repr__(self) -> str:
        return f"{type(self).__name__}(room={self.room!r})"

    def _own_options(self) -> dict[str, Any]:
        """Options of this widget beside title and height."""
        return {}

    async def _join(self) -> None:
        self._ops.views.add(self)
        try:
            await self._ops.connected()
        except (PartyError, TimeoutError) as error:
            log.warning("%r has no rows in Python: %s", self, error)
            return
        await self._follow()

    async def _connected(self) -> OpsClient:
        return await self._ops.connected()

    # what is there

    @property
    def results(self) -> list[CheckResult]:
        """The rows as results, failing ones first. Blocks for a moment."""

        async def look() -> list[CheckResult]:
            return (await self._ops.connected()).results

        return self._thread.run(look())

    @property
    def df(self) -> DataFrame:
        """The rows as a DataFrame: UTC datetimes, ordered categoricals, failing ones first."""
        from ..scans.frame import results_frame

        return results_frame(self.results)

    @property
    def selected(self) -> DataFrame:
        """The rows that are selected in the table, as `df` has them, in the order of `selection`; what left the board is not in it."""
        frame = self.df
        return frame.loc[[fingerprint for fingerprint in self.selection if fingerprint in frame.index]]

    @property
    def failing(self) -> DataFrame:
        """The rows that are unknown, warn or crit, as `df` has them. Blocks for a moment."""
        from ..scans.frame import failing_rows

        return failing_rows(self.df)

    @property
    def failing_targets(self) -> list[dict[str, str]]:
        """Targets of notifications that do not take messages, each with its `target` and `error`. Blocks for a moment."""
        return self._now().failing_targets

    @property
    def unkept(self) -> str | None:
        """Why the host's history is not written; None while it is."""
        return self._now().unkept

    @property
    def config_refused(self) -> str | None:
        """Why the config's file is not in force as it is now; None while it is."""
        return self._now().config_refused

    @property
    def removed(self) -> dict[str, Any] | None:
        """The rows that left the board last: `count`, `titles`, `reason`, `actor`, `at`; None: none did of late."""
        return self._now().removed

    def _now(self) -> OpsClient:
        return self._thread.run(self._ops.connected())

    async def messages(self) -> AsyncIterator[Message]:
        """What the room tells from now on, as `(type, data)`: `async for kind, data in ops: …`. `await ops.scan()` and the like may be
        called in between; a reader who is slow gets a `skipped` in place of what it missed."""

        async def some() -> list[Message]:
            while not (came := told.take()):
                await client.changed()
            return came

        client = await self._start(self._ops.connected(), "messages")
        told = Told()
        self._thread.call_soon(client.follow, told)
        try:
            while True:
                coming = self._start(some(), "messages")
                try:
                    messages = await coming
                finally:
                    coming.cancel()  # an interrupted cell waits for nothing
                for message in messages:
                    yield message
        except ConnectionClosedError:
            return
        finally:
            self._thread.call_soon(client.unfollow, told)

    def __aiter__(self) -> AsyncIterator[Message]:
        return self.messages()

    # what one does with it

    def scan(
        self, checks: str | Iterable[str] = (), *, labels: Mapping[str, str] | None = None, timeout: float | None = None
    ) -> Handle[ScanReport]:
        """Runs the named checks, or those with all `labels`, or all: `report = await ops.scan(); report.df`.

        `timeout` is in seconds, None: no limit. The handle's `cancel()` ends the scan in the host.
        """
        wanted = names("checks", checks)
        patience("scan", timeout)
        watching = offers.watch()

        async def work() -> ScanReport:
            await watching.settled()
            return await (await self._ops.connected()).scan(wanted, labels=labels, timeout=timeout)

        label = "scan " + (", ".join(wanted) or "of all checks")
        return self._start(work(), label, left=f"the {label} goes on in the host: `await ops.latest()` has its report when it has ended")

    def recheck(self, fingerprints: str | Iterable[str]) -> Handle[ScanReport]:
        """Checks some rows again."""
        wanted = names("fingerprints", fingerprints)

        async def work() -> ScanReport:
            return await (await self._ops.connected()).recheck(wanted)

        return self._start(work(), f"recheck of {len(wanted)} rows")

    def remedy(self, fingerprint: str) -> RowRemedy:
        """The remedy of a row: `proof = await ops.remedy(fingerprint).run()`."""
        return RowRemedy(self, fingerprint)

    def ack(self, fingerprint: str, reason: str, *, until: Until | None = None) -> Handle[None]:
        """Acknowledges a failing row until it is ok again, or until `until`: an aware time, or `"2h"` from now (None: no
        end)."""

        async def work() -> None:
            await (await self._ops.connected()).ack(fingerprint, reason, until=until)

        return self._start(work(), f"ack {fingerprint}")

    def withdraw_ack(self, fingerprint: str) -> Handle[None]:
        """Ends an ack."""

        async def work() -> None:
            await (await self._ops.connected()).withdraw_ack(fingerprint)

        return self._start(work(), f"withdraw ack {fingerprint}")

    def silence(self, matchers: Mapping[str, str], until: Until, reason: str) -> Handle[str]:
        """Stops notifications about rows whose labels match, until an aware time, or for `"2h"` from now; returns the
        silence's id."""

        async def work() -> str:
            return await (await self._ops.connected()).silence(matchers, until, reason)

        return self._start(work(), "silence")

    def lift_silence(self, matchers: Mapping[str, str]) -> Handle[None]:
        """Ends the silences that have exactly these matchers."""

        async def work() -> None:
            await (await self._ops.connected()).lift_silence(matchers)

        return self._start(work(), "lift silence")

    def load(self, path: Path | str) -> Handle[None]:
        """Loads a config into the host, in place of what that path had before. Awaiting raises ConfigError with line and column."""
        place = config_path("load", path)

        return self._start(self._load(place), f"load {path}")

    async def _load(self, place: Path) -> None:
        """Loads a config, and warns (UserWarning) of the sections that the host takes from no client."""
        ignored = (await (await self._ops.connected()).load_config(place))["ignored"]
        self._config = place
        for section in ignored:
            warn(f"{place.name}: {LEFT_OUT.get(section, f'this host leaves `{section}` out')}")

    def promote(
        self, check: Promotable, *, path: Path | str | None = None, module: str | None = None, replace: bool = False
    ) -> Handle[Promotion]:
        """Writes a check of this notebook into the config, and loads it from there: `await ops.promote(queue_depth)`.

        `check` is a `@pw.check` function or its id, or the keys of a check as the config has them. `path` is the config that was loaded
        here, unless given. A function goes into `module` beside the config, `checks.<name>` unless given. An existing check
        with that id is replaced only with `replace`. Its row keeps its history, acks and silences.
        Returns what was written, as a diff. Awaiting raises CheckError or ConfigError.
        """
        from ..promotion import promote
        from ..scans.check_decorator import forget

        place = self._place(path)

        async def work() -> Promotion:
            written = await asyncio.to_thread(promote, check, place, module=module, replace=replace)
            if place == self._config:  # first: the row, with its history and acks, goes over to the config
                await self._load(place)
            if written.identity is not None:  # the config has it now: no id is two checks'
                forget(written.identity)
                watching = offers.watch()
                await asyncio.to_thread(watching.changed)
                await watching.settled()
            return written

        return self._start(work(), f"promote to {place.name}")

    def import_check(self, check_id: str, *, path: Path | str | None = None) -> CheckText:
        """A check of the config as the text of a cell; in a notebook it is put into the next cell. Raises ConfigError."""
        from IPython.core.getipython import get_ipython

        from ..promotion import import_check

        text = import_check(check_id, self._place(path))
        if (shell := get_ipython()) is not None:
            shell.set_next_input(str(text))
        return text

    def _place(self, path: Path | str | None) -> Path:
        if path is not None:
            return config_path("path", path)
        if self._config is None:
            raise ConfigError('no config was loaded here: name one, as in path="partywidgets.yaml"')
        return self._config

    # the saved notebook

    async def _look(self) -> tuple[str, str] | None:
        client = self._ops.client
        return None if client is None else rendered(client.results)

    def snapshot(self) -> None:
        """Displays the rows as they are now, as text and as HTML without script: an output that stays readable everywhere."""
        from IPython.display import display

        text, markup = rendered(self.results)
        display({"text/plain": text, "text/html": markup or still(text)}, raw=True)  # type: ignore[no-untyped-call]
