"""The domain check against a registry of its own on loopback, which answers as RFC 9083 and RFC 9224 say, or does not."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from partywidgets.scans import registrations
from partywidgets.scans.checks import rdap
from partywidgets.scans.checks.domain import DomainCheck
from partywidgets.scans.checks.domain_name import registrable
from partywidgets.scans.execution import Slots
from partywidgets.scans.history import FILE
from partywidgets.scans.service import OpsMonitorService
from partywidgets.scans.settings import LimitSettings

from .servers import answer, look, serving


def registration(name: str, days: float | None = 200.5, statuses: tuple[str, ...] = ("active",)) -> dict[str, Any]:
    """A registry's answer about a domain that ends in so many days, as Verisign's server writes it."""
    events = [{"eventAction": "registration", "eventDate": "1997-09-15T04:00:00Z"}]
    if days is not None:
        ends = datetime.now(UTC) + timedelta(days=days)
        events.append({"eventAction": "expiration", "eventDate": ends.strftime("%Y-%m-%dT%H:%M:%SZ")})
    card = ["vcard", [["version", {}, "text", "4.0"], ["fn", {}, "text", "Example Registrar, Inc."]]]
    person = ["vcard", [["version", {}, "text", "4.0"], ["fn", {}, "text", "Ada Lovelace"]]]
    return {
        "objectClassName": "domain",
        "handle": "2138514_DOMAIN_COM-VRSN",
        "ldhName": name.upper(),
        "status": list(statuses),
        "events": events,
        "entities": [
            {"objectClassName": "entity", "handle": "1", "roles": ["registrant"], "vcardArray": person},
            {"objectClassName": "entity", "handle": "292", "roles": ["registrar"], "vcardArray": card},
        ],
        "nameservers": [{"objectClassName": "nameserver", "ldhName": "NS2.SHOP.EXAMPLE"}, {"ldhName": "ns1.shop.example"}],
        "secureDNS": {"delegationSigned": False},
        "rdapConformance": ["rdap_level_0"],
    }


@dataclass
class Registry:
    """A registry: what it answers to which path, and what it was asked."""

    url: str = ""
    answers: dict[str, bytes | None] = field(default_factory=dict)
    """By path; None: it hangs."""
    asked: list[str] = field(default_factory=list)

    def says(self, path: str, body: Any, status: str = "200 OK", **headers: str) -> None:
        """Answers a path with JSON."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.answers[path] = answer(status, raw, **{"content_type": "application/rdap+json", **headers})


@contextlib.asynccontextmanager
async def registry() -> AsyncIterator[Registry]:
    """One that serves."""
    one = Registry()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        assert "accept: application/rdap+json" in head.lower()
        path = head.split(" ")[1]
        one.asked.append(path)
        reply = one.answers.get(path, answer("404 Not Found"))
        if reply is None:
            await asyncio.Event().wait()
            return
        writer.write(reply)
        await writer.drain()

    async with serving(handle) as port:
        one.url = f"http://127.0.0.1:{port}"
        yield one


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> rdap.Registries:
    """A process that has asked nobody yet, and need not be polite to a registry of ours."""
    monkeypatch.setattr(rdap, "PACE", 0.0)
    fresh = rdap.Registries()
    monkeypatch.setattr("partywidgets.scans.checks.rdap.REGISTRIES", fresh)
    return fresh


def later(known: rdap.Registries, seconds: float) -> None:
    """Lets time pass for what is known."""
    for key, (at, found) in list(known._answers.items()):
        known._answers[key] = at - seconds, found
    for host in known._not_before:
        known._not_before[host] -= seconds


@pytest.mark.parametrize(
    ("days", "statuses", "status", "words"),
    [
        (200.5, ("active",), "ok", "shop.example: 200 days left, until"),
        (20.5, ("client transfer prohibited",), "warn", "expires_in < duration('30d'): got 20d"),
        (3.5, ("active",), "crit", "expires_in < duration('7d'): got 3d"),
        (-2, ("auto renew period",), "crit", "expires_in < duration('7d'): got -"),
        (200, ("client hold", "active"), "crit", "shop.example is not in the DNS: clientHold"),
        (200, ("redemption period", "pending delete"), "crit", "shop.example is not in the DNS: redemptionPeriod, pendingDelete"),
    ],
)
async def test_what_a_registry_says(days: float, statuses: tuple[str, ...], status: str, words: str) -> None:
    """The end is judged, and so is a status that takes a domain out of the DNS, whenever it ends."""
    async with registry() as one:
        one.says("/domain/shop.example", registration("shop.example", days, statuses))
        result = await look(DomainCheck(id="x", name="shop.example", server=one.url))
    assert result.status == status
    assert result.summary.startswith(words)


async def test_what_expressions_may_ask() -> None:
    """Registrar, name servers and statuses in whois' spelling are values; the people of the answer are in no evidence."""
    asks = (
        "days == 200",
        "registrar == 'Example Registrar, Inc.'",
        "nameservers == ['ns1.shop.example', 'ns2.shop.example']",
        "'clientTransferProhibited' in statuses",
        "'ok' in statuses",
        "signed == false",
        "expires_at > now",
        "domain == 'shop.example'",
    )
    async with registry() as one:
        one.says("/domain/shop.example", registration("shop.example", statuses=("client transfer prohibited", "active")))
        result = await look(DomainCheck(id="x", name="shop.example", server=f"{one.url}/", conditions=asks))
    assert (result.status, [c.expr for c in result.conditions if not c.ok]) == ("ok", [])
    assert "Example Registrar" in result.evidence[0].value
    assert "Ada" not in json.dumps(result.to_wire())
    assert {metric.name for metric in result.metrics} == {"duration_ms", "expires_in"}


async def test_the_registry_is_found_by_ianas_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host's name becomes its registered domain, the longest match of the list says whom to ask, and the list is fetched once."""
    async with registry() as iana, registry() as uk:
        services = [[["net", "com"], ["https://nobody.invalid/"]], [["uk"], [f"{uk.url}/rdap/"]]]
        iana.says("/rdap/dns.json", {"version": "1.0", "services": services})
        monkeypatch.setattr(rdap, "BOOTSTRAP", f"{iana.url}/rdap/dns.json")
        for name in ("shop.co.uk", "other.co.uk"):
            uk.says(f"/rdap/domain/{name}", registration(name))
        assert (await look(DomainCheck(id="x", name="www.shop.co.uk."))).status == "ok"
        assert (await look(DomainCheck(id="y", name="OTHER.co.uk"))).status == "ok"
        unlisted = await look(DomainCheck(id="z", name="shop.museum"))
    assert iana.asked == ["/rdap/dns.json"]
    assert uk.asked == ["/rdap/domain/shop.co.uk", "/rdap/domain/other.co.uk"]
    assert unlisted.status == "unknown"
    assert unlisted.summary == "IANA lists no RDAP server for .museum: give the check its registry's as `server`, if it has one"


async def test_without_ianas_list_it_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not a list is said, with the remedy."""
    async with registry() as iana:
        iana.says("/", [], content_type="text/html")
        monkeypatch.setattr(rdap, "BOOTSTRAP", f"{iana.url}/")
        result = await look(DomainCheck(id="x", name="shop.example"))
    assert result.status == "unknown"
    assert result.summary.startswith("IANA's list of registries cannot be had, give the check its registry's `server`")


async def test_a_domain_that_nobody_has() -> None:
    """A registry's 404 is that: crit. An HTML page where the author named the server is none of an RDAP service."""
    async with registry() as one:
        gone = await look(DomainCheck(id="x", name="gone.example", server=one.url))
        one.says("/domain/typo.example", b"<h1>Not found</h1>", "404 Not Found", content_type="text/html")
        wrong = await look(DomainCheck(id="y", name="typo.example", server=one.url))
    assert (gone.status, gone.summary) == ("crit", "gone.example is not registered: its registry knows no such domain")
    assert wrong.status == "unknown"
    assert wrong.summary.endswith("answers HTTP 404: is `server` the base of its RDAP service?")


async def test_a_redirect_leads_to_the_answer() -> None:
    """As rdap.org answers: 302 to the registry."""
    async with registry() as one:
        one.answers["/domain/shop.example"] = answer("302 Found", location=f"{one.url}/registry/shop.example")
        one.says("/registry/shop.example", registration("shop.example"))
        assert (await look(DomainCheck(id="x", name="shop.example", server=one.url))).status == "ok"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html>", "this is not an answer of an RDAP service (RFC 9083)"),
        (b"[" * 100_000, "this is not an answer of an RDAP service (RFC 9083)"),
        (
            {"objectClassName": "domain", "events": [{"eventAction": "expiration", "eventDate": "soon"}]},
            "this is not an answer of an RDAP service",
        ),
        ({"objectClassName": "entity"}, "the answer is about a entity, not about a domain"),
        (registration("other.example"), "the answer is about other.example, not about shop.example"),
        (b"x" * 2_000_000, "the answer is longer than 1 MiB"),
    ],
    ids=["html", "nested", "no date", "entity", "another", "long"],
)
async def test_garbage_says_nothing_of_the_domain(body: Any, words: str) -> None:
    """What cannot be read is unknown, in a sentence."""
    async with registry() as one:
        one.says("/domain/shop.example", body)
        result = await look(DomainCheck(id="x", name="shop.example", server=one.url))
    assert result.status == "unknown"
    assert words in result.summary


async def test_a_registry_that_hangs() -> None:
    """Unknown at the timeout, with where it hung; crit for who asks for `error`."""
    async with registry() as one:
        one.answers["/domain/shop.example"] = None
        result = await look(DomainCheck(id="x", name="shop.example", server=one.url, timeout=0.3))
        asked = await look(DomainCheck(id="x", name="shop.example", server=one.url, timeout=0.3, conditions=("error == null",)))
    assert (result.status, result.summary) == ("unknown", "no answer within 300ms: it hung in processing")
    assert asked.status == "crit"


async def test_a_registry_is_asked_once_an_hour(known: rdap.Registries) -> None:
    """Looks within the hour go by the answer at hand; after it the registry is asked again."""
    check = DomainCheck(id="x", name="shop.example", server="http://replaced.invalid")
    async with registry() as one:
        check = check.model_copy(update={"server": one.url})
        one.says("/domain/shop.example", registration("shop.example"))
        for _ in range(3):
            assert (await look(check)).status == "ok"
        assert len(one.asked) == 1
        later(known, rdap.ASK_EVERY + 1)
        one.says("/domain/shop.example", registration("shop.example", 3))
        assert (await look(check)).status == "crit"
    assert len(one.asked) == 2


@pytest.mark.parametrize("form", ["seconds", "date", "none"])
async def test_a_registry_that_has_enough_is_left_alone(known: rdap.Registries, form: str) -> None:
    """429: it is not asked before the time that it gives; a domain that is known is judged by the last answer, for three days."""
    now = datetime.now(UTC)
    headers = {
        "seconds": {"retry_after": "7200"},
        "date": {"retry_after": format_datetime(now + timedelta(hours=2), usegmt=True)},
        "none": {},
    }
    async with registry() as one:
        check = DomainCheck(id="x", name="shop.example", server=one.url)
        one.says("/domain/shop.example", registration("shop.example"))
        await look(check)
        later(known, rdap.ASK_EVERY + 1)
        for path in ("/domain/shop.example", "/domain/other.example"):
            one.says(path, {"errorCode": 429}, "429 Too Many Requests", **headers[form])
        kept = await look(check)
        assert kept.status == "ok"
        assert "(as of 1h ago; 127.0.0.1" in kept.summary
        other = await look(check.model_copy(update={"name": "other.example"}))
        assert other.status == "unknown"
        assert "refuses more questions for now (HTTP 429), and is asked again in" in other.summary
        assert len(one.asked) == 2, "a domain that was not asked for yet waits too"
        later(known, 7300)
        one.says("/domain/other.example", registration("other.example"))
        assert (await look(check.model_copy(update={"name": "other.example"}))).status == "ok"
        later(known, rdap.KEPT)
        assert (await look(check)).status == "unknown"


async def test_a_server_is_asked_at_a_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose turn does not come in its time says so, and asks nobody."""
    monkeypatch.setattr(rdap, "PACE", 60.0)
    async with registry() as one:
        for name in ("a.example", "b.example"):
            one.says(f"/domain/{name}", registration(name))
        assert (await look(DomainCheck(id="a", name="a.example", server=one.url))).status == "ok"
        second = await look(DomainCheck(id="b", name="b.example", server=one.url))
    assert (second.status, one.asked) == ("unknown", ["/domain/a.example"])
    assert "the turn of this check did not come in its time" in second.summary


async def test_a_registry_that_does_not_tell_the_end() -> None:
    """Unknown with the remedy, not well for ever; who asks for the rest alone has it."""
    async with registry() as one:
        one.says("/domain/shop.example", registration("shop.example", None))
        silent = await look(DomainCheck(id="x", name="shop.example", server=one.url))
        rest = await look(DomainCheck(id="y", name="shop.example", server=one.url, warn=None, crit=None))
    assert silent.status == "unknown"
    assert "does not tell when it ends" in silent.summary
    assert (rest.status, rest.summary.startswith("shop.example: the registry does not tell until when")) == ("ok", True)


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        ("shop.example", "shop.example"),
        ("a.b.Shop.co.uk", "shop.co.uk"),
        ("ada.github.io", "github.io"),
        ("www.straße.de", "xn--strae-oqa.de"),
        ("host.internal-zone", "host.internal-zone"),
    ],
)
def test_the_registered_domain(name: str, domain: str) -> None:
    """By the list's section of registries, in the DNS' spelling."""
    assert registrable(name) == domain


@pytest.mark.parametrize("name", ["co.uk", "localhost", "192.0.2.1", "https://shop.example/", "a..b", "::1"])
def test_what_nobody_registered_is_refused(name: str) -> None:
    """With the config, not at the first look."""
    with pytest.raises(ValidationError, match="for example shop"):
        DomainCheck(id="x", name=name)


async def test_few_are_asked_at_once() -> None:
    """Four of the type, unless the config says otherwise, so that a registry that hangs holds no scan's places."""
    for limits, most in ((LimitSettings(), 4), (LimitSettings(per_type={"domain": 2, "exec": 1}), 2)):
        slots = Slots(limits)
        for number in range(most):
            await slots.take(f"{number}.example", "domain")
        waiting = asyncio.ensure_future(slots.take("another.example", "domain"))
        await slots.take("another.example", "http")  # a free place is taken without waiting, also behind one who waits
        await asyncio.sleep(0)
        assert not waiting.done()
        slots.give_back("0.example", "domain")
        await waiting


async def test_a_restart_asks_no_registry_again(known: rdap.Registries, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What was said within the hour counts, whatever the registry would say now; what is older is asked for, and counts while it is turned
    away; what cannot be read is asked for."""
    async with registry() as one:
        checks = [DomainCheck(id=name, name=f"{name}.example", server=one.url) for name in ("shop", "wiki", "torn")]
        for check in checks:
            one.says(f"/domain/{check.name}", registration(check.name))
        async with OpsMonitorService(directory=tmp_path) as service:
            await service.load_config("a.yaml", checks)
            before = await service.run_scan()
        assert len(one.asked) == 3
        for check in checks[:2]:
            one.says(f"/domain/{check.name}", b"", "429 Too Many Requests")
        with contextlib.closing(sqlite3.connect(tmp_path / FILE)) as database:
            database.execute("UPDATE registrations SET at = at - ? WHERE domain = 'wiki.example'", (rdap.ASK_EVERY + 60,))
            database.execute("UPDATE registrations SET body = '{}' WHERE domain = 'torn.example'")
            database.commit()
        monkeypatch.setattr("partywidgets.scans.checks.rdap.REGISTRIES", rdap.Registries())
        async with OpsMonitorService(directory=tmp_path) as service:
            await service.load_config("a.yaml", checks)
            after = await service.run_scan()
    rows = {row.check_id: row for row in after.results}
    assert {row.status for row in (*before.results, *after.results)} == {"ok"}
    assert sorted(one.asked[3:]) == ["/domain/torn.example", "/domain/wiki.example"]
    assert rows["shop"].summary == next(row.summary for row in before.results if row.check_id == "shop")
    assert "(as of 1h1m" in rows["wiki"].summary


async def test_a_killed_host_has_kept_what_registries_said(known: rdap.Registries, tmp_path: Path) -> None:
    """It is written while the host runs, and not only when it ends."""
    async with registry() as one, OpsMonitorService(directory=tmp_path) as service, asyncio.timeout(20):
        one.says("/domain/shop.example", registration("shop.example"))
        await service.load_config("a.yaml", [DomainCheck(id="shop", name="shop.example", server=one.url)])
        await service.run_scan()
        await registrations.keep(service)
        ((name, server, at, _),) = await service.history.registrations()
        assert (name, server, abs(at - time.time()) < 60) == ("shop.example", one.url, True)
