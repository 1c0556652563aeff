"""domain: until when a domain is registered, and whether its registry has taken it out of the DNS."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from ...duration import format_duration
from ..condition import compile_condition
from ..model import ERROR_CLASSES, ErrorClass, Evidence, Metric, one_line
from . import rdap
from .asking import Asking
from .base import CheckModel, Condition, PlacedError, Probe, ProbeContext
from .dial import TlsSettings
from .domain_name import ascii_name, registrable
from .http import ALPN, split_url
from .rdap import Registration

LOST = ("clientHold", "serverHold", "redemptionPeriod", "pendingRestore", "pendingDelete")
"""With these a domain is in no zone: nobody finds what is below it (https://www.icann.org/epp)."""
_FOUND = f"!statuses.exists(s, s in [{', '.join(map(repr, LOST))}])"
_EXPIRY = frozenset({"expires_in", "expires_at", "days"})


class DomainCheck(CheckModel):
    """The registration of the domain that `name` is below, as its registry says by RDAP.

    `name` is a host's name: which part of it was registered, the Public Suffix List says. The registry's server is that of IANA's list;
    `server` is another one's base URL, which is asked for `name` as it stands. A registry is asked once an hour at most about a domain;
    while it gives no answer the last one counts, for three days. What cannot be asked says nothing: unknown.
    Values: `expires_in`, `expires_at`, `days` (whole days left; all three null where the registry does not tell), `registered`, `statuses`
    (as whois names them: `clientHold`), `registrar`, `nameservers`, `signed` (DNSSEC), `domain`, `age_s` (of the answer), `duration_ms`,
    `error`. It must be `registered`, and in the DNS (no hold, not to be deleted), unless an expression asks for `statuses` itself.
    """

    libraries: ClassVar[tuple[str, ...]] = ("publicsuffixlist", "idna", "httptools", "cryptography.x509")
    value_names: ClassVar[frozenset[str] | None] = frozenset(
        "expires_in expires_at days registered statuses registrar nameservers signed domain age_s duration_ms error".split()
    )
    unknown_errors: ClassVar[frozenset[ErrorClass]] = frozenset(ERROR_CLASSES)
    together: ClassVar[int | None] = 4

    type: Literal["domain"] = "domain"
    name: str = Field(min_length=1, max_length=253, description="a name", examples=["shop.example"])
    server: str | None = Field(default=None, max_length=2048)
    warn: Condition | None = "expires_in < duration('30d')"
    crit: Condition | None = "expires_in < duration('7d')"

    @field_validator("server")
    @classmethod
    def _server(cls, server: str | None) -> str | None:
        if server is not None:
            parts = split_url(server)
            if parts.query or parts.fragment:
                raise ValueError("the server is the base of an RDAP service, without a query: write for example https://rdap.nic.example/")
        return server

    @model_validator(mode="after")
    def _registrable(self) -> DomainCheck:
        try:
            _ = self.domain
        except ValueError as error:
            raise PlacedError(str(error), ("name",)) from None
        return self

    @property
    def domain(self) -> str:
        """What the registry is asked for."""
        return registrable(self.name) if self.server is None else ascii_name(self.name)

    @property
    def target(self) -> str:
        """The name, and whom it asks."""
        return self.name + (f" @{self.server}" if self.server else "")

    @property
    def implied_conditions(self) -> tuple[str, ...]:
        """It is registered, and in the DNS."""
        return ("registered",) if "statuses" in self._asked else ("registered", _FOUND)

    @property
    def _asked(self) -> set[str]:
        return {name for expr in self.expressions for name in compile_condition(expr).names}

    def tls_settings(self) -> tuple[TlsSettings, ...]:
        return ((True, None, ALPN),)

    async def probe(self, context: ProbeContext) -> Probe:
        """One question to the registry, or the answer to the last one."""
        probe = Probe(self.target)
        found: Registration | None = None
        age, late = 0.0, ""
        async with Asking(probe, context, self.timeout) as asked:
            found, age, late = await rdap.REGISTRIES.look(self.domain, self.server, context, asked.phases)
        if found is not None:
            self._tell(probe, found, age, late, asked.duration_ms)
        return probe

    def _tell(self, probe: Probe, found: Registration, age: float, late: str, duration_ms: float) -> None:
        left = None if found.expires_at is None else found.expires_at - datetime.now(UTC)
        probe.values = {
            "domain": found.domain,
            "registered": found.registered,
            "expires_at": found.expires_at,
            "expires_in": left,
            "days": None if left is None else left.days,
            "statuses": list(found.statuses),
            "registrar": found.registrar,
            "nameservers": list(found.nameservers),
            "signed": found.signed,
            "age_s": round(age),
            "duration_ms": duration_ms,
        }
        if left is not None:
            probe.metrics.append(Metric("expires_in", round(left.total_seconds(), 1), "s"))
        if found.text:
            probe.evidence.append(Evidence("rdap", found.domain, found.text))
        if found.url:
            probe.links.append(found.url)
        lost = [status for status in found.statuses if status in LOST]
        if not found.registered:
            probe.fault = f"{found.domain} is not registered: its registry knows no such domain"
            probe.values |= {"expires_in": timedelta(0), "days": 0}  # whatever the thresholds are
        elif lost:
            probe.fault = f"{found.domain} is not in the DNS: {', '.join(lost)}"
        elif left is None and _EXPIRY & self._asked:
            probe.error = (
                "internal",
                f"the registry of {found.domain} does not tell when it ends: look at the rest with `warn: null, crit: null`",
            )
        ends = "the registry does not tell until when" if found.expires_at is None else _ends(found.expires_at, left.days if left else 0)
        of = f", {one_line(found.registrar, 60)}" if found.registrar else ""
        more = f", {', '.join(found.statuses[:5])}" if found.statuses else ""
        since = f" (as of {format_duration(round(age))} ago; {late})" if late else ""
        probe.summary = f"{found.domain}: {ends}{of}{more}{since}"


def _ends(moment: datetime, days: int) -> str:
    if days < 0:
        return f"ended on {moment:%Y-%m-%d}"
    return f"{days} days left, until {moment:%Y-%m-%d}"
