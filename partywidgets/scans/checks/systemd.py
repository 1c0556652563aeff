"""systemd: the state of a unit, as `systemctl show` tells it."""

from __future__ import annotations

from time import perf_counter
from typing import ClassVar, Literal

from pydantic import Field

from ...duration import format_duration
from ...party.database import OUT_OF_FILES
from ..model import ErrorClass, Evidence, Metric, one_line
from ..redaction import LOOKED_AT
from .base import CheckModel, Probe, ProbeContext
from .exec import clean_environment, run_program

_TEXTS = {
    "LoadState": "load_state",
    "ActiveState": "active_state",
    "SubState": "sub_state",
    "UnitFileState": "unit_file_state",
    "Result": "result",
}
_NUMBERS = {"NRestarts": "restarts", "MainPID": "main_pid", "MemoryCurrent": "memory_bytes"}


class SystemdCheck(CheckModel):
    """The unit `unit` (`nginx.service`, `backup.timer`; without a dot a service) of the system's manager, or of the user's with `user`.

    Values: `load_state` (`loaded`, `not-found`, `masked`), `active_state` (`active`, `inactive`, `failed`, `activating`, …),
    `sub_state`, `unit_file_state` (`enabled`, `disabled`, …), `result` (of its last run), `restarts`, `main_pid`, `memory_bytes` (null
    where systemd does not tell), `error`. Without conditions, `active_state == 'active'` must hold. Where no systemd runs the status is
    unknown.
    """

    value_names: ClassVar[frozenset[str] | None] = frozenset({*_TEXTS.values(), *_NUMBERS.values(), "error"})
    unknown_errors: ClassVar[frozenset[ErrorClass]] = frozenset({"internal", "timeout"})

    type: Literal["systemd"] = "systemd"
    unit: str = Field(
        pattern=r"^[A-Za-z0-9:_.\\@][A-Za-z0-9:_.\\@-]{0,254}$", description="the name of a systemd unit", examples=["nginx.service"]
    )
    user: bool = False

    @property
    def target(self) -> str:
        """The unit's full name, and whose it is where it is the user's."""
        name = self.unit if "." in self.unit else f"{self.unit}.service"
        return f"{name} (user)" if self.user else name

    @property
    def implied_conditions(self) -> tuple[str, ...]:
        """It is active, unless the author says what must hold."""
        return self.unless_asked(("active_state == 'active'", ("active_state", "sub_state", "load_state", "result", "main_pid", "error")))

    async def probe(self, context: ProbeContext) -> Probe:
        """Asks once. A systemctl that hangs (its bus does not answer) is ended at the deadline."""
        probe, name = Probe(self.target), self.target.removesuffix(" (user)")
        properties = f"--property={','.join((*_TEXTS, *_NUMBERS))}"
        command = ["systemctl", *(["--user"] if self.user else []), "show", "--no-pager", properties, "--", name]
        started = perf_counter()
        try:
            ended = await run_program(command, {**clean_environment(), "LC_ALL": "C"}, None, context.deadline)
        except OSError as error:
            if error.errno in OUT_OF_FILES:
                raise
            probe.error = ("internal", f"{name}: there is no systemctl here, so no systemd that could be asked")
            return probe
        probe.phases_ms = {"processing": round((perf_counter() - started) * 1000, 3)}
        if ended.timed_out:
            probe.error = ("timeout", f"{name}: systemctl did not answer within {format_duration(self.timeout)}")
            return probe
        if ended.code != 0:
            said = one_line(ended.stderr.decode("utf-8", "replace").strip().partition("\n")[0], LOOKED_AT)
            probe.error = ("internal", f"{name}: systemd cannot be asked: {said or f'systemctl ended with {ended.code}'}")
            return probe
        text = ended.stdout.decode("utf-8", "replace")
        given = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
        if "ActiveState" not in given:
            probe.error = ("parse", f"{name}: systemctl did not say whether it is active")
            return probe
        probe.values = {ours: given.get(theirs, "") for theirs, ours in _TEXTS.items()}
        for theirs, ours in _NUMBERS.items():  # `[not set]`, or 2^64-1 in older versions, where nothing is counted
            number = given.get(theirs, "")
            known = number.isascii() and number.isdigit() and int(number) < 1 << 63
            probe.values[ours] = int(number) if known else None
            if known and ours != "main_pid":
                probe.metrics.append(Metric(ours, float(number), "B" if ours == "memory_bytes" else ""))
        found = probe.values["load_state"]
        probe.summary = f"{name}: {probe.values['active_state']} ({probe.values['sub_state']})"
        if found != "loaded":
            probe.summary = f"{name}: {'there is no such unit' if found == 'not-found' else f'the unit is {found}'}"
        probe.fault = probe.summary
        probe.evidence.append(Evidence("exec-output", "systemctl show", text))
        return probe
