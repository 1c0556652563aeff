"""The routes of a whole app, over a real port."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol
from yarl import URL

from partywidgets import __version__
from partywidgets.app import create_app
from partywidgets.auth import Gate, Identity
from partywidgets.client.terminal import TerminalClient
from partywidgets.config import load_config, parse_config
from partywidgets.exceptions import ConfigError

from .running_app import Running, running

CHECK = "checks:\n  - {id: root, type: host, disk: /}\n"


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[Running]:
    """An app whose owner may give addresses, as in a kernel."""
    async with running(tmp_path / "storage", sandboxes={"default": "local:"}, owner_addresses=True) as started:
        yield started


async def test_the_open_routes_say_who_this_host_is_and_no_more(app: Running) -> None:
    """`/healthz` and `/hello` answer without a credential; their bodies are these keys and nothing else."""
    async with app.http.get(f"{app.url}/healthz") as answer:
        assert (answer.status, await answer.json()) == (200, {"status": "ok"})
    async with app.http.get(f"{app.url}/hello") as answer:
        said = await answer.json()
    assert said.keys() == {"host_id", "version", "dialects"}
    assert (said["host_id"], said["version"]) == (app.app.host.host_id, __version__)
    spoken = [
        "partywidgets.v1",
        "partywidgets.runner.v1",
        "partywidgets.terminal.v1",
        "partywidgets.plain.v1",
        "cloudflare",
        "cloudflare-1",
    ]
    assert said["dialects"] == spoken


async def test_hello_answers_an_allowed_origin_with_that_origin(app: Running) -> None:
    """CORS names the one Origin that asked, never `*`, and another Origin gets nothing."""
    async with app.http.get(f"{app.url}/hello", headers={"Origin": "http://localhost:8888"}) as answer:
        assert answer.status == 200
        assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost:8888"
        assert "Origin" in answer.headers["Vary"]
        assert "Access-Control-Allow-Credentials" not in answer.headers
    async with app.http.get(f"{app.url}/hello", headers={"Origin": "http://evil.example"}) as answer:
        assert answer.status == 403
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert app.app.host.host_id not in await answer.text()


@pytest.mark.parametrize("path", ["/tickets", "/api/ops/scans", "/api/sandboxes/web"])
async def test_a_preflight_is_answered_to_an_allowed_origin_alone(app: Running, path: str) -> None:
    """The page of this machine may send a bearer header; another site's may not; a preflight creates no room."""
    ask = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization, content-type"}
    async with app.http.options(app.url + path, headers={"Origin": "http://127.0.0.1:8888", **ask}) as answer:
        assert answer.status == 204
        assert answer.headers["Access-Control-Allow-Origin"] == "http://127.0.0.1:8888"
        assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
        assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    async with app.http.options(app.url + path, headers={"Origin": "http://evil.example", **ask}) as answer:
        assert answer.status == 403
        assert "Access-Control-Allow-Origin" not in answer.headers
    assert app.rooms() == []


async def test_errors_are_json_with_one_sentence_also_those_of_rooms(app: Running) -> None:
    """A wrong room name, an unknown party and a path that is not there: a status, `{"error": …}`, and no room."""
    for path, status in (
        ("/parties/terminal-server/%2e%2e", 400),
        ("/parties/terminal-server/a%2fb", 400),
        ("/parties/terminal-server/" + "x" * 600, 400),
        ("/parties/terminal-server/" + "x" * 10_000, 400),
        ("/api/workers/../terminal", 400),
        ("/api/workers/%2e%2e/terminal", 400),
        ("/parties/unknown/room", 400),
        ("/unknown", 404),
        ("/api/ops/scans/nothing", 404),
    ):
        async with app.http.get(URL(app.url + path, encoded=True), headers=app.bearer()) as answer:
            assert answer.status == status, path[:60]
            assert answer.headers["Content-Type"].startswith("application/json")
            body = await answer.json()
            assert list(body) == ["error"]
            assert 0 < len(body["error"]) < 400
            assert "Traceback" not in body["error"]
    assert app.app.host.rooms("terminal-server") == []


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/", 404, "A partywidgets host runs here"),
        ("/parties/terminal-server/db-incident", 401, "partywidgets attach ROOM"),
        ("/parties/%3Cscript%3E/db", 401, "A credential is needed"),
        ("/api/ops/scans/rows", 401, "Ask whoever runs this host"),
    ],
)
async def test_a_browser_gets_a_page_with_the_remedy(app: Running, path: str, status: int, said: str) -> None:
    """Who opens an address sees how to get in, with the same status; the page runs nothing, opens no room, and programs get JSON."""
    url = URL(app.url + path, encoded=True)
    async with app.http.get(url, headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}) as answer:
        page = await answer.text()
        assert answer.status == status
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Vary"] == "Accept"
        assert said in page
        assert "<script" not in page
    async with app.http.get(url, headers={"Accept": "*/*"}) as answer:
        assert list(await answer.json()) == ["error"]
    assert app.rooms() == []


async def test_a_page_shows_what_a_client_sent_as_text(app: Running) -> None:
    """An unknown party's name stands in the sentence, escaped."""
    headers = {**app.bearer(), "Accept": "text/html"}
    async with app.http.get(URL(f"{app.url}/parties/%3Cscript%3E/db", encoded=True), headers=headers) as answer:
        assert answer.status == 400
        page = await answer.text()
    assert "&lt;script&gt;" in page or "%3Cscript%3E" in page
    assert "<script" not in page


async def test_an_unknown_party_is_named_beside_those_there_are(app: Running) -> None:
    """To whoever has a credential; over HTTP and on an upgrade."""
    status, answer = await app.json("GET", "/parties/terminals/worker-1")
    assert (status, answer) == (400, {"error": "there is no party 'terminals' here: it has terminal-server and ops-monitor-broadcast"})
    with pytest.raises(InvalidStatus) as caught:
        await connect(f"{app.ws}/parties/terminals/worker-1", additional_headers=app.bearer())
    assert caught.value.response.status_code == 400
    assert b"terminal-server" in (caught.value.response.body or b"")


async def test_a_ticket_is_for_a_room_that_can_be(app: Running) -> None:
    """Bodies that name no room, an unknown party or an impossible room are 400 and 404; a ticket is not to be cached."""
    for body, status in (
        (b"", 400),
        (b"[]", 400),
        (b"{", 400),
        (b"[" * 50_000, 400),
        (b"{}", 400),
        (json.dumps({"party": "terminal-server"}).encode(), 400),
        (json.dumps({"party": "terminal-server", "room": 5}).encode(), 400),
        (json.dumps({"party": "terminal-server", "room": ".."}).encode(), 400),
        (json.dumps({"party": "unknown", "room": "x"}).encode(), 404),
        (b"x" * 70_000, 413),
    ):
        async with app.http.post(f"{app.url}/tickets", data=body, headers=app.bearer()) as answer:
            assert answer.status == status, body[:40]
            assert list(await answer.json()) == ["error"]
    async with app.http.post(f"{app.url}/tickets", json={"party": "terminal-server", "room": "w"}, headers=app.bearer()) as answer:
        assert answer.headers["Cache-Control"] == "no-store"
        assert (await answer.json()).keys() == {"ticket", "expires_in"}
    assert app.rooms() == []


async def test_a_ticket_carries_the_roles_of_whoever_fetched_it(app: Running) -> None:
    """A guest's ticket opens the room for a guest: `scan` is refused there."""
    ticket = await app.ticket("ops-monitor-broadcast", "main", token=app.guest)
    async with connect(f"{app.ws}/api/ops/broadcast?ticket={ticket}") as socket:
        await socket.recv()
        await socket.send(json.dumps({"type": "scan", "data": {"id": "1", "checks": [], "labels": {}}}))
        reply = await control(socket, "reply")
    assert reply["data"]["ok"] is False
    assert "admin" in reply["data"]["error"]


async def test_the_aliases_lead_to_the_rooms(app: Running) -> None:
    """The channel of all scans is one room under both of its paths, and its HTTP routes are the room's."""
    async with (
        connect(f"{app.ws}/api/ops/broadcast", additional_headers=app.bearer()) as one,
        connect(f"{app.ws}/parties/ops-monitor-broadcast/main", additional_headers=app.bearer()) as two,
    ):
        snapshots = [json.loads(await socket.recv()) for socket in (one, two)]
        assert [snapshot["type"] for snapshot in snapshots] == ["snapshot", "snapshot"]
        assert snapshots[0]["data"]["epoch"] == snapshots[1]["data"]["epoch"]
        assert app.rooms() == ["main"]
    for path in ("/api/ops/scans", "/parties/ops-monitor-broadcast/main/scans"):
        status, answer = await app.json("GET", path)
        assert status == 200, answer


async def control(socket: ClientConnection, kind: str) -> dict[str, Any]:
    """The next control frame of a kind; output in between is passed over."""
    async for frame in socket:
        if isinstance(frame, str) and (message := json.loads(frame))["type"] == kind:
            return dict(message)
    raise AssertionError(f"closed before {kind!r} came")


async def test_a_terminal_hands_out_a_resume_ticket_that_works_once(app: Running) -> None:
    """A page that lost its socket comes back by the ticket it was given, as the same grant, and gets a new one; the old one is spent."""
    rich = [Subprotocol("partywidgets.terminal.v1")]
    path = f"{app.ws}/api/workers/worker-1/terminal"
    fetched = await app.ticket("terminal-server", "worker-1")
    async with asyncio.timeout(30):
        async with connect(f"{path}?sandboxId=default&ticket={fetched}", subprotocols=rich) as socket:
            welcome, given = await control(socket, "welcome"), await control(socket, "ticket")
            assert welcome["host_id"] == app.app.host.host_id
            assert given["expires_in"] == 600
            room = await app.app.host.get_server_by_name("terminal-server", "worker-1")
            grant_id = room.get_connections()[0].grant.grant_id
        async with connect(f"{path}?ticket={given['ticket']}", subprotocols=rich) as socket:
            assert (await control(socket, "ticket"))["ticket"] != given["ticket"]
            assert [connection.grant.grant_id for connection in room.get_connections()] == [grant_id]
        for spent in (fetched, given["ticket"]):
            async with connect(f"{path}?ticket={spent}", subprotocols=rich) as socket:
                with pytest.raises(ConnectionClosed) as caught:
                    await socket.recv()
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == 4401


async def test_a_config_that_is_put_is_scanned(app: Running) -> None:
    """Load by YAML, run by POST, and the report is at latest."""
    status, answer = await app.json("PUT", "/api/ops/config/partywidgets.yaml", data=CHECK)
    assert (status, answer) == (200, {"loaded": {"name": "partywidgets.yaml", "checks": ["root"], "sandboxes": [], "ignored": []}})
    status, answer = await app.json("POST", "/api/ops/scans", json={"checks": ["root"], "wait": True})
    assert status == 200, answer
    status, report = await app.json("GET", "/api/ops/scans/latest")
    assert status == 200
    assert [result["check_id"] for result in report["results"]] == ["root"]
    assert sum(report["counts"].values()) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("check: []", "ops/team.yaml:1:1: unknown key 'check', did you mean 'checks'?"),
        ("checks:\n  - {id: a, type: htp, url: x}", "ops/team.yaml:2:19: check 'a': unknown check type 'htp', did you mean 'http'?"),
        ("checks: [", "this is not valid YAML"),
        ("sandboxes: {web: 'dcker:web-1'}", "ops/team.yaml:1:18: sandboxes.web: 'dcker' is not a kind of sandbox"),
        ("auth: {tokens: [{subject: ci, token: abcdefghijklmnop}]}", "is written out"),
    ],
)
async def test_a_wrong_config_is_one_sentence_and_what_runs_goes_on(app: Running, text: str, words: str) -> None:
    """The answer is 400 with the place under the config's name; checks loaded before stay."""
    assert (await app.json("PUT", "/api/ops/config/ops%2Fteam.yaml", data=CHECK))[0] == 200
    status, answer = await app.json("PUT", "/api/ops/config/ops%2Fteam.yaml", data=text)
    assert status == 400
    assert words in answer["error"]
    assert "\n" not in answer["error"]
    assert list(app.app.service.registry.checks) == ["root"]


async def test_loading_a_name_again_replaces_its_checks_and_a_foreign_id_is_an_error(app: Running) -> None:
    """Each config owns its checks; another name may not take an id; an empty one gives them back."""
    assert (await app.json("PUT", "/api/ops/config/a.yaml", data=CHECK))[0] == 200
    status, answer = await app.json("PUT", "/api/ops/config/b.yaml", data=CHECK)
    assert status == 400
    assert "'root' belongs to a.yaml" in answer["error"]
    assert (await app.json("PUT", "/api/ops/config/a.yaml", data=CHECK.replace("root", "other")))[0] == 200
    assert list(app.app.service.registry.checks) == ["other"]
    assert (await app.json("PUT", "/api/ops/config/a.yaml", data=""))[0] == 200
    assert list(app.app.service.registry.checks) == []


async def test_a_config_name_is_a_name(app: Running) -> None:
    """Empty, endless and control-character names are 400; a body over 4 MiB is 413, one that is not UTF-8 is 400."""
    for path, data, status in (
        ("/api/ops/config/", CHECK, 400),
        ("/api/ops/config/" + "x" * 2000, CHECK, 400),
        ("/api/ops/config/a%0Ab", CHECK, 400),
        ("/api/ops/config/%ff", CHECK, 400),
        ("/api/ops/config/a", b"# \xff", 400),
        ("/api/ops/config/a", io.BytesIO(b"#" * ((4 << 20) + 1)), 413),
    ):
        async with app.http.put(URL(app.url + path, encoded=True), data=data, headers=app.bearer()) as answer:
            assert answer.status == status, path[:60]
            assert list(await answer.json()) == ["error"]


async def test_only_an_admin_loads_configs_and_maps_sandboxes(app: Running) -> None:
    """A viewer's token is refused with the role that is missing, and nothing changes."""
    for path, options in (("/api/ops/config/a.yaml", {"data": CHECK}), ("/api/sandboxes/web", {"json": {"address": "local:"}})):
        status, answer = await app.json("PUT", path, token=app.guest, **options)
        assert status == 403
        assert "admin" in answer["error"]
    assert len(app.app.service.registry) == 0
    assert app.app.terminals.sandboxes == {"default": "local:"}


async def test_a_wrong_method_says_which_is_right(app: Running) -> None:
    """405 with Allow, after the credential."""
    for path, allowed in (("/tickets", "POST"), ("/api/sandboxes/web", "PUT"), ("/metrics", "GET")):
        async with app.http.delete(app.url + path, headers=app.bearer()) as answer:
            assert answer.status == 405
            assert answer.headers["Allow"] == allowed
            assert allowed in (await answer.json())["error"]


async def test_the_owner_maps_a_sandbox_id_to_an_address(app: Running) -> None:
    """The map changes; an address of no known kind is 400 and leaves it."""
    status, answer = await app.json("PUT", "/api/sandboxes/web", json={"address": "docker:web-1"})
    assert (status, answer) == (200, {"id": "web", "address": "docker:web-1"})
    assert app.app.terminals.sandboxes["web"] == "docker:web-1"
    for body in ({"address": "dcker:web-1"}, {"address": 5}, {}, {"address": "docker:"}):
        status, answer = await app.json("PUT", "/api/sandboxes/web", json=body)
        assert status == 400
        assert list(answer) == ["error"]
    assert app.app.terminals.sandboxes["web"] == "docker:web-1"


async def test_under_serve_addresses_come_from_the_config_alone(tmp_path: Path) -> None:
    """Without `owner_addresses` an admin maps nothing, by neither way, and is told so."""
    config = parse_config("sandboxes: {web: 'docker:web-1'}\n")
    async with running(tmp_path, config=config) as app:
        status, answer = await app.json("PUT", "/api/sandboxes/shell", json={"address": "local:"})
        assert status == 403
        assert "sandboxes:" in answer["error"]
        status, answer = await app.json("PUT", "/api/ops/config/a.yaml", data="sandboxes: {shell: 'local:'}\n")
        assert (status, answer["loaded"]["ignored"]) == (200, ["sandboxes"])
        assert app.app.terminals.sandboxes == {"web": "docker:web-1"}


async def test_the_config_given_at_the_start_is_in_force(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its checks are loaded under its path, its tokens open, its Origins pass, its terminals are kept as it says."""
    monkeypatch.setenv("PW_TEST_CI", "ci-token-ci-token-ci-token")
    path = tmp_path / "ops.yaml"
    path.write_text(
        CHECK
        + "terminal: {keep: 5m}\n"
        + "auth:\n  origins: ['https://portal.example']\n  tokens:\n    - {subject: ci, token: '${env:PW_TEST_CI}', roles: [viewer]}\n"
    )
    async with running(tmp_path / "storage", config=load_config(path)) as app:
        assert {loaded.owner for loaded in app.app.service.registry.checks.values()} == {str(path)}
        assert app.app.terminals.keep == 300
        async with app.http.get(f"{app.url}/api/ops/scans", headers=app.bearer("ci-token-ci-token-ci-token")) as answer:
            assert answer.status == 200
        async with app.http.get(f"{app.url}/hello", headers={"Origin": "https://portal.example"}) as answer:
            assert answer.headers["Access-Control-Allow-Origin"] == "https://portal.example"
    monkeypatch.delenv("PW_TEST_CI")
    with pytest.raises(ConfigError, match="PW_TEST_CI is not set"):
        create_app(gate=Gate(), config=load_config(path), storage=tmp_path)


async def test_a_secret_that_a_check_used_is_shown_as_stars(app: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `${env:…}` stood for does not come back in a result."""
    monkeypatch.setenv("PW_TEST_SECRET", "hunter2-hunter2")
    config = "checks:\n  - {id: leak, type: exec, command: [sh, -c, 'echo \"said $0\"', '${env:PW_TEST_SECRET}']}\n"
    status, answer = await app.json("PUT", "/api/ops/config/a.yaml", data=config)
    assert status == 200, answer
    status, answer = await app.json("POST", "/api/ops/scans", json={"checks": ["leak"], "wait": True})
    async with app.http.get(f"{app.url}/api/ops/scans/latest", headers=app.bearer()) as latest:
        text = await latest.text()
    assert "said ***" in text
    assert "hunter2" not in text


async def test_metrics_are_openmetrics_of_the_host_and_its_checks(app: Running) -> None:
    """Any grant may scrape; the page parses; a check's status, duration and numbers are there, by check id."""
    assert (await app.json("PUT", "/api/ops/config/a.yaml", data=CHECK))[0] == 200
    assert (await app.json("POST", "/api/ops/scans", json={"wait": True}))[0] == 200
    asks = {
        **app.bearer(app.guest),
        "Accept": "application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.25,*/*;q=0.1",
    }
    async with app.http.get(f"{app.url}/metrics", headers=asks) as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
        page = await answer.text()
    samples: dict[str, list[Any]] = {}
    for family in text_string_to_metric_families(page):  # type: ignore[no-untyped-call]
        for sample in family.samples:
            samples.setdefault(sample.name, []).append(sample)
    assert samples["partywidgets_info"][0].labels["version"] == __version__
    assert [sample.labels["check_id"] for sample in samples["partywidgets_check_status"]] == ["root"]
    assert sum(sample.value for sample in samples["partywidgets_checks"]) == 1
    assert samples["partywidgets_check_duration_seconds"][0].value >= 0
    assert "used_percent" in {sample.labels["name"] for sample in samples["partywidgets_check_value"]}


async def test_an_app_ends_in_order_and_starts_again_on_its_storage(tmp_path: Path) -> None:
    """What was scanned is still there for the next app on the same directory."""
    async with running(tmp_path) as app:
        assert (await app.json("PUT", "/api/ops/config/a.yaml", data=CHECK))[0] == 200
        _, first = await app.json("POST", "/api/ops/scans", json={"wait": True})
        with pytest.raises(ConfigError, match="is running already"):
            await app.app.__aenter__()
    async with running(tmp_path) as app:
        status, latest = await app.json("GET", "/api/ops/scans/latest")
        assert status == 200
        assert latest["scan_id"] == first.get("scan_id", latest["scan_id"])
        assert [result["check_id"] for result in latest["results"]] == ["root"]


async def test_a_heartbeat_is_heard_without_a_credential(app: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever knows the secret may report; nobody else learns anything, and the secret is in no answer."""
    secret = "a-job-that-reports-by-itself"
    monkeypatch.setenv("NIGHTLY_BEAT", secret)
    config = "checks:\n  - {id: nightly, type: heartbeat, secret: '${env:NIGHTLY_BEAT}', within: 1h}\n"
    status, answer = await app.json("PUT", "/api/ops/config/jobs.yaml", data=config)
    assert status == 200, answer
    async with app.http.post(f"{app.url}/api/ops/heartbeat/{secret}") as early:  # nobody has looked yet
        assert early.status == 204
    _, before = await app.json("POST", "/api/ops/scans", json={"wait": True})
    assert before["results"][0]["status"] == "ok"
    async with (
        app.http.post(f"{app.url}/api/ops/heartbeat/{secret}") as heard,
        app.http.get(f"{app.url}/api/ops/heartbeat/wrong") as unheard,
    ):
        assert (heard.status, await heard.read()) == (204, b"")
        assert unheard.status == 404
    async with app.http.delete(f"{app.url}/api/ops/heartbeat/{secret}") as wrong:
        assert wrong.status == 405
    _, after = await app.json("POST", "/api/ops/scans", json={"wait": True})
    assert after["results"][0]["status"] == "ok"
    assert secret not in json.dumps([answer, before, after])
    assert app.rooms() == ["main"]


async def test_the_recordings_of_a_host(app: Running) -> None:
    """Whoever may read each room's recordings may list those of all; a room's name is checked; nothing is opened for it."""
    path = "/api/terminals/recordings"
    assert await app.json("GET", path) == (200, {"recordings": [], "older": 0})
    assert await app.json("GET", f"{path}?room=web") == (200, {"recordings": [], "older": 0})
    status, said = await app.json("GET", path, token=app.guest)
    assert (status, said["error"]) == (403, "reading recordings needs the role operator, peer or moderator; this grant is observer")
    assert (await app.json("GET", f"{path}?room=..%2Fweb"))[0] == 400
    async with app.http.get(f"{app.url}{path}") as answer:
        assert answer.status == 401
    assert app.rooms() == []


async def test_who_was_ejected_finds_no_recordings_of_that_room(tmp_path: Path) -> None:
    """The list of a host leaves the room out for them alone."""
    people = {"ben-token-of-the-tests": Identity("ben", "Ben", frozenset({"operator"}))}
    async with running(tmp_path, people=people) as app:
        app.app.terminals.sandboxes["default"] = "local:/bin/bash"
        for room in ("web", "db"):
            async with (
                TerminalClient(app.url, room, token=app.owner) as ana,
                TerminalClient(app.url, room, token=next(iter(people))) as ben,
            ):
                assert (await ana.run("true", timeout=30)).exit_code == 0
                if room == "web":
                    await ana._ask("eject", 30, connection=ben.connection)

        async def rooms(token: str | None = None) -> set[str]:
            return {one["room"] for one in (await app.json("GET", "/api/terminals/recordings", token=token))[1]["recordings"]}

        async with asyncio.timeout(30):
            while await rooms() != {"web", "db"}:
                await asyncio.sleep(0.05)
        assert await rooms(next(iter(people))) == {"db"}
