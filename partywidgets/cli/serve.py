"""`partywidgets serve`: the rooms of a team."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import ipaddress
import logging
import os
import shlex
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..exceptions import ConfigError
from . import counted, say
from .certificate import Certificate
from .systemd import LogFormatter, ServiceManager
from .tokens import read_token, write_token

if TYPE_CHECKING:
    from ..config import Config
    from ..scans.module_worker import Stamp

logger = logging.getLogger("partywidgets.serve")

STOP_WITHIN = 5.0
"""Seconds from the first signal to the end of the process, in order or not."""
THREADS_END_WITHIN = 0.5
"""Seconds that threads have to end once all else has."""


@dataclass(frozen=True, slots=True)
class Options:
    """What was typed."""

    config: Path | None
    bind: str
    port: int
    storage: Path | None
    token_file: Path | None
    no_auth: bool
    certificate: Path | None
    key: Path | None
    watch: bool = False


def run(options: Options) -> None:
    """Serves until SIGINT or SIGTERM, then ends within 5 s. Raises PartyError for what keeps it from starting."""
    lines, handler = LogFormatter(), logging.StreamHandler(sys.stderr)
    handler.setFormatter(lines)
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    if options.watch and options.config is None:
        raise ConfigError("--watch needs a config: name one, or leave --watch out")
    loopback = _is_loopback(options.bind)
    if options.no_auth and not loopback:
        raise ConfigError(f"--no-auth would let in everybody who can reach {options.bind}: bind to 127.0.0.1, or leave --no-auth out")
    if options.no_auth and options.token_file is not None:
        raise ConfigError("--no-auth and --token-file exclude each other: leave one out")
    tls = _certificate(options.certificate, options.key)
    if not loopback and tls is None:
        say(
            f"{options.bind} without TLS: tokens, keystrokes and output can be read on the network. "
            "Give --certificate and --key, or put a TLS proxy in front.",
            logging.WARNING,
        )
    from ..config import load_config
    from ..scans.module_worker import stamp_of

    read = stamp_of(options.config or "")
    config = load_config(options.config, environ=os.environ) if options.config is not None else None
    # Results are many objects that live on for a while, without cycles: by Python's own thresholds a tenth of a scan goes into looking.
    # A look at 15,000 of them takes 1.5 ms, in which no key is echoed; one at all there are, 50 ms, comes every tenth of a million results.
    gc.set_threshold(5_000, 2, 1_000)
    ended = threading.Event()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(options, config, read, tls, lines, ended))
        ended.set()
        # Python waits for every thread, also for one in which the system looks a name up for a library: half a minute and more where the
        # resolver does not answer. All that is ours has ended and is written by now.
        _timer(THREADS_END_WITHIN, lambda: os._exit(0))


async def _serve(
    options: Options, config: Config | None, read: Stamp, tls: Certificate | None, lines: LogFormatter, in_order: threading.Event
) -> None:
    from ..app import create_app
    from ..auth import Gate, Identity
    from ..front_page import FrontPage
    from ..party.grant import OPEN_ROLES, OWNER_ROLES
    from ..terminal.recording_thread import off_loop
    from ..transport.server import bind_socket, serve
    from .reload import Reloader

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    manager = ServiceManager()
    listening = bind_socket(options.bind, options.port)
    try:
        address, port = listening.getsockname()[:2]
        token, said = (None, "") if options.no_auth else _token(options.token_file)
        gate = Gate(open_roles=OPEN_ROLES) if token is None else Gate(tokens={token: Identity("owner", "owner", OWNER_ROLES)})
        gate.bind_address(port, address=address, scheme="https" if tls else "http")
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, _begin_to_stop, stop, loop, in_order)
        async with (
            create_app(gate=gate, config=config, storage=options.storage, page=FrontPage()) as app,
            serve(app.asgi, sock=listening, ssl_context=tls.context if tls is not None else None) as server,
        ):
            lines.known = app.terminals.known_secrets
            ended = asyncio.ensure_future(server.serve_forever())
            stopping = asyncio.ensure_future(stop.wait())
            following = None
            if options.config is not None or tls is not None:
                reloader = Reloader(app, options.config, read=read, watch=options.watch, certificate=tls, tell=manager.status)
                following = asyncio.ensure_future(reloader.run())
                # A terminal that was closed sends it too: then nobody is there to stop the host.
                on_terminal = os.isatty(sys.stderr.fileno())
                loop.add_signal_handler(
                    signal.SIGHUP, lambda: stop.set() if on_terminal and not os.isatty(sys.stderr.fileno()) else reloader.ask()
                )
            try:
                # Behind the handlers: whoever reads it may send a signal at once.
                _greet(
                    _greeting(
                        server.url,
                        len(app.service.registry),
                        sorted(app.terminals.sandboxes),
                        said,
                        app.host.storage_path,
                        open_=token is None,
                        wildcard=address in ("0.0.0.0", "::"),
                        page=config.public_url if config is not None else None,
                    )
                )
                manager.ready(f"{counted(len(app.service.registry), 'check')}, listening at {server.url}")
                await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if ended.done():
                    ended.result()
            finally:
                manager.stopping()
                ended.cancel()
                stopping.cancel()
                if following is not None:
                    following.cancel()
                    await asyncio.wait({following})
        await off_loop(lambda: None)  # the last lines of the audit log are written by then
    finally:
        listening.close()


def _begin_to_stop(stop: asyncio.Event, loop: asyncio.AbstractEventLoop, in_order: threading.Event) -> None:
    stop.set()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.remove_signal_handler(number)  # a second one ends the process at once

    def cut() -> None:
        if in_order.is_set():
            os._exit(0)
        say(f"did not stop cleanly within {STOP_WITHIN:g} s, exiting now", logging.WARNING)
        _kill_children()
        os._exit(1)

    _timer(STOP_WITHIN - 0.2, cut)


def _kill_children() -> None:
    """Shells that take no hang-up would stay, without a terminal."""
    import psutil

    with contextlib.suppress(psutil.Error):
        for child in psutil.Process().children():
            child.kill()


def _timer(seconds: float, then: Callable[[], object]) -> None:
    timer = threading.Timer(seconds, then)
    timer.daemon = True
    timer.start()


def _token(path: Path | None) -> tuple[str, str]:
    """The owner's token, and the line to print about it; only a new one that stands nowhere else is shown."""
    from ..auth import new_token

    if path is not None:
        if path.exists():
            token = read_token(path)
            assert token is not None
            return token, f"  token    in {path}"
        return write_token(path), f"  token    new, in {path}"
    given = read_token(None)
    if given is not None:
        return given, "  token    from PARTYWIDGETS_TOKEN"
    token = new_token()
    return token, f"  token    {token}   (shown once; --token-file keeps one)"


def _greet(text: str) -> None:
    """Prints it. Where that cannot be, on a full disk or where its reader has gone, the host is there all the same."""
    try:
        print(text, flush=True)
    except OSError as error:
        logger.warning("nothing can be printed to standard output, the host goes on: %s", error.strerror)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left of it would fail at the end, again


def _greeting(
    url: str, checks: int, sandboxes: list[str], said: str, storage: Path, *, open_: bool, wildcard: bool, page: str | None
) -> str:
    from .. import __version__

    lines = [
        f"partywidgets {__version__} with {counted(checks, 'check')} and {counted(len(sandboxes), 'sandbox', 'es')}",
        f"  rooms    {url}",
        f"  page     {page or url}" + ("" if open_ else "   (in a browser; asks for a token)"),
    ]
    lines += [f"  storage  {storage.absolute()}"]
    # `attach` asks for the id `default` unless it is told another one.
    chosen = "" if "default" in sandboxes or not sandboxes else f" --sandbox {shlex.quote(sandboxes[0])}"
    attach = (
        f"partywidgets attach ROOM{chosen} --url {url}" if sandboxes else "none: a shell needs a sandbox, under `sandboxes:` in the config"
    )
    if open_:
        lines += ["  token    none: open to every program and user of this machine"]
        lines += ["  roles    everybody types in terminals, acks, silences and re-checks; whole scans need a token: leave --no-auth out"]
        lines += [f'  notebook pw.connect("{url}")']
        lines += [f"  terminal {attach}"]
    else:
        lines += [said, f'  notebook pw.connect("{url}", token=…)', f"  terminal {'PARTYWIDGETS_TOKEN=… ' if sandboxes else ''}{attach}"]
    if wildcard:
        lines += ["  names    others reach this host by the names in auth.hosts of the config"]
    return "\n".join([*lines, "Ctrl-C stops."])


def _is_loopback(bind: str) -> bool:
    if bind == "localhost":
        return True
    try:
        return ipaddress.ip_address(bind).is_loopback
    except ValueError:
        raise ConfigError(f"--bind takes an IP address or localhost, got {bind!r}") from None


def _certificate(path: Path | None, key: Path | None) -> Certificate | None:
    if path is None:
        if key is not None:
            raise ConfigError("--key needs --certificate, too")
        return None
    return Certificate(path, key)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    make: Any = uvloop.new_event_loop
    return make  # type: ignore[no-any-return]
