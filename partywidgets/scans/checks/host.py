"""host: the machine that the room runs on, as psutil sees it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from ...duration import PositiveSeconds
from ...exceptions import ConfigError
from ...party.database import OUT_OF_FILES
from ..condition import require_names
from ..model import ErrorClass, Evidence, Metric, Status, one_line
from .base import CheckModel, Probe, ProbeContext
from .blocking import look_blocking
from .dial import DialError

_UNITS = {"used_percent": "%", "inodes_used_percent": "%", "swap_used_percent": "%", "iowait_percent": "%", "steal_percent": "%"}
_WHAT = ("disk", "memory", "cpu", "load", "process", "port")

_NAMES: dict[str, str] = {
    "disk": "used_percent free_bytes used_bytes total_bytes inodes_used_percent inodes_free",
    "memory": "used_percent available_bytes total_bytes swap_used_percent swap_total_bytes",
    "cpu": "used_percent iowait_percent steal_percent count",
    "load": "load1 load5 load15 count load1_per_cpu",
    "process": "count rss_bytes oldest_age_s pids",
    "port": "listening addresses",
}


class HostCheck(CheckModel):
    """One thing of this machine: exactly one of `disk` (a path), `memory`, `cpu`, `load`, `process` (a name), `port` (a TCP port
    listened on).

    Values:
    disk: `used_percent` (as df: of what users can have), `free_bytes`, `used_bytes`, `total_bytes`, `inodes_used_percent`, `inodes_free`;
    memory: `used_percent`, `available_bytes`, `total_bytes`, `swap_used_percent`, `swap_total_bytes`;
    cpu: `used_percent`, `iowait_percent`, `steal_percent` over `interval`, `count`; load: `load1`, `load5`, `load15`, `count` (of
    CPUs), `load1_per_cpu`;
    process: `count`, `rss_bytes`, `oldest_age_s`, `pids` (one must exist); port: `listening` (must be true), `addresses`; and `error`.
    """

    libraries: ClassVar[tuple[str, ...]] = ("psutil",)
    unknown_errors: ClassVar[frozenset[ErrorClass]] = frozenset({"internal", "timeout"})

    type: Literal["host"] = "host"
    disk: str | None = Field(default=None, min_length=1)
    memory: bool = False
    cpu: bool = False
    load: bool = False
    process: str | None = Field(default=None, min_length=1)
    port: int | None = Field(default=None, ge=1, le=65535)
    interval: PositiveSeconds = 0.5

    @model_validator(mode="after")
    def _one_thing(self) -> HostCheck:
        asked = [name for name in _WHAT if getattr(self, name)]
        if len(asked) != 1:
            raise ValueError(f"a host check looks at one thing: give one of {', '.join(_WHAT)}, got {', '.join(asked) or 'none'}")
        for expr in self.expressions:
            try:
                require_names(expr, {*_NAMES[asked[0]].split(), "error"}, f"a host check of {asked[0]}")
            except ConfigError as error:
                raise ValueError(str(error)) from None
        if self.cpu and self.interval >= self.timeout:
            raise ValueError("the interval of a cpu check is shorter than its timeout")
        return self

    @property
    def what(self) -> str:
        """Which of the things is looked at."""
        return next(name for name in _WHAT if getattr(self, name))

    @property
    def target(self) -> str:
        """`disk /`, `memory`, `process nginx`, …"""
        asked = getattr(self, self.what)
        return self.what if asked is True else f"{self.what} {asked}"

    @property
    def implied_conditions(self) -> tuple[str, ...]:
        """A process exists, a port is listened on; unless the author says what must hold."""
        if self.what == "process":
            return self.unless_asked(("count > 0", ("count", "pids", "error")))
        return self.unless_asked(("listening", ("listening", "addresses", "error"))) if self.what == "port" else ()

    async def probe(self, context: ProbeContext) -> Probe:
        """One look, in a thread: a disk that hangs holds up that thread alone."""
        probe = Probe(self.target)
        look: Callable[[], dict[str, Any]] = {
            "disk": lambda: _disk(self.disk or "/"),
            "memory": _memory,
            "cpu": lambda: _cpu(self.interval),
            "load": _load,
            "process": lambda: _process(self.process or ""),
            "port": lambda: _port(self.port or 0),
        }[self.what]
        try:
            probe.values = await look_blocking(self, self.target, look, context)
        except DialError as error:
            probe.error = (error.kind, error.message)
        except FileNotFoundError:
            status: Status = "crit"
            probe.status, probe.summary = status, f"{self.target}: there is no such path"
        except (OSError, RuntimeError, NotImplementedError) as error:
            if isinstance(error, OSError) and error.errno in OUT_OF_FILES:
                raise
            probe.error = ("internal", f"{self.target}: {error}")
        else:
            self._describe(probe)
        return probe

    def _describe(self, probe: Probe) -> None:
        values = probe.values
        for name, value in values.items():
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                unit = _UNITS.get(name) or ("B" if name.endswith("_bytes") else "s" if name.endswith("_s") else "")
                probe.metrics.append(Metric(name, float(value), unit))
        match self.what:
            case "disk":
                probe.summary = f"{self.disk}: {values['used_percent']} % used, {_bytes(values['free_bytes'])} free"
            case "memory":
                probe.summary = f"memory: {values['used_percent']} % used, {_bytes(values['available_bytes'])} available"
            case "cpu":
                probe.summary = f"cpu: {values['used_percent']} % used on {values['count']} CPUs"
            case "load":
                probe.summary = f"load: {values['load1']:.2f}, {values['load5']:.2f}, {values['load15']:.2f} on {values['count']} CPUs"
            case "process":
                probe.summary = f"{self.process}: {values['count']} running, {_bytes(values['rss_bytes'])}"
                probe.fault = f"{self.process}: no such process runs"
                if values["pids"]:
                    probe.evidence.append(Evidence("pids", "pids", ", ".join(map(str, values["pids"]))))
            case "port":
                where = ", ".join(values["addresses"])
                probe.fault = f"nobody listens on port {self.port}"
                probe.summary = one_line(f"port {self.port}: listened on at {where}") if where else probe.fault


def _bytes(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(count) < 1024:
            return f"{count:.3g} {unit}" if count < 999.5 else f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.3g} TiB"


def _disk(path: str) -> dict[str, Any]:
    import os

    import psutil

    usage, inodes = psutil.disk_usage(path), os.statvfs(path)
    total = inodes.f_files
    return {
        "used_percent": usage.percent,
        "free_bytes": usage.free,
        "used_bytes": usage.used,
        "total_bytes": usage.total,
        "inodes_used_percent": round(100 * (total - inodes.f_ffree) / total, 1) if total else 0.0,
        "inodes_free": inodes.f_favail,
    }


def _memory() -> dict[str, Any]:
    import psutil

    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    return {
        "used_percent": memory.percent,
        "available_bytes": memory.available,
        "total_bytes": memory.total,
        "swap_used_percent": swap.percent,
        "swap_total_bytes": swap.total,
    }


def _cpu(interval: float) -> dict[str, Any]:
    import psutil

    times = psutil.cpu_times_percent(interval=interval)
    return {
        "used_percent": round(100 - times.idle - getattr(times, "iowait", 0.0), 1),
        "iowait_percent": getattr(times, "iowait", 0.0),
        "steal_percent": getattr(times, "steal", 0.0),
        "count": psutil.cpu_count() or 1,
    }


def _load() -> dict[str, Any]:
    import psutil

    one, five, fifteen = psutil.getloadavg()
    count = psutil.cpu_count() or 1
    return {"load1": one, "load5": five, "load15": fifteen, "count": count, "load1_per_cpu": round(one / count, 3)}


def _process(name: str) -> dict[str, Any]:
    import psutil

    found = []
    for process in psutil.process_iter(["name", "exe", "memory_info", "create_time", "status"]):
        info = process.info
        program = (info["exe"] or "").rsplit("/", 1)[-1]
        # The kernel cuts a name after 15 characters (comm, proc(5)); psutil completes it only from a readable command line.
        named = info["name"] in (name, name[:15]) or program == name
        if named and info["status"] != psutil.STATUS_ZOMBIE:
            found.append((process.pid, info["memory_info"].rss if info["memory_info"] else 0, info["create_time"] or time.time()))
    return {
        "count": len(found),
        "rss_bytes": sum(rss for _, rss, _ in found),
        "oldest_age_s": round(time.time() - min(born for _, _, born in found), 1) if found else 0.0,
        "pids": [pid for pid, _, _ in found][:100],
    }


def _port(port: int) -> dict[str, Any]:
    import psutil

    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied as error:
        raise RuntimeError(f"this system tells its open ports to root only ({error}); use a tcp check") from None
    addresses = sorted({c.laddr.ip for c in connections if c.status == psutil.CONN_LISTEN and c.laddr and c.laddr.port == port})
    return {"listening": bool(addresses), "addresses": addresses}
