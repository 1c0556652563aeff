"""The page at a host's own address: what it is served with, to whom, and that nobody else's `/` becomes it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from partywidgets import bundles
from partywidgets.auth import Gate
from partywidgets.config import parse_config
from partywidgets.front_page import FrontPage, login_page
from partywidgets.party import PartyHost, Server
from partywidgets.party.grant import OPEN_ROLES
from partywidgets.transport.asgi import PartyMiddleware
from partywidgets.transport.server import serve

from .running_app import Running, running

needs_bundles = pytest.mark.skipif("page.js" not in bundles.bundle_names(), reason="the front end is not built here")


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[Running]:
    """An app with the page, as `partywidgets serve` has it."""
    async with running(tmp_path, page=FrontPage()) as started:
        yield started


@needs_bundles
def test_a_login_s_address_is_text_in_its_page() -> None:
    """It holds the path that somebody was sent to: no character of it ends an attribute."""
    html = login_page("/hub/login?next='\"><script src=//evil.example></script>&x").decode()
    assert html.count("<script") == 1
    assert html.count('=&#x27;&quot;&gt;&lt;script src=//evil.example&gt;&lt;/script&gt;&amp;x"') == 2


@needs_bundles
async def test_the_page_is_code_without_data(app: Running) -> None:
    """To anybody who asks by a name of this host, with a credential or without; it opens no room, and runs the host's script alone."""
    async with app.http.get(f"{app.url}/") as answer:
        html, headers = await answer.text(), answer.headers
        assert answer.status == 200
    async with app.http.get(f"{app.url}/", headers=app.bearer()) as answer:
        assert await answer.text() == html
    policy = {part.split()[0]: part.split()[1:] for part in headers["Content-Security-Policy"].split(";")}
    assert policy["default-src"] == policy["frame-ancestors"] == policy["form-action"] == policy["base-uri"] == ["'none'"]
    assert policy["script-src"] == policy["connect-src"] == ["'self'"]
    assert policy["img-src"] == ["data:"]
    assert policy["require-trusted-types-for"] == ["'script'"]
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    assert re.findall(r"<script[^>]*>([^<]*)</script>", html) == [""]
    assert 'data-sign-in="token"' in html
    assert app.rooms() == []


@needs_bundles
async def test_what_the_page_loads_is_there_below_any_path(app: Running) -> None:
    """Its script's address is relative, so that a proxy may show it below a path."""
    async with app.http.get(f"{app.url}/") as answer:
        (script,) = re.findall(r'src="([^"]+)"', await answer.text())
    assert not script.startswith(("/", "http"))
    async with app.http.get(f"{app.url}/{script}") as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("text/javascript")


@needs_bundles
async def test_methods(app: Running) -> None:
    """HEAD is GET without the body; whatever would change something is refused."""
    async with app.http.head(f"{app.url}/") as answer:
        assert answer.status == 200
        assert "Content-Security-Policy" in answer.headers
        assert await answer.read() == b""
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        async with app.http.request(method, f"{app.url}/", data=b"x") as answer:
            assert answer.status == 405, method
            assert answer.headers["Allow"] == "GET"
    for path in ("/index.html", "/page", "//"):
        async with app.http.get(f"{app.url}{path}", headers={"Accept": "text/html"}) as answer:
            assert answer.status == 404, path
            assert "the page of this host" in await answer.text()


async def test_a_strange_host_and_origin_get_no_page(app: Running) -> None:
    """A name that was made to point here (DNS rebinding) asks nobody for a token."""
    async with app.http.get(f"{app.url}/", headers={"Host": f"evil.example:{app.port}"}) as answer:
        assert answer.status == 403
        assert "script" not in await answer.text()
    async with app.http.get(f"{app.url}/", headers={"Origin": "https://evil.example"}) as answer:
        assert answer.status == 403


PUBLIC = parse_config("public_url: 'https://ops.example.com/ops/'")


async def test_the_public_url_is_a_name_of_the_host(tmp_path: Path) -> None:
    """Its Host and its Origin, and no other's; it needs a credential there as everywhere."""
    wanted = {"party": "ops-monitor-broadcast", "room": "main"}
    async with running(tmp_path, page=FrontPage(), config=PUBLIC) as app:
        for host, origin, status in (
            ("ops.example.com", "https://ops.example.com", 200),
            ("ops.example.com", "http://ops.example.com", 403),
            ("ops.example.com", "https://evil.ops.example.com", 403),
            ("ops.example.com:8443", "https://ops.example.com", 403),
        ):
            headers = {**app.bearer(), "Host": host, "Origin": origin}
            async with app.http.post(f"{app.url}/tickets", json=wanted, headers=headers) as answer:
                assert answer.status == status, (host, origin)
        async with app.http.post(f"{app.url}/tickets", json=wanted, headers={"Host": "ops.example.com"}) as answer:
            assert answer.status == 401
        assert await app.app.reload(parse_config("public_url: 'https://other.example/'")) == ["public_url"]
        async with app.http.get(f"{app.url}/", headers={"Host": "other.example"}) as answer:
            assert answer.status == 403
    async with running(tmp_path, config=PUBLIC) as app, app.http.get(f"{app.url}/hello", headers={"Host": "ops.example.com"}) as answer:
        assert answer.status == 403  # a host without a page has not that name


async def test_a_ticket_needs_the_token_and_an_origin_of_ours(app: Running) -> None:
    """What the page does to sign in: 401 with a sentence for a wrong token, 403 for another site's page, a ticket for the right one."""
    wanted = {"party": "ops-monitor-broadcast", "room": "main"}
    for headers, status in (
        ({"Authorization": "Bearer not-the-token-of-anybody"}, 401),
        ({}, 401),
        ({**app.bearer(), "Origin": "https://evil.example"}, 403),
        ({**app.bearer(), "Origin": "null"}, 403),
        ({**app.bearer(), "Origin": app.url}, 200),
    ):
        async with app.http.post(f"{app.url}/tickets", json=wanted, headers=headers) as answer:
            assert answer.status == status, headers
            assert answer.headers["Cache-Control"] == "no-store"


@needs_bundles
async def test_without_authentication_nobody_is_asked(tmp_path: Path) -> None:
    """The page knows that before it asks anything."""
    async with running(tmp_path, page=FrontPage(), open_roles=OPEN_ROLES) as app, app.http.get(f"{app.url}/") as answer:
        assert 'data-sign-in="none"' in await answer.text()


async def test_other_hosts_have_no_page(tmp_path: Path) -> None:
    """A kernel's host, and whoever composes an app without asking for it, keep their 404."""
    async with running(tmp_path) as app, app.http.get(f"{app.url}/") as answer:
        assert answer.status == 404


async def test_an_app_that_mounts_the_middleware_keeps_its_own_front(tmp_path: Path) -> None:
    """`PartyMiddleware` takes the rooms' paths alone."""
    own = Starlette(routes=[Route("/", lambda request: PlainTextResponse("the shop"))])
    host = PartyHost({"chat": Server}, storage=tmp_path)
    gate = Gate(open_roles=OPEN_ROLES)
    async with (
        host,
        serve(PartyMiddleware(own, host, auth=gate), port=0) as server,
        aiohttp.ClientSession() as http,
        http.get(f"http://127.0.0.1:{server.port}/") as answer,
    ):
        assert await answer.text() == "the shop"


async def test_a_checkout_that_was_not_built_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of an empty page."""
    monkeypatch.setattr("partywidgets.front_page.SCRIPT", "not-built.js")
    async with running(tmp_path, page=FrontPage()) as app, app.http.get(f"{app.url}/") as answer:
        assert answer.status == 503
        assert "./dev lab" in (await answer.json())["error"]
