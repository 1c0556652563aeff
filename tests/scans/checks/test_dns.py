"""The dns check against a server that answers, refuses, lies and is silent."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from partywidgets.scans.checks.dns import DnsCheck, split_server
from tests.ports import kept_port

from .servers import dns_server, look


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_records(transport: str) -> None:
    """An answer gives its code, its records in order and their lifetime; a datagram that is not the answer is passed over."""
    conditions = ["rcode == 'NOERROR'", "records == ['192.0.2.1', '192.0.2.2']", "ttl == 300", "count == 2", "authoritative"]
    async with dns_server() as resolver:
        result = await look(
            DnsCheck.model_validate(
                {"id": "z", "name": "shop.example", "resolver": resolver, "transport": transport, "conditions": conditions}
            )
        )
    assert (result.status, result.target) == ("ok", f"shop.example A @{resolver}")
    assert result.summary.startswith("NOERROR, 192.0.2.1, 192.0.2.2 in ")
    assert "shop.example. 300 IN A 192.0.2.2" in result.evidence[0].value


async def test_alias() -> None:
    """The records behind an alias are found, the alias is a value of its own."""
    async with dns_server() as resolver:
        check = DnsCheck(
            id="z", name="alias.example", resolver=resolver, conditions=("records == ['192.0.2.7']", "cnames == ['shop.example.']")
        )
        assert (await look(check)).status == "ok"


@pytest.mark.parametrize(
    ("name", "status", "summary"),
    [
        ("missing.example", "crit", "rcode == 'NOERROR': got NXDOMAIN"),
        ("failing.example", "crit", "rcode == 'NOERROR': got SERVFAIL"),
        ("empty.example", "ok", "NOERROR, no A record in "),
        ("large.example", "ok", "NOERROR, 192.0.2.1, 192.0.2.2 in "),
    ],
)
async def test_codes(name: str, status: str, summary: str) -> None:
    """Without conditions NOERROR must come; what does not fit into UDP is fetched by TCP."""
    async with dns_server() as resolver:
        result = await look(DnsCheck(id="z", name=name, resolver=resolver))
    assert (result.status, result.summary[: len(summary)]) == (status, summary)


async def test_wanted_absence() -> None:
    """A check may want NXDOMAIN."""
    async with dns_server() as resolver:
        assert (await look(DnsCheck(id="z", name="missing.example", resolver=resolver, conditions=("rcode == 'NXDOMAIN'",)))).status == "ok"


async def test_no_answer() -> None:
    """Silence is `timeout`, a closed port `refused`, an answer that cannot be read `parse`."""
    async with dns_server() as resolver:
        result = await look(DnsCheck(id="z", name="silent.example", resolver=resolver, timeout=0.3))
        assert result.error is not None
        assert (result.status, result.error.kind) == ("crit", "timeout")
        result = await look(DnsCheck(id="z", name="broken.example", resolver=resolver))
        assert result.error is not None
        assert (result.status, result.error.kind) == ("crit", "parse")
    result = await look(DnsCheck(id="z", name="shop.example", resolver=f"127.0.0.1:{kept_port()}"))
    assert result.error is not None
    assert (result.status, result.error.kind) == ("crit", "refused")
    asked = await look(DnsCheck(id="z", name="shop.example", resolver=f"127.0.0.1:{kept_port()}", conditions=("error == 'refused'",)))
    assert (asked.status, "refused" in asked.summary) == ("ok", True), asked.summary


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("1.1.1.1", ("1.1.1.1", 53)),
        ("127.0.0.1:5353", ("127.0.0.1", 5353)),
        ("::1", ("::1", 53)),
        ("[::1]:54", ("::1", 54)),
        ("ns1.example:53", ("ns1.example", 53)),
    ],
)
def test_servers(text: str, server: tuple[str, int]) -> None:
    """A server is an address or a name, with a port or without."""
    assert split_server(text) == server


@pytest.mark.parametrize(
    "given",
    [{"resolver": "x:y"}, {"resolver": "[::1"}, {"resolver": "x:0"}, {"record": "AB"}, {"name": ""}, {"conditions": ["status == 1"]}],
)
def test_faults_of_the_author(given: dict[str, object]) -> None:
    """What the author got wrong is refused when the config is read."""
    with pytest.raises(ValidationError):
        DnsCheck.model_validate({"id": "z", "name": "shop.example", **given})
