"""`partywidgets serve`, on real sockets."""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
import stat
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
import trustme

from partywidgets.client.terminal import TerminalClient
from partywidgets.exceptions import HostError
from partywidgets.partysocket import PartySocket, fetch_url

from ..ports import kept_port
from .conftest import GUEST, LIMIT, Host, Run, Serve


def get(url: str, token: str | None = None) -> int:
    """The status of a GET."""
    return asyncio.run(fetch_url("GET", url, token=token, timeout=LIMIT)).status


def test_serve(serve: Serve, config: Path, environment: dict[str, str]) -> None:
    """It prints where and how, keeps the token in the file only its owner can read, and lets nobody else in."""
    host = serve(config)
    assert host.token not in host.greeting
    assert " with 1 check and 1 sandbox\n" in host.greeting
    assert f"  storage  {environment['PARTYWIDGETS_HOME']}\n" in host.greeting
    assert stat.S_IMODE(host.token_file.stat().st_mode) == 0o600
    assert f'pw.connect("{host.url}/", token=…)' in host.greeting
    assert get(f"{host.url}/api/ops/scans", host.token) == 200
    assert get(f"{host.url}/api/ops/scans") == 401


@pytest.mark.parametrize(
    ("sandboxes", "said"),
    [
        ("default: 'local:', web: 'local:'", "PARTYWIDGETS_TOKEN=… partywidgets attach ROOM --url "),
        ("web: 'local:', db: 'local:'", "PARTYWIDGETS_TOKEN=… partywidgets attach ROOM --sandbox db --url "),
        ("", "none: a shell needs a sandbox, under `sandboxes:` in the config\n"),
    ],
)
def test_it_prints_an_attach_that_opens_a_shell(sandboxes: str, said: str, serve: Serve, tmp_path: Path) -> None:
    """Without a sandbox `default` the line names another one, and with none it says what is missing."""
    config = tmp_path / "sandboxes.yaml"
    config.write_text(f"sandboxes: {{ {sandboxes} }}\n")
    assert f"\n  terminal {said}" in serve(config).greeting


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it(serve: Serve, config: Path, number: signal.Signals) -> None:
    """SIGTERM and SIGINT close everyone with 1012 and end it with code 0, also with a shell running and a client connected."""
    host = serve(config)

    async def stay() -> int:
        async with TerminalClient(host.url, "worker-1", token=host.token) as term:
            await term.run("true", timeout=LIMIT)
            host.process.send_signal(number)
            while term.socket.last_close is None:
                with suppress(TimeoutError):
                    await asyncio.wait_for(term.changed(), 0.2)
            return term.socket.last_close.code

    assert asyncio.run(asyncio.wait_for(stay(), LIMIT)) == 1012
    assert host.process.wait(LIMIT) == 0


@pytest.mark.parametrize("where", [">/dev/full", ">&-", ">&- 2>&-", "<&- >&- 2>&-", "2>&- | true"])
def test_nobody_reads_what_it_prints(where: str, environment: dict[str, str], tmp_path: Path) -> None:
    """With standard output full, closed or read by nobody the host serves as ever, and ends with code 0."""
    port, ended = kept_port(), tmp_path / "ended"
    command = f'("$0" -m partywidgets serve --port {port} --no-auth; echo $? > ended) {where}'
    process = subprocess.Popen(
        ["sh", "-c", command, sys.executable], env=environment, cwd=tmp_path, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        deadline = time.monotonic() + LIMIT
        while time.monotonic() < deadline:
            with suppress(HostError):
                assert get(f"http://127.0.0.1:{port}/healthz") == 200
                break
            assert not ended.exists(), ended.read_text()
        pid = int((Path(environment["PARTYWIDGETS_HOME"]) / "lock").read_text().split()[0])
        os.kill(pid, signal.SIGTERM)
        while not (ended.exists() and ended.read_text()) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert ended.read_text() == "0\n"
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(LIMIT)


def test_its_log_hides_what_a_config_s_references_stand_for(config: Path, environment: dict[str, str], tmp_path: Path) -> None:
    """Whatever it looks like, and whoever brings it: here a stranger, in the path of a request that is refused."""
    log = tmp_path / "log"
    command = [sys.executable, "-m", "partywidgets", "serve", "--port", "0", "--token-file", str(tmp_path / "token"), str(config)]
    with log.open("w") as stderr:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=stderr, text=True)
    try:
        assert process.stdout is not None
        url = next(line.split()[1] for line in process.stdout if line.strip().startswith("rooms")).rstrip("/")
        assert get(f"{url}/api/{GUEST}/x") == 404
        assert get(f"{url}/parties/{GUEST}/x") == 401
        deadline = time.monotonic() + LIMIT
        while "refused" not in log.read_text() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert "refused GET '/parties/***/x'" in log.read_text()
        assert GUEST not in log.read_text()
    finally:
        process.kill()
        process.communicate()


def test_it_says_where_its_page_is(serve: Serve, tmp_path: Path) -> None:
    """Its own address, or the one by which the config says that others reach it."""
    here = serve()
    assert f"\n  page     {here.url}/   (in a browser; asks for a token)\n" in here.greeting
    config = tmp_path / "public.yaml"
    config.write_text("public_url: https://ops.example.com\n")
    assert "\n  page     https://ops.example.com/   (in" in serve(config).greeting


def test_no_auth(serve: Serve) -> None:
    """--no-auth is open on loopback, and says so."""
    host = serve("--no-auth")
    assert "open to every program and user of this machine" in host.greeting
    assert "whole scans need a token" in host.greeting
    assert get(f"{host.url}/api/ops/scans") == 200


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--bind", "0.0.0.0", "--no-auth"], "would let in everybody"),
        (["--bind", "::", "--no-auth"], "would let in everybody"),
        (["--bind", "nowhere"], "IP address"),
        (["--no-auth", "--token-file", "x"], "exclude each other"),
        (["--key", "x"], "--certificate"),
        (["--certificate", "/nope.pem"], "/nope.pem"),
        (["/nope.yaml"], "no such file"),
        (["--storage", "{pem}/x"], "/cert.pem/x cannot be used (Not a directory): name one that you may write to"),
        (["--bind", "203.0.113.7", "--certificate", "{pem}"], "203.0.113.7:0 cannot be listened on (Cannot assign requested address): use"),
        (["--certificate", "{other}"], "its chain and the key in it must be PEM"),
        (["--certificate", "{pem}", "--key", "{other}"], "must be PEM"),
        (["--certificate", "{pem}", "--key", "{key}"], "/key.pem is not that of this certificate"),
    ],
)
def test_serve_mistakes(run: Run, tmp_path: Path, arguments: list[str], sentence: str) -> None:
    """What cannot be served is one sentence and exit code 1."""
    pem = tmp_path / "cert.pem"
    trustme.CA().issue_cert("203.0.113.7").private_key_and_cert_chain_pem.write_to_path(pem)
    key, other = tmp_path / "key.pem", tmp_path / "other"
    trustme.CA().issue_cert("203.0.113.7").private_key_pem.write_to_path(key)
    other.write_text("checks: []\n")
    ended = run("serve", "--port", "0", *(argument.format(pem=pem, key=key, other=other) for argument in arguments))
    assert ended.code == 1
    assert sentence in ended.sentence


def without(*capabilities: str) -> list[str]:
    """What to put before a command of root's so that it may not do these; a user may not anyway."""
    return [] if os.geteuid() else ["setpriv", f"--bounding-set={','.join(f'-{name}' for name in capabilities)}"]


@pytest.mark.skipif(sys.platform != "linux", reason="ports below 1024 are root's on Linux")
def test_a_port_of_root_s(environment: dict[str, str]) -> None:
    """A user's mistake behind `--port 443`, with the three ways out."""
    if int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) < 1024:
        pytest.skip("here such ports are everybody's")
    command = [*without("net_bind_service"), sys.executable, "-m", "partywidgets", "serve", "--no-auth", "--port", "1"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LIMIT)
    assert ended.returncode == 1
    assert (
        "127.0.0.1:1 cannot be listened on (Permission denied): ports below 1024 are root's; choose another and put a TLS" in ended.stderr
    )
    assert "AmbientCapabilities=CAP_NET_BIND_SERVICE" in ended.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files of others")
@pytest.mark.parametrize("closed", ["cert.pem", "key.pem", ""])
def test_a_certificate_of_somebody_else_s(closed: str, environment: dict[str, str], tmp_path: Path) -> None:
    """As certbot keeps them: which file it is, or which directory lets nobody in, and whose it is."""
    folder = tmp_path / "live" / "ops.example.com"
    folder.mkdir(parents=True)
    pair = trustme.CA().issue_cert("ops.example.com")
    pair.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
    pair.private_key_pem.write_to_path(str(folder / "key.pem"))
    locked = folder / closed if closed else tmp_path / "live"
    locked.chmod(0o600 if closed else 0o700)
    os.chown(locked, 65534, 65534)
    options = ["--no-auth", "--port", "0", "--certificate", str(folder / "cert.pem"), "--key", str(folder / "key.pem")]
    command = [*without("dac_override", "dac_read_search"), sys.executable, "-m", "partywidgets", "serve", *options]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LIMIT)
    assert ended.returncode == 1
    assert f"{folder / (closed or 'cert.pem')} cannot be read (Permission denied)" in ended.stderr
    whose = "it" if closed else str(locked)
    assert f"; {whose} belongs to nobody, and this runs as root: give it a copy that it may read" in ended.stderr


def test_a_taken_port(run: Run, serve: Serve) -> None:
    """A port that is taken is one sentence with the remedy."""
    host = serve()
    ended = run("serve", "--port", host.url.rpartition(":")[2])
    assert ended.code == 1
    assert "is taken: choose another" in ended.sentence


@pytest.mark.parametrize(("text", "sentence"), [("", "one token"), ("two tokens", "one token"), ("short", "shorter than 16")])
def test_a_wrong_token_file(run: Run, tmp_path: Path, text: str, sentence: str) -> None:
    """A token file that holds none, several or a short one is refused."""
    path = tmp_path / "token"
    path.touch(mode=0o600)
    path.write_text(text)
    assert sentence in run("serve", "--port", "0", "--token-file", path).sentence


def test_tls(serve: Serve, config: Path, tmp_path: Path) -> None:
    """With a certificate everything is https and wss."""
    authority = trustme.CA()
    certificate = tmp_path / "cert.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    host = serve(config, "--certificate", certificate)
    assert host.url.startswith("https://")

    async def join() -> str:
        async with PartySocket(host=host.url, party="terminal-server", room="w", token=host.token, ssl=context) as socket:
            await socket.opened(LIMIT)
            return socket.url

    assert asyncio.run(join()).startswith("wss://")


def test_loopback_is_the_default(serve: Serve) -> None:
    """Without --bind nobody but this machine reaches it."""
    assert isinstance(serve(), Host)
    assert serve().url.startswith("http://127.0.0.1:")
