"""RDAP: what a registry says of a domain (RFC 9083), which registry's server that is (RFC 9224), and how seldom it is asked.

Registries count who asks them, and turn away whoever asks often. So a domain's answer is kept for an hour, whoever looks; a server is asked
once a second at most; and one that says "not now" (429, or 503 with Retry-After) is left alone for as long as it says.
Answers outlive the process (`scans/registrations.py`): a restart would else ask for every domain at once.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import OrderedDict
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from ..model import one_line
from ..schedule import elapsed
from .base import ProbeContext
from .dial import DialError, Phases
from .exchange import Response
from .http import HttpCheck, split_url

BOOTSTRAP = "https://data.iana.org/rdap/dns.json"
"""IANA's list of registries' servers (RFC 9224)."""
BOOTSTRAP_FOR = 86_400.0
"""Seconds for which that list is good; an older one serves on where no newer one can be had."""
ASK_EVERY = 3600.0
"""Seconds in which a registry is asked once about a domain, however often one looks."""
KEPT = 3 * 86_400.0
"""Seconds for which an answer still counts while the registry gives no newer one."""
PACE = 1.0
"""Seconds between two questions to one server: rdap.org allows ten in ten seconds, and tells; others do not tell."""
NOT_NOW, LONGEST_NOT_NOW = 300.0, 86_400.0
"""Seconds for which a server that turned us away is left alone: where it does not say, and at most."""
ANSWERS, SERVERS = 20_000, 10_000
"""Most domains and servers that are remembered."""

_EPP = {"active": "ok", "associated": "linked"}
"""Statuses whose name in EPP is not the RDAP one without blanks (RFC 8056)."""


@dataclass(frozen=True, slots=True)
class Registration:
    """What a registry said of a domain. `expires_at` None: it does not tell. Not `registered`: it knows none, the rest is empty."""

    domain: str
    registered: bool
    expires_at: datetime | None = None
    statuses: tuple[str, ...] = ()
    registrar: str | None = None
    nameservers: tuple[str, ...] = ()
    signed: bool | None = None
    url: str = ""
    text: str = ""
    """What is shown of the answer, without the people in it."""

    def to_json(self) -> str:
        """As text, to be kept."""
        return json.dumps({**asdict(self), "expires_at": None if self.expires_at is None else self.expires_at.isoformat()})

    @classmethod
    def from_json(cls, text: str) -> Registration:
        """The reverse of `to_json`. Raises ValueError, KeyError or TypeError for what is none."""
        kept = json.loads(text)
        lists = {name: tuple(kept[name]) for name in ("statuses", "nameservers")}
        return cls(**{**kept, **lists, "expires_at": None if kept["expires_at"] is None else datetime.fromisoformat(kept["expires_at"])})


@dataclass
class Registries:
    """The servers and answers that this process knows."""

    _services: dict[str, str] = field(default_factory=dict)
    _listed_at: float = float("-inf")
    _answers: OrderedDict[tuple[str, str], tuple[float, Registration]] = field(default_factory=OrderedDict)
    _free_at: OrderedDict[str, float] = field(default_factory=OrderedDict)
    _not_before: OrderedDict[str, float] = field(default_factory=OrderedDict)
    _fresh: set[tuple[str, str]] = field(default_factory=set)

    def restore(self, domain: str, server: str, age: float, found: Registration) -> None:
        """Takes what a registry said `age` seconds ago, before a restart."""
        key, at = (domain, server), elapsed() - age
        if key not in self._answers or self._answers[key][0] < at:
            _remember(self._answers, key, (at, found), ANSWERS)

    def fresh(self) -> list[tuple[str, str, float, Registration]]:
        """What registries said since this was asked last, to be kept: domain, server, how many seconds ago, and what."""
        keys, self._fresh, now = self._fresh, set(), elapsed()
        return [(*key, now - self._answers[key][0], self._answers[key][1]) for key in sorted(keys) if key in self._answers]

    async def look(self, domain: str, server: str | None, context: ProbeContext, phases: Phases) -> tuple[Registration, float, str]:
        """What is known of a domain, how many seconds old that is, and why it is no newer (empty: it need not be).

        `server` is the registry's base URL, None: IANA's list says it. Raises DialError when nothing is known.
        """
        key = (domain, server or "")
        kept, now = self._answers.get(key), elapsed()
        if kept is not None and now - kept[0] < ASK_EVERY:
            return kept[1], now - kept[0], ""
        try:
            base = await self._server_of(domain, context, phases) if server is None else server
            found = await self._ask(domain, base, context, phases, given=server is not None)
        except DialError as error:
            if kept is None or elapsed() - kept[0] > KEPT:
                raise
            return kept[1], elapsed() - kept[0], error.message
        _remember(self._answers, key, (elapsed(), found), ANSWERS)
        self._fresh.add(key)
        return found, 0.0, ""

    async def _server_of(self, domain: str, context: ProbeContext, phases: Phases) -> str:
        if elapsed() - self._listed_at >= BOOTSTRAP_FOR:
            await self._turn(BOOTSTRAP, context)
            if elapsed() - self._listed_at >= BOOTSTRAP_FOR:  # nobody else has fetched it meanwhile
                try:
                    response = await _get(BOOTSTRAP, context, phases)
                    if response.status != 200 or response.truncated:
                        raise DialError("http", f"HTTP {response.status}, and no list of registries")
                    self._services, self._listed_at = _services(response.body), elapsed()
                except DialError as error:
                    if not self._services:
                        words = "IANA's list of registries cannot be had, give the check its registry's `server`"
                        raise DialError(error.kind, f"{words}: {error.message}") from None
        labels = domain.split(".")
        for first in range(len(labels)):  # the longest match counts
            if (base := self._services.get(".".join(labels[first:]))) is not None:
                return base
        raise DialError(
            "internal", f"IANA lists no RDAP server for .{labels[-1]}: give the check its registry's as `server`, if it has one"
        )

    async def _ask(self, domain: str, base: str, context: ProbeContext, phases: Phases, *, given: bool) -> Registration:
        url = f"{base.rstrip('/')}/domain/{domain}"
        host = urlsplit(url).netloc
        if (left := self._not_before.get(host, 0.0) - elapsed()) > 0:
            raise DialError("http", f"{host} refuses more questions for now (HTTP 429), and is asked again in {_span(left)}")
        await self._turn(url, context)
        response = await _get(url, context, phases)
        retry_after = response.headers.get("retry-after")
        if response.status == 429 or (response.status == 503 and retry_after is not None):
            wait = min(max(1.0, _seconds(retry_after)), LONGEST_NOT_NOW)
            _remember(self._not_before, host, elapsed() + wait, SERVERS)
            raise DialError("http", f"{host} refuses more questions for now (HTTP {response.status}), and is asked again in {_span(wait)}")
        if response.status == 404 and not (given and "html" in response.headers.get("content-type", "")):
            return Registration(domain, registered=False, url=url)
        if response.status in (401, 403):
            raise DialError("auth", f"{host} answers {response.status}: it lets nobody ask from here")
        if response.status != 200:
            raise DialError(
                "http", f"{host} answers HTTP {response.status}" + (": is `server` the base of its RDAP service?" if given else "")
            )
        if response.truncated:
            raise DialError("parse", f"{host}: the answer is longer than 1 MiB")
        return read_registration(response.body, domain, url)

    async def _turn(self, url: str, context: ProbeContext) -> None:
        """Waits until a server may be asked. Raises DialError where that would be past the deadline."""
        host, now = urlsplit(url).netloc, time.monotonic()
        wait = max(0.0, self._free_at.get(host, 0.0) - now)
        if asyncio.get_running_loop().time() + wait >= context.deadline:
            raise DialError("timeout", f"{host} is asked once a second, and the turn of this check did not come in its time")
        _remember(self._free_at, host, now + wait + PACE, SERVERS)
        await asyncio.sleep(wait)


REGISTRIES = Registries()
"""Those of this process."""


def read_registration(body: bytes, domain: str, url: str = "") -> Registration:
    """A domain object of RFC 9083 as what is asked of it. Raises DialError for what is none, and for one of another domain."""
    try:
        answer = json.loads(body)
        if answer["objectClassName"] != "domain":
            raise DialError("parse", f"the answer is about a {one_line(str(answer['objectClassName']), 40)}, not about a domain")
        name = str(answer.get("ldhName") or domain).rstrip(".").lower()
        if name != domain:
            raise DialError("parse", f"the answer is about {one_line(name, 100)}, not about {domain}")
        events = [event for event in answer.get("events") or () if event.get("eventAction") == "expiration"]
        expires_at = min((_moment(event["eventDate"]) for event in events), default=None)
        statuses = tuple(_epp(str(status)) for status in answer.get("status") or ())[:50]
        servers = sorted(str(one["ldhName"]).rstrip(".").lower() for one in (answer.get("nameservers") or ()) if one.get("ldhName"))
        signed = (answer.get("secureDNS") or {}).get("delegationSigned")
        registrar = next(filter(None, (_registrar(entity) for entity in answer.get("entities") or ())), None)
        told = {key: answer[key] for key in ("ldhName", "status", "events", "secureDNS") if key in answer}
        text = json.dumps({**told, "nameservers": servers, "registrar": registrar}, ensure_ascii=False, indent=1)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError, OverflowError):
        raise DialError("parse", "this is not an answer of an RDAP service (RFC 9083)") from None
    return Registration(
        domain, True, expires_at, statuses, registrar, tuple(servers[:50]), signed if isinstance(signed, bool) else None, url, text
    )


def _services(body: bytes) -> dict[str, str]:
    """Each zone's base URL of IANA's list; the https one where there are several."""
    found: dict[str, str] = {}
    try:
        for zones, urls in json.loads(body)["services"]:
            for url in sorted(map(str, urls), key=lambda url: not url.startswith("https:"))[:1]:
                split_url(url)
                found |= {str(zone).lower(): url for zone in zones}
    except (ValueError, KeyError, TypeError, RecursionError):
        found = {}
    if not found:
        raise DialError("parse", "this is not a list of registries (RFC 9224)")
    return found


async def _get(url: str, context: ProbeContext, phases: Phases) -> Response:
    asked = HttpCheck(id="rdap", url=url, headers={"accept": "application/rdap+json, application/json"}, follow=True)
    response, _ = await asked.request(context, phases)
    return response


def _registrar(entity: dict[str, Any]) -> str | None:
    if "registrar" not in (entity.get("roles") or ()):
        return None
    properties = (entity.get("vcardArray") or (None, ()))[1]
    name = next((str(one[3]) for one in properties if one[0] == "fn" and one[3]), entity.get("handle"))
    return None if name is None else one_line(str(name), 200)


def _epp(status: str) -> str:
    """`client hold` as whois says it: `clientHold`."""
    first, *rest = one_line(status, 60).strip().split() or [""]
    return _EPP.get(status, first + "".join(word[:1].upper() + word[1:] for word in rest))


def _moment(text: Any) -> datetime:
    moment = datetime.fromisoformat(str(text))
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).astimezone(UTC)


def _seconds(retry_after: str | None) -> float:
    """Retry-After: seconds or a date (RFC 9110, 10.2.3)."""
    text = (retry_after or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return (parsedate_to_datetime(text) - datetime.now(UTC)) / timedelta(seconds=1)
    except (ValueError, TypeError):
        return NOT_NOW


def _span(seconds: float) -> str:
    from ...duration import format_duration

    return format_duration(max(1, round(seconds)))


def _remember(known: OrderedDict[Any, Any], key: Any, value: Any, most: int) -> None:
    known[key] = value
    known.move_to_end(key)
    while len(known) > most:
        known.popitem(last=False)
