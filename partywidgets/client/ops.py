"""OpsClient: an ops room from Python."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast
from urllib.parse import quote

from pydantic_core import from_json

from ..exceptions import ConfigError, HostError, ScanError, WaitTimeoutError
from ..partysocket import CloseEvent, FetchResponse, PartySocket, Provided, fetch_url, root_url
from ..partysocket.address import encode_query, http_url
from ..scans.channel import PARTY, ROOM
from ..scans.model import CheckResult, Status
from ..scans.proof import Proof
from ..scans.report import ScanReport
from . import arguments
from .arguments import Until
from .board import Board, Progress
from .ops_http import SLOWEST, publish_report, refusal
from .ops_news import OpsNews
from .ops_past import OpsPast
from .patience import SILENCE
from .remedy import Remedy
from .room import REPLY_TIMEOUT, refuses
from .terminal import TerminalClient
from .warning import warn

if TYPE_CHECKING:
    from pandas import DataFrame

State: TypeAlias = Literal["connecting", "live", "refused", "lost"]

CONFIG_LIMIT = 1024 * 1024
"""Bytes of the largest config that is sent."""
LOAD_TIMEOUT = 60.0
"""Seconds that a host may take for a config: its modules are imported, for up to 30 s."""
ANSWER_TIMEOUT = 3 * 3600.0
"""Seconds that the longest answer (64 MiB) takes over a line of 64 kbit/s."""

logger = logging.getLogger(__name__)


class OpsClient(OpsPast, OpsNews):
    """An ops room: `async with OpsClient(url, token=…) as ops: report = await ops.scan()`.

    `url` is the host's root, with scheme and base path. `token` is a bearer token, or a function that gives a fresh one. Entering waits for
    the room's snapshot until nothing of it comes for `timeout` seconds, and raises RefusedError or HostError with the reason; `start()`
    does not wait. `rows` (fingerprint → result) are kept up to date, over reconnects too. `on_message(type, data)`
    gets every message of the room after it was applied; `async for kind, data in ops` has them, too. `socket_options` are PartySocket's.
    Everything in it belongs to the loop that started it.
    """

    kind, client_kind, greeting = "ops room", "ops client", "snapshot"

    def __init__(
        self,
        url: str,
        *,
        token: Provided[str | None] = None,
        room: str = ROOM,
        timeout: float = 15.0,
        on_message: Callable[[str, dict[str, Any]], Any] | None = None,
        **socket_options: Any,
    ) -> None:
        super().__init__(room, timeout)
        self.on_message = on_message
        self.root = http_url(root_url(url))
        self.state: State = "connecting"
        self.running: dict[str, Progress] = {}
        self.silences: dict[str, dict[str, Any]] = {}
        self.last_scan: dict[str, Any] | None = None
        self.checks = 0
        self.role = ""
        self._proofs: dict[str, Proof] = {}
        self._token = token
        self._board = Board()
        self._ready = False
        self._finished: dict[str, dict[str, Any]] = {}
        self.socket = PartySocket(
            host=url,
            party=PARTY,
            room=room,
            protocols="partywidgets.v1",
            token=token,
            max_enqueued_messages=0,
            on_message=self._received,
            on_close=self._closed,
            on_end=self._pulse,
            **socket_options,
        )

    # What is there

    @property
    def rows(self) -> dict[str, dict[str, Any]]:
        """The latest result of each fingerprint, as JSON values. A view: do not change it."""
        return self._board.rows

    @property
    def counts(self) -> dict[Status, int]:
        """How many rows have each status."""
        return self._board.counts

    @property
    def results(self) -> list[CheckResult]:
        """The rows as results, failing ones first."""
        return sorted(map(CheckResult.from_wire, self._board.rows.values()), key=lambda result: result.urgency)

    @property
    def sandboxes(self) -> set[str]:
        """The sandboxes named by the rows' remediations; a row opens the terminal room with that name."""
        return {sandbox for row in self._board.rows.values() if (sandbox := (row.get("remediation") or {}).get("sandbox"))}

    @property
    def df(self) -> DataFrame:
        """The rows as a DataFrame: UTC datetimes, ordered categoricals, failing ones first."""
        from ..scans.frame import results_frame

        return results_frame(self.results)

    @property
    def failing(self) -> DataFrame:
        """The rows that are unknown, warn or crit, as `df` has them."""
        from ..scans.frame import failing_rows

        return failing_rows(self.df)

    # What one does with it

    async def scan(
        self, checks: Iterable[str] = (), *, labels: Mapping[str, str] | None = None, timeout: float | None = None
    ) -> ScanReport:
        """Runs the named checks, or those with all `labels`, or all; returns the report when the last has ended.

        Survives a lost connection: the report is fetched when the room is back. Cancelling it ends the scan in the host, too. Raises
        RefusedError without the role for it, ScanError for an unknown check, TimeoutError after `timeout` seconds (None: waits as long as
        it takes); the scan goes on then.
        """
        arguments.patience("scan", timeout)
        scan_id = await self.start_scan(checks, labels=labels)
        try:
            return await self.report(scan_id, timeout=timeout)
        except asyncio.CancelledError:
            self._put("cancel", {"scan_id": scan_id})  # nobody waits for the reply
            raise

    async def cancel_scan(self, scan_id: str) -> None:
        """Ends a scan that anybody started; everyone gets a report of what there is. Raises ScanError when it is not under way."""
        await self._ask("cancel", scan_id=scan_id)

    async def start_scan(self, checks: Iterable[str] = (), *, labels: Mapping[str, str] | None = None) -> str:
        """As `scan`, without waiting: the scan's id."""
        reply = await self._ask("scan", checks=arguments.names("checks", checks), labels=arguments.labels("labels", labels))
        return self._begun(reply)

    async def recheck(self, fingerprints: Iterable[str], *, timeout: float | None = None) -> ScanReport:
        """Checks some rows again and returns their report. Needs the role responder or admin; raises as `scan` does."""
        wanted = [arguments.fingerprint(one, self.rows) for one in arguments.names("fingerprints", fingerprints)]
        reply = await self._ask("recheck", fingerprints=wanted)
        return await self.report(self._begun(reply), timeout=timeout)

    async def report(self, scan_id: str, *, timeout: float | None = None) -> ScanReport:
        """The whole report of a scan, when it has ended. Raises ScanError when there is none of that id, TimeoutError."""
        try:
            async with asyncio.timeout(timeout):
                while scan_id not in self._finished and (scan_id in self.running or not self._ready):
                    await self.changed()
        except TimeoutError:
            raise WaitTimeoutError(
                f"scan {scan_id} has not ended within {timeout:g} s{self._how_far(scan_id)}: the host goes on with it, and "
                f"`await ops.report({scan_id!r})` waits on"
            ) from None
        finished = self._finished.get(scan_id)
        if finished is not None and len(finished["results"]) >= finished["total"]:
            return ScanReport.from_wire(finished)
        return ScanReport.from_wire(await self._get(f"/{quote(scan_id, safe='')}"))

    def _how_far(self, scan_id: str) -> str:
        progress = self.running.get(scan_id)
        if progress is None:
            return "" if self._ready else " (the connection is lost)"
        tense = "are done" if self._ready else "were done when the connection was lost"
        return f" ({progress.done} of {progress.total} checks {tense})"

    async def ack(self, fingerprint: str, reason: str, *, until: Until | None = None) -> None:
        """Acknowledges a failing row until it is ok again, or until `until` (an aware time, or `"2h"`; None: no end).

        Raises RefusedError without the role responder or admin, ScanError for a row that is not there, or a time that is past,
        KeywordError for what is no time.
        """
        await self._ask("ack", fingerprint=arguments.fingerprint(fingerprint, self.rows), reason=reason, until=arguments.end(until))

    async def withdraw_ack(self, fingerprint: str) -> None:
        """Ends an ack. Raises as `ack` does."""
        await self._ask("ack", fingerprint=arguments.fingerprint(fingerprint, self.rows), reason=None, until=None)

    async def silence(self, matchers: Mapping[str, str], until: Until, reason: str) -> str:
        """Stops notifications about rows whose labels match, until an aware time, or for `"2h"`. Returns the silence's id.

        Warns (UserWarning) where no row matches: a slip in a label would silence nothing, and not say so.
        Raises RefusedError without the role responder or admin, ScanError for no matchers, KeywordError for what is no time.
        """
        matching = arguments.labels("matchers", matchers)
        reply = await self._ask("silence", matchers=matching, until=arguments.end(until), reason=reason)
        if reply.get("rows") == 0:
            said = ", ".join(f"{key}={value}" for key, value in matching.items())
            warn(f"silence(): no row has {said} now, so nothing is quiet by it yet; lift_silence() with the same matchers takes it back")
        return str(reply.get("silence", ""))

    async def lift_silence(self, matchers: Mapping[str, str]) -> None:
        """Ends the silences that have exactly these matchers. Raises ScanError where there are none, RefusedError without the role."""
        await self._ask("silence", matchers=arguments.labels("matchers", matchers), until=None, reason="lifted")

    def remedy(self, fingerprint: str) -> Remedy:
        """The remedy of a row: `proof = await ops.remedy(fingerprint).run()`. Raises ScanError when there is no such row.

        The terminal is the room that has the sandbox's id as its name, shared with everyone who opens it; it is entered with this token.
        """
        return Remedy(
            self, fingerprint, lambda sandbox: TerminalClient(self.root, sandbox, token=self._token, sandbox=sandbox, timeout=self.timeout)
        )

    async def prove(
        self,
        fingerprint: str,
        *,
        sandbox: str,
        command: str,
        exit_code: int | None,
        duration_s: float = 0.0,
        before: int | None = None,
        timeout: float | None = None,
    ) -> Proof:
        """Tells the room that a command was run for a row; the room looks again at that row alone, keeps the proof and tells everyone.

        `before` is the `seq` of the row when the command began (None: as it is now). Needs the role responder or admin.
        Raises ScanError, RefusedError, TimeoutError after `timeout` seconds (None: waits as long as the look takes).
        """
        reply = await self._ask(
            "remedy",
            fingerprint=fingerprint,
            sandbox=sandbox,
            command=command,
            exit_code=exit_code,
            duration_s=duration_s,
            before=before,
        )
        remedy_id = str(reply["remedy"])
        async with asyncio.timeout(timeout):
            while remedy_id not in self._proofs:
                epoch_ready = self._ready
                await self.changed()
                if self._ready and not epoch_ready:  # back after a loss: it may have been told meanwhile
                    for proof in await self.remedies(hours=24.0):
                        self._proofs[proof.id] = proof
        return self._proofs[remedy_id]

    async def load_config(self, path: Path | str) -> dict[str, Any]:
        """Loads a config file into the host under its absolute path as name, in place of what that name had before.

        Returns `{name, checks, sandboxes, ignored}`; `ignored` are sections that this host does not take from a client. `${env:…}` and
        `${file:…}` are resolved by the host. Raises ConfigError with the line and column of a mistake, RefusedError without the role.
        """
        try:
            place = await asyncio.to_thread(Path(path).absolute)
            content = await asyncio.to_thread(place.read_bytes)
        except FileNotFoundError:
            raise ConfigError("there is no such file: name an existing config", path=str(path)) from None
        except OSError as error:
            raise ConfigError(f"the config cannot be read: {error.strerror}", path=str(path)) from None
        if len(content) > CONFIG_LIMIT:
            raise ConfigError(f"the config has more than {CONFIG_LIMIT} bytes: split it", path=str(path))
        return await self.put_config(str(place), content)

    async def put_config(self, name: str, content: bytes | str) -> dict[str, Any]:
        """As `load_config`, from text."""
        response = await self._http(
            "PUT",
            f"/api/ops/config/{quote(name, safe='')}",
            body=content,
            headers={"Content-Type": "application/yaml"},
            timeout=LOAD_TIMEOUT + len(content) / SLOWEST,
        )
        if not response.ok:
            raise refusal(response, ConfigError, f"the config {name}")
        return cast("dict[str, Any]", response.json()["loaded"])

    async def put_sandbox(self, sandbox_id: str, address: str) -> None:
        """Maps a sandbox id to an address in the host. Raises RefusedError, ConfigError."""
        response = await self._http("PUT", f"/api/sandboxes/{quote(sandbox_id, safe='')}", json={"address": address})
        if not response.ok:
            raise refusal(response, ConfigError, f"the sandbox {sandbox_id}")

    async def publish(self, report: ScanReport) -> None:
        """Sends the room a report that was made here; everyone sees it like the room's own scans. Needs the role runner or admin."""
        await publish_report(report, self.root, token=self._token)

    # Requests

    async def _ask(self, kind: str, **fields: Any) -> dict[str, Any]:
        return cast("dict[str, Any]", await self._request(kind, REPLY_TIMEOUT, fields, patient=True) or {})

    def _put(self, kind: str, fields: dict[str, Any]) -> bool:
        return self.socket.send(json.dumps({"type": kind, "data": fields}))

    def _begun(self, reply: dict[str, Any]) -> str:
        scan_id = str(reply["scan_id"])
        if scan_id not in self._finished:  # the scan-started frame may come behind the reply
            self.running.setdefault(scan_id, Progress(scan_id, "manual", int(reply.get("total", 0))))
        return scan_id

    async def _get(self, path: str, **query: Any) -> Any:
        encoded = encode_query(query)
        place = f"/parties/{PARTY}/{quote(self.room, safe='')}/scans{path}" + (f"?{encoded}" if encoded else "")
        response = await self._http("GET", place, timeout=ANSWER_TIMEOUT, silence=SILENCE)
        if not response.ok:
            raise refusal(response, ScanError, f"scans{path}")
        return await asyncio.to_thread(from_json, response.body)  # may be tens of megabytes

    async def _http(self, method: str, path: str, **options: Any) -> FetchResponse:
        return await fetch_url(method, self.root + path, token=self._token, **options)

    # The socket

    @property
    def _arrived(self) -> bool:
        return self._ready

    def _closed(self, event: CloseEvent) -> None:
        self._ready = False
        self.state = "refused" if refuses(event) else "lost"
        self._requests.fail(HostError(f"ops room {self.room}: the connection was lost ({event}) before the answer came"))
        self._pulse()

    def _received(self, message: str | bytes) -> None:
        frame = json.loads(message)
        kind, content = frame["type"], frame["data"]
        handler = getattr(self, f"_on_{kind.replace('-', '_')}", None)
        if handler is not None:
            handler(content)
        elif kind not in ("state-change", "ack", "skipped"):  # a row's own news: the row itself comes as a check-result
            logger.debug("ops room %s: message type %r is not known", self.room, kind)
        if kind != "reply":
            self._give(kind, content, len(message))
        self._pulse()
        if self.on_message is not None:
            self.on_message(kind, content)

    def _on_snapshot(self, part: dict[str, Any]) -> None:
        if part["part"] == 1:
            self._board.begin()
            self.last_scan, self.checks = part["scan"], int(part["checks"])
            self.role = str(part.get("role") or "")
            self.silences = {silence["id"]: silence for silence in part["silences"]}
            self._told_at_first(part)
            self.running = {scan_id: self.running.get(scan_id) or Progress(scan_id, "", 0) for scan_id in part["running"]}
        self._board.put(part["results"])
        if part["part"] == part["of"]:
            self._ready, self.state = True, "live"

    def _on_scan_started(self, started: dict[str, Any]) -> None:
        self.running[started["scan_id"]] = Progress(started["scan_id"], started["trigger"], started["total"])

    def _on_check_result(self, update: dict[str, Any]) -> None:
        self._board.put(update["results"])
        progress = self.running.get(update["scan_id"])
        if progress is not None:
            progress.done, progress.total = update["done"], update["total"]

    def _on_scan_result(self, report: dict[str, Any]) -> None:
        self._board.put(report["results"])
        self.running.pop(report["scan_id"], None)
        self.last_scan = {key: value for key, value in report.items() if key != "results"}
        self._finished[report["scan_id"]] = report
        while len(self._finished) > 8:
            del self._finished[next(iter(self._finished))]

    def _on_remedy(self, proof: dict[str, Any]) -> None:
        self._proofs[str(proof["id"])] = Proof.from_wire(proof)
        while len(self._proofs) > 20:
            del self._proofs[next(iter(self._proofs))]

    def _on_silence(self, silence: dict[str, Any]) -> None:
        if silence["until"] is None:
            self.silences.pop(silence["id"], None)
        else:
            self.silences[silence["id"]] = silence

    def _on_reply(self, reply: dict[str, Any]) -> None:
        self._requests.replied(reply, ScanError)
