"""Runners: kernels that execute `@pw.check` functions which the host schedules. Both ends, neither with a socket in it."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ValidationError

from ..exceptions import ConfigError, ConnectionClosedError, PartyError
from ..redaction import redact
from .check_decorator import registered_checks
from .checks.base import CheckModel
from .execution import Loaded, failed
from .judge import RunContext, run_check
from .model import CheckResult, Failure, function_fingerprint, one_line, uuid7

if TYPE_CHECKING:
    from .service import OpsMonitorService

OFFER = 1000
"""Most functions of one runner."""
GRACE = 2.0
"""Seconds past a function's deadline that its runner has to say so itself."""
OWNER = "runner "
"""Begins the owner of a runner's checks, its subject and name follow."""

_SCHEDULING = ("every", "cron", "timezone", "timeout", "attempts", "recovery_attempts", "retries", "retry_delay", "depends_on", "enabled")
_SHOWING = ("id", "severity", "title", "labels", "identity", "runbook")
_FIELDS = _SCHEDULING + _SHOWING

_log = logging.getLogger("partywidgets.scans.runner")

Deliver = Callable[[str, str, dict[str, Any]], Awaitable[None]]
"""Sends a message (type and data) to the connection of that id. Raises ConnectionClosedError when it is gone."""


class OfferedCheck(CheckModel):
    """A function that lives in a runner: the host knows when to run it and how to show it, not what it does."""

    type: Literal["function"] = "function"
    function: str = ""

    @property
    def target(self) -> str:
        """`module:qualname`, so that a scan in the kernel and a run by the host are about the same thing."""
        return self.function or self.id

    @property
    def fingerprint(self) -> str:
        """By the function's name, wherever it lives."""
        return function_fingerprint(self.id, self.target, {name: self.labels[name] for name in self.identity})

    @property
    def longest(self) -> float:
        """Seconds that the runner may take, its retries included."""
        return (self.timeout + GRACE) * (self.retries + 1) + self.retry_delay * self.retries


@dataclass(slots=True)
class _Runner:
    owner: str
    waiting: dict[str, tuple[str, asyncio.Future[CheckResult]]] = field(default_factory=dict)


class RunnerPool:
    """The runners in the room, by connection id. One runner (a subject's, of one name) counts once: its newest connection takes over."""

    def __init__(self, service: OpsMonitorService) -> None:
        self._service = service
        self._runners: dict[str, _Runner] = {}
        self._newest: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._runners)

    async def offer(self, connection_id: str, subject: str, message: Mapping[str, Any]) -> list[str]:
        """Takes a runner's functions in place of those it offered before, and returns their ids.

        Raises ConfigError with a sentence for the runner: a malformed offer, too many functions, an id that is somebody else's.
        """
        name, checks = message.get("runner"), message.get("checks")
        if not isinstance(name, str) or not name or not isinstance(checks, list):
            raise ConfigError('an offer is {"runner": name, "checks": [{"id": …}, …]}')
        if len(checks) > OFFER:
            raise ConfigError(f"a runner offers at most {OFFER} checks, got {len(checks)}")
        owner = f"{OWNER}{one_line(subject, 100)}/{one_line(name, 100)}"
        runner = self._runners.get(connection_id)
        if runner is not None and runner.owner != owner:
            raise ConfigError("a runner keeps its name for as long as it is connected")
        offered = [self._read(check) for check in checks]
        swap = self._service.registry.replace(owner, [self._loaded(check, owner) for check in offered])
        if runner is None:
            self._runners[connection_id] = _Runner(owner)
        self._newest[owner] = connection_id
        await self._service.settle(owner, swap, subject)
        return [check.id for check in offered]

    def result(self, connection_id: str, message: Mapping[str, Any]) -> None:
        """Takes the result of a run; one that comes after its time is dropped. Raises ConfigError for a malformed one."""
        runner = self._runners.get(connection_id)
        run_id, wire = message.get("run_id"), message.get("result")
        if runner is None or not isinstance(run_id, str) or run_id not in runner.waiting:
            _log.info("a result for a run that is over was dropped")
            return
        check_id, future = runner.waiting[run_id]
        try:
            if not isinstance(wire, Mapping):
                raise ValueError("`result` is missing")
            result = CheckResult.from_wire({**wire, "check_id": check_id, "check_type": "function", "fingerprint": "", "scan_id": ""})
        except ValueError as error:
            if not future.done():
                future.set_exception(ConfigError(f"the runner's result cannot be read: {error}"))
            raise ConfigError(f"the result of {check_id} cannot be read: {error}") from None
        if not future.done():
            future.set_result(result)

    async def leave(self, connection_id: str) -> None:
        """A connection closed. When it was its runner's newest, the runner's checks turn unknown and are scheduled no more."""
        runner = self._runners.pop(connection_id, None)
        if runner is None:
            return
        sentence = f"{runner.owner} has left: run its notebook again"
        for _, future in runner.waiting.values():
            if not future.done():
                future.set_exception(ConnectionClosedError(sentence))
        if self._newest.get(runner.owner) != connection_id:
            return
        del self._newest[runner.owner]
        swap = self._service.registry.replace(runner.owner, [])
        for loaded in swap.removed:
            self._service.scheduler.drop(loaded.id)
        if self._service.started:  # else the host ends, and the next start does it
            await self._service.scans.mark_unknown(swap.removed, sentence)

    def _read(self, offered: Any) -> OfferedCheck:
        if not isinstance(offered, Mapping):
            raise ConfigError("each check of an offer is an object with an `id`")
        given = {name: offered[name] for name in _FIELDS if offered.get(name) is not None}
        if isinstance(offered.get("target"), str):
            given["function"] = one_line(offered["target"], 500)
        try:
            return OfferedCheck.model_validate(given)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise ConfigError(f"the offered check {one_line(str(offered.get('id')), 80)!r}: {where}: {first['msg']}") from None

    def _loaded(self, check: OfferedCheck, owner: str) -> Loaded:
        async def look() -> CheckResult:
            return await self._run(check, loaded)

        loaded = Loaded(check, owner, look, check.longest + 1.0)
        return loaded

    async def _run(self, check: OfferedCheck, loaded: Loaded) -> CheckResult:
        connection_id = self._newest.get(loaded.owner)
        runner = None if connection_id is None else self._runners.get(connection_id)
        deliver = self._service.deliver
        if runner is None or connection_id is None or deliver is None:
            return failed(loaded, "internal", f"{loaded.owner} is not connected: run its notebook again")
        run_id, future = uuid7(), asyncio.get_running_loop().create_future()
        runner.waiting[run_id] = loaded.id, future
        try:
            async with asyncio.timeout(check.longest):
                await deliver(connection_id, "run", {"run_id": run_id, "check_id": loaded.id, "deadline_s": check.timeout})
                result: CheckResult = await future
        except TimeoutError:
            return failed(loaded, "timeout", f"{loaded.owner} did not answer within {check.longest:g} s: is its kernel busy?")
        except PartyError as error:
            return failed(loaded, "internal", str(error))
        finally:
            runner.waiting.pop(run_id, None)
        result.target, result.fingerprint = check.target, check.fingerprint
        return result


class RunnerClient:
    """The kernel's end: says what it offers, and runs what it is told to. The socket is whoever's calls it.

    `name` tells this kernel from the subject's others. `modules`: only functions of these, None: all that `@check` has registered.
    """

    def __init__(self, name: str, *, modules: Sequence[str] | None = None) -> None:
        self.name = name
        self.complaint: str | None = None
        """Why the host refused the last offer, None when it did not."""
        self._modules = modules

    def offer_message(self) -> str:
        """The `offer` of every registered function: to be sent on each connect, and after each new `@check`."""
        checks = [_offered(entry.check) for entry in registered_checks(self._modules)]
        return json.dumps({"type": "offer", "data": {"id": "offer", "runner": self.name, "checks": checks}})

    async def handle(self, message: str | bytes) -> str | None:
        """Takes one message of the room; returns what to send back, if anything.

        A `run` takes as long as its check: call this in a task of its own for each message. Never raises for what the host sent.
        """
        try:
            value = json.loads(message)
            kind, data = value["type"], value["data"]
            if kind == "reply" and data.get("id") == "offer":
                self.complaint = None if data.get("ok") else one_line(str(data.get("error")), 500)
                if self.complaint is not None:
                    _log.info("the host refused the checks of this kernel: %s", self.complaint)  # offers.py tells people, in their cell
            if kind != "run":
                return None
            run_id, check_id = str(data["run_id"]), str(data["check_id"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            _log.warning("a message to this runner could not be read: %r", error)
            return None
        result = await self._run(check_id)
        return json.dumps({"type": "result", "data": {"run_id": run_id, "check_id": check_id, "result": result.to_wire()}})

    async def _run(self, check_id: str) -> CheckResult:
        entry = next((entry for entry in registered_checks(self._modules) if entry.check.id == check_id), None)
        if entry is None:
            reason = f"no function {check_id} is loaded in this kernel any more: run its cell again"
            return CheckResult(check_id, "function", check_id, "unknown", summary=reason, error=Failure("internal", reason))
        # While the texts are whole: the host, which knows more secrets, sees them cut to their bounds.
        await asyncio.to_thread(redact, "")  # its patterns take a moment to load, the first time
        return await run_check(entry.check, RunContext(redact=redact))


def _offered(check: CheckModel) -> dict[str, Any]:
    given = check.model_dump(mode="json", include=set(_FIELDS))
    return {**given, "target": check.target, "warn": check.warn, "crit": check.crit}
