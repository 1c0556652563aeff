"""The http check against servers that behave, misbehave and do not answer."""

from __future__ import annotations

import asyncio
import codecs
import hashlib
import socket
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_websocket

from partywidgets.scans.checks.exchange import BODY_BYTES
from partywidgets.scans.checks.http import HttpCheck, charset, is_near, place_of, request_bytes, split_url, without_password
from partywidgets.scans.judge import RunContext
from tests.ports import kept_port

from .servers import Authority, Served, answer, look, serving, web_server


@pytest.fixture
async def web() -> object:
    """A web server for one test."""
    async with web_server() as served:
        yield served


def http(served: Served, path: str, **more: object) -> HttpCheck:
    """A check of a path of the server."""
    return HttpCheck.model_validate({"id": "shop", "url": f"http://127.0.0.1:{served.port}{path}", "timeout": 5, **more})


async def test_healthy(web: Served) -> None:
    """A healthy answer is ok, with its phases, its numbers and what every condition saw."""
    result = await look(http(web, "/json", conditions=["status == 200", "body.status == 'ok'", "body.queue.depth < 5", "body.load < 1"]))
    assert (result.status, result.error) == ("ok", None)
    assert [(c.ok, c.actual) for c in result.conditions] == [(True, "200"), (True, "ok"), (True, "3"), (True, "0.5")]
    assert list(result.phases_ms) == ["resolve", "connect", "tls", "processing", "transfer"]
    assert result.phases_ms["connect"] > 0
    assert result.phases_ms["processing"] > 0
    assert result.phases_ms["tls"] == 0
    assert {metric.name for metric in result.metrics} == {"duration_ms", "size", "status"}
    assert result.summary.startswith("HTTP 200 in ")
    assert result.evidence[0].sha256 == hashlib.sha256(b'{"status": "ok", "queue": {"depth": 3}, "load": 0.5}').hexdigest()


async def test_wrong_status(web: Served) -> None:
    """A status that a condition does not want is crit, and the summary says what came; the body is kept without control characters."""
    result = await look(http(web, "/status/503", conditions=["status == 200"]))
    assert (result.status, result.summary) == ("crit", "status == 200: got 503")
    assert result.evidence[0].value == "<b>down</b>␛[2J"


@pytest.mark.parametrize(
    ("path", "status"), [("/status/200", "ok"), ("/status/302", "ok"), ("/status/404", "crit"), ("/status/500", "crit")]
)
async def test_default_condition(web: Served, path: str, status: str) -> None:
    """Without conditions the status must be below 400."""
    assert (await look(http(web, path))).status == status


async def test_warn_and_crit(web: Served) -> None:
    """`crit` beats `warn`, and either leaves the default condition in force."""
    assert (await look(http(web, "/json", warn="body.queue.depth > 2"))).status == "warn"
    assert (await look(http(web, "/json", warn="body.queue.depth > 2", crit="body.queue.depth > 2"))).status == "crit"
    assert (await look(http(web, "/json", warn="body.queue.depth > 3", crit="body.queue.depth > 9"))).status == "ok"
    assert (await look(http(web, "/status/500", warn="duration_ms > 100000"))).status == "crit"
    result = await look(http(web, "/status/200", warn="body.queue.depth > 3"))
    assert (result.status, result.summary) == ("unknown", "body.queue.depth > 3: body.queue is missing: it would be in string")


@pytest.mark.parametrize(
    ("path", "kind", "sentence"),
    [
        ("/hang", "timeout", "no answer within 300ms: it hung in processing"),
        ("/half", "timeout", "no answer within 300ms: it hung in transfer"),
        ("/cut", "http", "the connection was closed in the middle of the answer"),
        ("/silent", "http", "the connection was closed without an answer"),
        ("/garbage", "http", "the answer is not HTTP"),
        ("/head-bomb", "http", "the answer's head is longer than 64 KiB"),
    ],
)
async def test_broken_answers(web: Served, path: str, kind: str, sentence: str) -> None:
    """An answer that never comes, breaks off or is not HTTP is crit with its class and a sentence."""
    result = await look(http(web, path, timeout="300ms" if kind == "timeout" else "5s"))
    assert result.error is not None
    assert (result.status, result.error.kind) == ("crit", kind)
    assert result.summary.startswith(sentence)


async def test_refused() -> None:
    """A closed port is `refused`."""
    result = await look(HttpCheck(id="shop", url=f"http://127.0.0.1:{(port := kept_port())}/"))
    assert result.error is not None
    assert (result.status, result.error.kind, result.error.message) == ("crit", "refused", f"127.0.0.1:{port}: connection refused")


async def test_unknown_name() -> None:
    """A name that does not resolve is `dns`."""
    result = await look(HttpCheck(id="shop", url="http://nobody.invalid/"))
    assert result.error is not None
    assert (result.status, result.error.kind) == ("crit", "dns")


async def test_error_as_value() -> None:
    """A check whose author asks for `error` decides itself what an error means."""
    check = HttpCheck(id="closed", url=f"http://127.0.0.1:{kept_port()}/", conditions=("error == 'refused'",))
    expected = await look(check)
    assert (expected.status, "refused" in expected.summary) == ("ok", True), expected.summary


@pytest.mark.parametrize(
    ("path", "condition"),
    [
        ("/chunked", "body == [1, 2, 3]"),
        ("/gzip", "body.zipped"),
        ("/until-close", "body == 'to the end'"),
        ("/continue", "status == 200 && body == 'after'"),
    ],
)
async def test_framings(web: Served, path: str, condition: str) -> None:
    """Bodies arrive whole however they are framed, and after an interim response."""
    result = await look(http(web, path, conditions=[condition]))
    assert (result.status, result.summary[:8]) == ("ok", "HTTP 200")


async def test_big_body(web: Served) -> None:
    """Of a large body one MiB is read, and the evidence says that it was cut."""
    result = await look(http(web, "/big", conditions=[f"size == {BODY_BYTES}"]))
    assert result.status == "ok"
    assert result.evidence[0].truncated
    assert len(result.evidence[0].value) == 4096


async def test_redirects(web: Served) -> None:
    """Redirects are followed only when asked, ten at most, and the credentials do not go to another origin."""
    assert (await look(http(web, "/to/json", conditions=["status == 302"]))).status == "ok"
    assert (await look(http(web, "/to/to/to/json", follow=True, conditions=["status == 200", "redirects == 3"]))).status == "ok"
    result = await look(http(web, "/loop", follow=True))
    assert (result.status, result.summary) == ("crit", "more than 10 redirects, the last one to /loop")
    web.seen.clear()
    async with web_server() as other:
        await look(http(web, f"/away/{other.port}", follow=True, headers={"Authorization": "Bearer x", "X-Own": "y"}))
        assert "Bearer x" in web.seen[0]
        assert "Bearer x" not in other.seen[0]
        assert "X-Own: y" in other.seen[0]


async def test_request(web: Served) -> None:
    """Method, headers and body go out as written, secrets resolved; the result names the URL as written, without a password."""
    check = HttpCheck.model_validate(
        {
            "id": "shop",
            "url": f"http://ana:pa%20ss@127.0.0.1:{web.port}/echo?a=b",
            "method": "post",
            "headers": {"X-Key": "${env:KEY}", "User-Agent": "mine"},
            "body": '{"q": "${env:KEY}"}',
        }
    )
    result = await look(check, RunContext(resolve=lambda text: text.replace("${env:KEY}", "s3cret")))
    assert web.seen[0].startswith("POST /echo?a=b HTTP/1.1\r\n")
    assert "authorization: Basic YW5hOnBhIHNz" in web.seen[0]
    assert "User-Agent: mine" in web.seen[0]
    assert "user-agent: partywidgets" not in web.seen[0]
    assert web.seen[0].endswith('{"q": "s3cret"}')
    assert result.target == f"http://ana:***@127.0.0.1:{web.port}/echo?a=b"
    assert result.labels == {}


async def test_long_request_answered_early() -> None:
    """A body that does not fit the socket's buffer goes out whole, and an answer that comes before its end is the result."""
    body, got = "x" * (16 << 20), 0

    async def whole(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal got
        await reader.readuntil(b"\r\n\r\n")
        while got < len(body):
            got += len(await reader.read(1 << 20))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()

    async def early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        await asyncio.Event().wait()  # reads no more: the check has its answer and goes

    for handler, status in ((whole, 200), (early, 413)):
        async with serving(handler) as port:
            given = {
                "id": "long",
                "url": f"http://127.0.0.1:{port}/",
                "method": "POST",
                "body": body,
                "conditions": [f"status == {status}"],
            }
            result = await look(HttpCheck.model_validate(given))
            assert (result.status, result.summary[:8]) == ("ok", f"HTTP {status}")
    assert got == len(body)


async def test_an_answer_that_switches_protocols(web: Served) -> None:
    """101 is a status as any other, and what the server says in its new protocol is nobody's: the loop has nothing to complain of."""
    complaints: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(str(context)))

    async def greet(socket: ServerConnection) -> None:
        await socket.send("hello")
        await socket.wait_closed()

    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    async with serve_websocket(greet, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/"
        result = await look(HttpCheck(id="x", url=url, headers=headers, conditions=("status == 101",), timeout=20))
    assert (result.status, result.summary.startswith("HTTP 101")) == ("ok", True)
    assert complaints == []


async def test_secret_with_line_break(web: Served) -> None:
    """A secret that ends with a newline, as files do, is sent without it; one that holds a line break is not sent at all."""
    check = http(web, "/echo", headers={"X-Key": "${file:key}"})
    assert (await look(check, RunContext(resolve=lambda text: text.replace("${file:key}", "s3cret\n")))).status == "ok"
    assert "X-Key: s3cret\r\n" in web.seen[0]
    result = await look(check, RunContext(resolve=lambda text: text.replace("${file:key}", "a\r\nX-Evil: b")))
    assert (result.status, result.summary) == ("unknown", "what the header X-Key refers to holds a line break")
    assert len(web.seen) == 1


async def test_url_of_references() -> None:
    """A URL that its references make unusable is our fault, and what they hold is not told."""
    context = RunContext(resolve=lambda text: text.replace("${env:HOST}", "s3cret host"))
    result = await look(HttpCheck(id="shop", url="http://${env:HOST}/"), context)
    assert (result.status, result.summary) == (
        "unknown",
        "'http://${env:HOST}/' is not a URL of a web server once its references are filled in",
    )


async def test_redacted_evidence(web: Served) -> None:
    """The run's redactor takes secrets out of evidence, and the item says so; out of what conditions saw and errors, too."""
    context = RunContext(redact=lambda text: text.replace("down", "***").replace("127.0.0.1", "***"))
    refused = await look(HttpCheck(id="shop", url=f"http://127.0.0.1:{(port := kept_port())}/"), context)
    assert refused.error is not None
    assert refused.error.message == refused.summary == f"***:{port}: connection refused"
    result = await look(http(web, "/status/500", conditions=["body == 'up'"]), context)
    assert result.conditions[0].actual == "<b>***</b>␛[2J"
    assert (result.evidence[0].redacted, result.evidence[0].value) == (True, "<b>***</b>␛[2J")


async def test_certificates(tmp_path: Path) -> None:
    """Over TLS the phase is timed and the expiry is a value; an expired or wrong certificate is `tls`, or passes with `verify: false`."""
    authority = Authority(tmp_path)
    async with web_server(authority.server_context()) as served:
        url = f"https://localhost:{served.port}/json"
        result = await look(
            HttpCheck(id="shop", url=url, ca_file=authority.ca_file, conditions=("certificate_expires_in > duration('14d')",))
        )
        assert result.status == "ok"
        assert result.phases_ms["tls"] > 0
        result = await look(
            HttpCheck(id="shop", url=url, ca_file=authority.ca_file, conditions=("certificate_expires_in > duration('60d')",))
        )
        assert (result.status, result.conditions[0].actual[:3]) == ("crit", "29d")
        result = await look(HttpCheck(id="shop", url=url))
        assert result.error is not None
        assert (result.status, result.error.kind) == ("crit", "tls")
    async with web_server(authority.server_context(ends=timedelta(days=-2))) as served:
        url = f"https://localhost:{served.port}/json"
        result = await look(HttpCheck(id="shop", url=url, ca_file=authority.ca_file))
        assert result.error is not None
        assert (result.error.kind, result.error.message.endswith("certificate has expired")) == ("tls", True)
        assert (
            await look(HttpCheck(id="shop", url=url, verify=False, conditions=("certificate_expires_in < duration('0s')",)))
        ).status == "ok"
    async with web_server(authority.server_context("other.example")) as served:
        result = await look(HttpCheck(id="shop", url=f"https://localhost:{served.port}/json", ca_file=authority.ca_file))
        assert result.error is not None
        assert "not valid for 'localhost'" in result.error.message


async def test_no_certificate(web: Served) -> None:
    """Without TLS there is no expiry: the condition fails and shows null."""
    result = await look(http(web, "/json", conditions=["certificate_expires_in > duration('14d')"]))
    assert (result.status, result.conditions[0].actual) == ("crit", "null")


async def test_missing_ca_file(web: Served) -> None:
    """A CA file that cannot be read is our fault, not the target's: unknown."""
    result = await look(HttpCheck(id="shop", url=f"https://127.0.0.1:{web.port}/", ca_file="/nonexistent/ca.pem"))
    assert (result.status, result.summary) == ("unknown", "the CA file /nonexistent/ca.pem cannot be used: No such file or directory")


async def test_retries(web: Served) -> None:
    """A look that fails is repeated at once as often as `retries` says, one that is ok is not."""
    await look(http(web, "/status/500", retries=2, retry_delay=0))
    assert len(web.seen) == 3
    await look(http(web, "/json", retries=2, retry_delay=0))
    assert len(web.seen) == 4


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({"url": "ftp://x/"}, "is not a URL of a web server"),
        ({"url": "http://x:99999/"}, "has no valid port"),
        ({"url": "http://x/a b"}, "holds a blank or a control character"),
        ({"headers": {"X": "a\r\nb"}}, "holds a character that no header may hold"),
        ({"method": "GET /"}, "String should match pattern"),
        ({"conditions": ["status = 200"]}, "'=' means nothing, write '=='"),
        ({"conditions": ["stauts == 200"]}, "uses 'stauts', which a check of type http does not give"),
        ({"warn": "body.matches('(')"}, "is not a regular expression"),
        ({"timeout": "5 parsecs"}, "is not a duration"),
        ({"timeout": 0}, "longer than zero"),
        ({"identity": ["team"]}, "identity names team"),
        ({"followw": True}, "Extra inputs are not permitted"),
    ],
)
def test_faults_of_the_author(given: dict[str, object], place: str) -> None:
    """What the author got wrong is refused when the config is read."""
    with pytest.raises(ValidationError, match=place.replace("(", r"\(")):
        HttpCheck.model_validate({"id": "shop", "url": "http://x/", **given})


def test_password_never_shown() -> None:
    """A URL with a password is shown without it, in errors too."""
    assert without_password("https://a:b@x/p@q:r") == "https://a:***@x/p@q:r"
    with pytest.raises(ValueError, match=r"https://a:\*\*\*@x:nope/") as caught:
        split_url("https://a:secret@x:nope/")
    assert "secret" not in str(caught.value)


def test_host_header() -> None:
    """The Host header has the port only when the URL does, brackets for IPv6, and punycode for other alphabets."""
    assert b"\r\nhost: x\r\n" in request_bytes(place_of("http://x/"), "GET", {}, None)
    assert b"\r\nhost: [::1]:8080\r\n" in request_bytes(place_of("http://[::1]:8080/"), "GET", {}, None)
    assert b"\r\nhost: xn--bcher-kva.example\r\n" in request_bytes(place_of("http://bücher.example/"), "GET", {}, None)


@pytest.mark.parametrize("name", ["punycode", "idna", "unicode_escape", "zip", "hex", "undefined", "rot13", "nonsense", "\x00"])
def test_encodings_that_are_none_of_pages(name: str) -> None:
    """A target that names one of Python's other codecs is read as UTF-8: some of them take minutes for a body of a MiB."""
    assert charset(f"text/plain; charset={name}") == "utf-8"


@pytest.mark.parametrize(
    "name", ["utf-8", "ISO-8859-1", "windows-1252", "Shift_JIS", "gb18030", "koi8-r", "utf-16le", "us-ascii", "latin1"]
)
def test_encodings_of_pages(name: str) -> None:
    """What pages are written in is read so."""
    assert codecs.lookup(charset(f'text/html; charset="{name}"')).name == codecs.lookup(name).name


KEY = RunContext(resolve=lambda text: text.replace("${env:KEY}", "s3cret-key"))


async def test_what_references_stand_for_stays_with_its_origin(web: Served) -> None:
    """A redirect to another origin gets no header that holds a reference, whatever it is called, and no body that does."""
    async with web_server() as other:
        check = http(web, f"/away/{other.port}", follow=True, headers={"X-Api-Key": "${env:KEY}", "X-Own": "y"})
        await look(check, KEY)
        assert "X-Api-Key: s3cret-key" in web.seen[0]
        assert "X-Own: y" in other.seen[0]
        assert "s3cret-key" not in other.seen[0]
        check = http(web, f"/away/{other.port}", follow=True, method="POST", body="key=${env:KEY}")
        refused = await look(check, KEY)
        assert refused.error is not None
        assert refused.error.message.startswith("a redirect to localhost would take the body there")
        assert len(other.seen) == 1


@pytest.mark.parametrize("ip", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "0.0.0.0", "169.254.169.254", "fe80::1", "fd00:ec2::254"])
def test_addresses_that_are_near(ip: str) -> None:
    """This machine, its link, and where a cloud tells a machine its keys."""
    assert is_near(ip)
    assert not any(map(is_near, ("192.0.2.1", "10.0.0.1", "2001:db8::1", "fd12::1")))


async def test_a_redirect_from_the_network_leads_into_no_machine(web: Served) -> None:
    """A target elsewhere cannot have this machine's own services asked, nor those of its link; one on this machine may name another."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no address but its loopback one")
        here = probe.getsockname()[0]

    async def send_away(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer("302 Found", location=f"http://localhost:{web.port}/json"))
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(send_away, here, 0) as server:
        url = f"http://{here}:{server.sockets[0].getsockname()[1]}/"
        result = await look(HttpCheck(id="shop", url=url, follow=True))
    assert result.error is not None
    assert result.error.message.startswith("a redirect leads to 127.0.0.1, an address of this machine or its link")
    assert web.seen == []
