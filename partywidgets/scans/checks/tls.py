"""TLS: the certificate that a server shows, whether it is trusted, and how long it lasts."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from time import perf_counter
from typing import Any, ClassVar, Literal

from pydantic import Field

from ...duration import format_duration
from ..model import Evidence, Metric
from .base import CheckModel, Condition, Probe, ProbeContext
from .dial import DialError, Family, Phases, TlsSettings, dial, explain, opened, tls_context
from .starttls import StartTls, ask_for_tls
from .tcp import place


@dataclass(slots=True)
class Shown:
    """What a handshake showed: the chain as DER from the leaf on, and what was agreed."""

    chain: list[bytes]
    protocol: str
    cipher: str


class TlsCheck(CheckModel):
    """The certificate of `host`:`port`, asked for as `server_name`; with `starttls` after what that protocol says before TLS.

    A certificate that is not trusted, expired, not yet valid or for another name is crit, and its values are given all the same.
    Values: `certificate_expires_in`, `chain_expires_in` (the soonest of the chain), `names`, `subject`, `issuer`, `serial`,
    `self_signed`, `not_before`, `not_after`, `verified`, `verify_error`, `protocol`, `cipher`, `chain` (how many certificates),
    `duration_ms`, `ip`, `error`.
    """

    libraries: ClassVar[tuple[str, ...]] = ("cryptography.x509",)
    value_names: ClassVar[frozenset[str] | None] = frozenset(
        {
            "certificate_expires_in",
            "chain_expires_in",
            "names",
            "subject",
            "issuer",
            "serial",
            "self_signed",
            "not_before",
            "not_after",
            "verified",
            "verify_error",
            "protocol",
            "cipher",
            "chain",
            "duration_ms",
            "ip",
            "error",
        }
    )

    apart: ClassVar[bool] = True

    type: Literal["tls"] = "tls"
    host: str = Field(min_length=1, max_length=253)
    port: int = Field(default=443, ge=1, le=65535)
    server_name: str | None = None
    ca_file: str | None = None
    starttls: StartTls | None = None
    family: Family = "any"
    warn: Condition | None = "certificate_expires_in < duration('14d')"

    @property
    def target(self) -> str:
        """`host:port`, with the name asked for where it is another."""
        name = place(self.host, self.port)
        return name if self.server_name in (None, self.host) else f"{name} as {self.server_name}"

    def tls_settings(self) -> tuple[TlsSettings, ...]:
        return (True, self.ca_file, ()), (False, self.ca_file, ())

    async def probe(self, context: ProbeContext) -> Probe:
        """One handshake; a second one without verification where the first was refused, to see the certificate."""
        phases, probe = Phases(), Probe(self.target)
        started, ip = perf_counter(), ""
        duration_ms, shown, refusal = 0.0, None, None
        try:
            async with asyncio.timeout_at(context.deadline):
                try:
                    try:
                        shown, ip = await self._handshake(True, phases)
                    finally:
                        duration_ms = round((perf_counter() - started) * 1000, 3)
                        phases.enter("")
                except DialError as error:
                    if error.kind != "tls":
                        raise
                    refusal = error
                    shown, ip = await self._handshake(False, Phases())
        except DialError as error:
            probe.error = (refusal or error).kind, (refusal or error).message
        except TimeoutError:
            hung = "the handshake" if "tls" in phases.ms else "connecting"
            probe.error = ("timeout", f"{self.target}: no certificate within {format_duration(self.timeout)}, it hung in {hung}")
        probe.phases_ms = {name: phases.ms.get(name, 0.0) for name in ("resolve", "connect", "tls")}
        probe.metrics.append(Metric("duration_ms", duration_ms, "ms"))
        if shown is None or not shown.chain:
            return probe
        now = datetime.now(UTC)
        probe.values = {**certificate_values(shown.chain, now), "ip": ip, "duration_ms": duration_ms}
        probe.values |= {"protocol": shown.protocol, "cipher": shown.cipher, "chain": len(shown.chain)}
        probe.values |= {"verified": refusal is None, "verify_error": None if refusal is None else refusal.message}
        left = probe.values["certificate_expires_in"]
        if refusal is not None:
            sentence = refusal.message
            if left.total_seconds() < 0:
                sentence = f"{self.target}: the certificate expired {format_duration(round(-left.total_seconds()))} ago"
            probe.error = ("tls", sentence)
        for name in ("certificate_expires_in", "chain_expires_in"):
            probe.metrics.append(Metric(name, round(probe.values[name].total_seconds(), 1), "s"))
        probe.summary = f"{probe.values['subject']}: valid for another {format_duration(round(left.total_seconds()))}, {shown.protocol}"
        probe.evidence.append(Evidence("certificate", "leaf", ssl.DER_cert_to_PEM_cert(shown.chain[0])))
        return probe

    async def _handshake(self, verify: bool, phases: Phases) -> tuple[Shown, str]:
        context = tls_context(verify, self.ca_file, ())
        sock, ip = await dial(self.host, self.port, phases, self.family)
        name, plain = self.server_name or self.host, self.starttls is not None
        try:
            async with opened(sock, None if plain else context, name, phases) as (reader, writer):
                if self.starttls is not None:
                    phases.enter("processing")
                    await ask_for_tls(self.starttls, reader, writer)
                    phases.enter("tls")
                    await writer.start_tls(context, server_hostname=name)
                tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
                cipher = tls.cipher()
                return Shown(_chain(tls), tls.version() or "", cipher[0] if cipher else ""), ip
        except OSError as error:
            raise explain(error, self.target) from None


def _chain(tls: ssl.SSLObject) -> list[bytes]:
    """Every certificate that the server sent, as DER; where Python does not tell (before 3.13 only a private name does), the leaf."""
    owner: Any = tls if hasattr(tls, "get_unverified_chain") else getattr(tls, "_sslobj", None)
    ask = getattr(owner, "get_unverified_chain", None)
    found = ask() if ask is not None else None
    if found:
        return [item if isinstance(item, bytes) else ssl.PEM_cert_to_DER_cert(item.public_bytes()) for item in found]
    leaf = tls.getpeercert(True)
    return [] if leaf is None else [leaf]


def certificate_values(chain: list[bytes], now: datetime) -> dict[str, Any]:
    """What conditions may ask about a chain of DER certificates, the leaf first."""
    from cryptography import x509

    certificates = [x509.load_der_x509_certificate(der) for der in chain]
    leaf = certificates[0]
    try:
        alternative = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = [*alternative.get_values_for_type(x509.DNSName), *(str(ip) for ip in alternative.get_values_for_type(x509.IPAddress))]
    except x509.ExtensionNotFound:
        names = []
    common = leaf.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return {
        "names": names,
        "subject": str(common[0].value) if common else (names[0] if names else leaf.subject.rfc4514_string()),
        "issuer": leaf.issuer.rfc4514_string(),
        "serial": f"{leaf.serial_number:x}",
        "self_signed": leaf.issuer == leaf.subject,
        "not_before": leaf.not_valid_before_utc,
        "not_after": leaf.not_valid_after_utc,
        "certificate_expires_in": leaf.not_valid_after_utc - now,
        "chain_expires_in": min(certificate.not_valid_after_utc for certificate in certificates) - now,
    }
