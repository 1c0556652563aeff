"""TCP: a connection, and what is said on it."""

from __future__ import annotations

import asyncio
import json
from time import perf_counter
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from ...duration import format_duration
from ..condition import compile_condition
from ..model import Evidence, Metric, one_line
from ..redaction import LOOKED_AT
from .base import CheckModel, Probe, ProbeContext
from .dial import DialError, Family, Phases, TlsSettings, dial, explain, opened, tls_context
from .starttls import StartTls, ask_for_tls

BANNER_BYTES = 64 * 1024
"""How much is read while waiting for `expect`."""


def place(host: str, port: int) -> str:
    """`host:port`, with the brackets that an IPv6 address needs."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class TcpCheck(CheckModel):
    """A connection to `host`:`port`.

    `send` is written after connecting. What comes back is read until it contains `expect`, or else to the end of the first line; without
    `send`, `expect` and an expression that asks for `banner`, nothing is read. `tls` speaks TLS first, `starttls` after what
    that protocol says before TLS.
    Values: `connected`, `banner`, `duration_ms`, `ip`, `error`.
    """

    value_names: ClassVar[frozenset[str] | None] = frozenset({"connected", "banner", "duration_ms", "ip", "error"})

    apart: ClassVar[bool] = True

    type: Literal["tcp"] = "tcp"
    host: str = Field(min_length=1, max_length=253)
    port: int = Field(ge=1, le=65535)
    send: str | None = Field(default=None, max_length=BANNER_BYTES)
    expect: str | None = Field(default=None, min_length=1, max_length=1000)
    tls: bool = False
    starttls: StartTls | None = None
    verify: bool = True
    ca_file: str | None = None
    server_name: str | None = None
    family: Family = "any"

    @model_validator(mode="after")
    def _one_tls(self) -> TcpCheck:
        if self.tls and self.starttls is not None:
            raise ValueError("tls speaks TLS from the first byte, starttls after a word in plain: give one of them")
        return self

    @property
    def target(self) -> str:
        """`host:port`."""
        return place(self.host, self.port)

    @property
    def implied_conditions(self) -> tuple[str, ...]:
        """The banner contains `expect`."""
        return () if self.expect is None else (f"banner.contains({json.dumps(self.expect, ensure_ascii=False)})",)

    @property
    def reads(self) -> bool:
        """Whether anything is read from the connection."""
        return (
            self.send is not None or self.expect is not None or any("banner" in compile_condition(expr).names for expr in self.expressions)
        )

    def tls_settings(self) -> tuple[TlsSettings, ...]:
        return ((self.verify, self.ca_file, ()),) if self.tls or self.starttls else ()

    async def probe(self, context: ProbeContext) -> Probe:
        """One connection."""
        phases, probe, banner = Phases(), Probe(self.target), b""
        started = perf_counter()
        try:
            async with asyncio.timeout_at(context.deadline):
                tls = tls_context(self.verify, self.ca_file, ()) if self.tls or self.starttls else None
                sock, ip = await dial(self.host, self.port, phases, self.family)
                probe.values = {"connected": True, "ip": ip, "banner": ""}
                name = self.server_name or self.host
                async with opened(sock, tls if self.tls else None, name, phases) as (reader, writer):
                    phases.enter("processing")
                    if self.starttls is not None and tls is not None:
                        await ask_for_tls(self.starttls, reader, writer)
                        phases.enter("tls")
                        await writer.start_tls(tls, server_hostname=name)
                        phases.enter("processing")
                    if self.send is not None:
                        writer.write(context.resolve(self.send).encode())
                    wanted = None if self.expect is None else self.expect.encode()
                    while self.reads and len(banner) < BANNER_BYTES:
                        chunk = await reader.read(BANNER_BYTES - len(banner))
                        banner += chunk
                        if not chunk or (wanted in banner if wanted is not None else b"\n" in banner):
                            break
        except DialError as error:
            probe.error = (error.kind, error.message)
        except TimeoutError:
            if not (phases.current == "processing" and banner):  # a server that said something else is judged by what it said
                waited = "waiting for an answer" if phases.current == "processing" else f"in {phases.current}"
                probe.error = ("timeout", f"{self.target}: nothing within {format_duration(self.timeout)} {waited}")
        except OSError as error:
            failure = explain(error, self.target)
            probe.error = (failure.kind, failure.message)
        phases.enter("")
        duration_ms = round((perf_counter() - started) * 1000, 3)
        text = banner.decode("utf-8", "replace")
        probe.phases_ms = {name: phases.ms.get(name, 0.0) for name in ("resolve", "connect", "tls", "processing")}
        probe.metrics.append(Metric("duration_ms", duration_ms, "ms"))
        probe.values |= {"connected": bool(probe.values), "banner": text, "duration_ms": duration_ms}
        if text:
            probe.evidence.append(Evidence("tcp-banner", "banner", text))
        probe.summary = f"connected in {duration_ms:.4g} ms" + (f": {one_line(text, LOOKED_AT)}" if text else "")
        return probe
