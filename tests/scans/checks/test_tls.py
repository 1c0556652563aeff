"""The tls check against certificates that are good, old, young, for others, or of nobody known."""

from __future__ import annotations

import ssl
from datetime import timedelta

import pytest

from partywidgets.scans.checks.dial import tls_context
from partywidgets.scans.checks.tls import TlsCheck
from tests.ports import kept_port

from .servers import Authority, look, serving, web_server
from .test_tcp import hold, speak


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority that the checks trust."""
    return Authority(tmp_path_factory.mktemp("tls"))


async def test_good(authority: Authority) -> None:
    """A trusted certificate is ok, and everything about it is a value."""
    conditions = [
        "names == ['localhost']",
        "subject == 'localhost'",
        "issuer == 'CN=Test Authority'",
        "!self_signed && verified",
        "chain == 2",
        "protocol == 'TLSv1.3'",
        "chain_expires_in == certificate_expires_in",
        "not_after > now && not_before < now",
    ]
    async with web_server(authority.server_context()) as served:
        result = await look(
            TlsCheck.model_validate(
                {
                    "id": "cert",
                    "host": "127.0.0.1",
                    "port": served.port,
                    "server_name": "localhost",
                    "ca_file": authority.ca_file,
                    "conditions": conditions,
                }
            )
        )
    assert (result.status, [c for c in result.conditions if not c.ok]) == ("ok", [])
    assert result.target == f"127.0.0.1:{served.port} as localhost"
    assert result.phases_ms["tls"] > 0
    assert result.evidence[0].value.startswith("-----BEGIN CERTIFICATE-----")
    assert {metric.name: metric.unit for metric in result.metrics}["certificate_expires_in"] == "s"


async def test_ends_soon(authority: Authority) -> None:
    """A certificate in its last fourteen days is a warning, unless the author says otherwise."""
    async with web_server(authority.server_context(ends=timedelta(days=10))) as served:
        common = {"id": "cert", "host": "127.0.0.1", "port": served.port, "server_name": "localhost", "ca_file": authority.ca_file}
        result = await look(TlsCheck.model_validate(common))
        assert (result.status, result.summary) == ("warn", "certificate_expires_in < duration('14d'): got 9d23h")
        assert (await look(TlsCheck.model_validate({**common, "warn": None}))).status == "ok"
        assert (await look(TlsCheck.model_validate({**common, "crit": "certificate_expires_in < duration('11d')"}))).status == "crit"


@pytest.mark.parametrize(
    ("name", "begins", "ends", "sentence"),
    [
        ("localhost", -30, -2, "the certificate expired 2d ago"),
        ("localhost", 1, 30, "certificate is not yet valid"),
        ("other.example", -30, 30, "Hostname mismatch, certificate is not valid for 'localhost'."),
    ],
)
async def test_refused_certificates(authority: Authority, name: str, begins: int, ends: int, sentence: str) -> None:
    """A certificate that may not be trusted is crit with the reason, and its values are there all the same."""
    async with web_server(authority.server_context(name, begins=timedelta(days=begins), ends=timedelta(days=ends))) as served:
        check = {"id": "cert", "host": "127.0.0.1", "port": served.port, "server_name": "localhost", "ca_file": authority.ca_file}
        result = await look(TlsCheck.model_validate(check))
        assert result.error is not None
        assert (result.status, result.error.kind) == ("crit", "tls")
        assert sentence in result.summary
        assert result.evidence[0].kind == "certificate"
        asked = await look(
            TlsCheck.model_validate({**check, "warn": None, "conditions": ["error == 'tls'", f"names == ['{name}']", "!verified"]})
        )
        assert (asked.status, asked.summary) == ("ok", result.summary), "an expected error is not told as a valid certificate"


async def test_unknown_authority(authority: Authority) -> None:
    """A certificate of an authority that the system does not know is crit."""
    async with web_server(authority.server_context()) as served:
        result = await look(TlsCheck(id="cert", host="127.0.0.1", port=served.port, server_name="localhost"))
    assert result.error is not None
    assert (result.status, result.error.kind) == ("crit", "tls")
    assert "self-signed certificate in certificate chain" in result.summary


async def test_no_tls() -> None:
    """A server that speaks something else is `tls`, one that says nothing `timeout`, a closed port `refused`."""
    async with serving(speak) as port:
        result = await look(TlsCheck(id="cert", host="127.0.0.1", port=port))
        assert result.error is not None
        assert (result.status, result.error.kind) == ("crit", "tls")
    async with serving(hold) as port:
        result = await look(TlsCheck(id="cert", host="127.0.0.1", port=port, timeout=2))
        assert result.error is not None
        assert (result.status, result.error.kind, result.summary[-24:]) == ("crit", "timeout", "it hung in the handshake")
    result = await look(TlsCheck(id="cert", host="127.0.0.1", port=kept_port()))
    assert result.error is not None
    assert (result.status, result.error.kind) == ("crit", "refused")


async def test_a_chain_is_judged_alike_by_every_python(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """Since 3.13 Python is stricter than browsers and refuses authorities such as this one, which has no key usage: the check does not."""
    make = ssl.create_default_context

    def as_of_3_13(purpose: ssl.Purpose = ssl.Purpose.SERVER_AUTH, *, cafile: str | None = None) -> ssl.SSLContext:
        context = make(purpose, cafile=cafile)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    monkeypatch.setattr(ssl, "create_default_context", as_of_3_13)
    async with web_server(authority.server_context()) as served:
        common = {"id": "cert", "host": "127.0.0.1", "port": served.port, "server_name": "localhost", "ca_file": authority.ca_file}
        tls_context.cache_clear()
        try:
            assert (await look(TlsCheck.model_validate(common))).status == "ok"
        finally:
            tls_context.cache_clear()
