"""config → PartyHost + ASGI app: the only composition, called by runtime, extension and cli."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.types import ASGIApp

from .auth import RESUME_LIFETIME, Gate, Identity
from .config import Config
from .exceptions import ConfigError
from .front_page import FrontPage
from .party import Alias, Environment, Grant, PartyHost
from .references import Secrets
from .scans import channel
from .scans.modules import ModuleProcesses
from .scans.service import OpsMonitorService
from .terminal.settings import TerminalSettings

if TYPE_CHECKING:
    from .scans.entrypoint import OpsMonitorOps

log = logging.getLogger("partywidgets.app")


TERMINALS = "terminal-server"
ALIASES = (Alias("/api/workers/{room}/terminal", TERMINALS), *channel.ALIASES)


class AppHost(PartyHost):
    """A host whose `revoke` reaches what could open a grant's sockets again: its token and its tickets."""

    gate: Gate

    def revoke(self, grant_id: str) -> int:
        """Forgets the grant's token and tickets, and closes its connections with 4401; returns how many connections."""
        self.gate.revoke(grant_id)
        return super().revoke(grant_id)


@dataclass
class App:
    """A host, its ops service and the ASGI app in front of both. `async with app` starts and stops them in order."""

    host: PartyHost
    asgi: ASGIApp
    gate: Gate
    service: OpsMonitorService
    ops: OpsMonitorOps
    terminals: TerminalSettings
    config: Config
    secrets: Secrets = field(repr=False)
    functions: ModuleProcesses = field(repr=False)
    owner_addresses: bool = False
    _stack: contextlib.AsyncExitStack | None = field(default=None, repr=False)

    async def __aenter__(self) -> App:
        if self._stack is not None:
            raise ConfigError("this app is running already: create another with create_app")
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(self.host)
            self.service.directory = self.host.storage_path
            self.service.storage_lost = lambda: self.host.storage_lost
            # Left after the service, which cancels what runs: ended before, functions would be seen to fail.
            await stack.enter_async_context(self.functions)
            await stack.enter_async_context(self.service)
            if self.config.model_fields_set:
                await self._load_checks(self.config)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *error: object) -> None:
        stack, self._stack = self._stack, None
        if stack is not None:
            await stack.aclose()

    async def load(self, config: Config, *, actor: str | None = None) -> list[str]:
        """Loads a config into the running host, in place of what its path held before; returns the sections that were left out. `actor` is
        who is said to have taken checks out of it.

        `auth` is read when a host starts. Sandboxes come in only where the owner may give addresses.
        Raises ConfigError, and changes nothing, when a check id belongs to another config, a sandbox's reference cannot be resolved or a
        module cannot be imported.
        """
        addresses = _addresses(config, self.secrets)
        await self._load_checks(config, actor=actor)
        ignored = ["auth"] if config.auth != Config().auth else []
        if self.owner_addresses:
            self.terminals.sandboxes.update(addresses)
        elif any(self.terminals.sandboxes.get(sandbox) != address for sandbox, address in addresses.items()):
            ignored.append("sandboxes")
        if "terminal" in config.model_fields_set:
            self.terminals.apply(config.terminal)
        if "recording" in config.model_fields_set:
            self.terminals.recording = config.recording
        return ignored

    async def reload(self, config: Config) -> list[str]:
        """Takes the config that the host was started with as its file is now: every section but those that are returned, which a host
        reads at its start alone. Rows, acks, silences, history and what runs stay.

        Raises ConfigError, and changes nothing, as `load` does.
        """
        addresses = _addresses(config, self.secrets)
        ignored = [section for section in ("auth", "public_url") if getattr(config, section) != getattr(self.config, section)]
        config = config.model_copy(update={"auth": self.config.auth, "public_url": self.config.public_url})
        await self._load_checks(config, whole=True)
        for sandbox in self.config.sandboxes.keys() - addresses.keys():
            self.terminals.sandboxes.pop(sandbox, None)
        self.terminals.sandboxes.update(addresses)
        self.terminals.apply(config.terminal)
        self.terminals.recording = config.recording
        self.config = config
        return ignored

    async def _load_checks(self, config: Config, *, whole: bool = False, actor: str | None = None) -> None:
        base = Path(config.path).parent
        async with self.functions.loading(config.path, config.modules, base) as functions:
            await self.service.load_config(
                config.path,
                config.checks,
                functions=functions,
                schedule=config.schedule,
                history=config.history if whole or "history" in config.model_fields_set else None,
                limits=config.limits if whole or "limits" in config.model_fields_set else None,
                maintenance=[*config.maintenance, *config.waivers],
                notify=config.notify,
                page=config.public_url or "",
                resolve=self.secrets.resolver(base),
                actor=actor,
            )

    @property
    def parties(self) -> tuple[str, ...]:
        """The parties of this host, as in URLs."""
        return TERMINALS, channel.PARTY

    def revoke(self, grant_id: str) -> int:
        """Ends a grant: its token and tickets open nothing more, its sockets close with 4401. Returns how many sockets."""
        return self.host.revoke(grant_id)


def create_app(
    *,
    gate: Gate,
    config: Config | None = None,
    storage: Path | str | None = None,
    sandboxes: dict[str, str] | None = None,
    owner_addresses: bool = False,
    page: FrontPage | None = None,
) -> App:
    """Both rooms on every route: `/parties/…`, `/api/workers/…`, `/api/ops/…`, `/tickets`, `/healthz`, `/hello`, `/static`, `/metrics`.

    `sandboxes` is the map of ids to addresses that the config's own is laid over. `owner_addresses`: an admin may set addresses while it
    runs, by `PUT /api/sandboxes/:id` or by loading a config. `page`: `/` shows the board and terminals to people without a notebook, and
    outside Jupyter the config's `public_url` is one of its Hosts and Origins.
    The config's `auth` is added to the gate. Raises ConfigError, for example for a token whose variable is not set.
    """
    from .routes import Routes
    from .scans.entrypoint import OpsMonitorOps
    from .scans.probing import ProbeProcess
    from .scans.resume_tickets import ResumeTickets
    from .scans.server import OpsMonitorBroadcastServer
    from .terminal.server import TerminalServer
    from .transport.asgi import PartyMiddleware

    config = config or Config()
    secrets = Secrets()
    _admit(gate, config, secrets)
    if page == FrontPage() and config.public_url is not None:
        # The page's own name: without it nobody could use the page there.
        url = urlsplit(config.public_url)
        gate.allow(hosts=[url.netloc], origins=[f"{url.scheme}://{url.netloc}"])
    terminals = TerminalSettings(sandboxes={**(sandboxes or {}), **_addresses(config, secrets)})
    terminals.apply(config.terminal)
    terminals.recording, terminals.known_secrets = config.recording, secrets.values
    service = OpsMonitorService(limits=config.limits, redact=secrets.redact, probes=ProbeProcess(secrets.values))
    host = AppHost(
        {TERMINALS: TerminalServer, channel.PARTY: OpsMonitorBroadcastServer},
        storage=storage,
        env=Environment(terminals, service, ResumeTickets(gate.tickets)),
        # Without authentication everybody is one subject.
        sockets_per_subject=None if gate.open_roles is not None else config.auth.sockets_per_subject,
    )
    host.gate, terminals.host_id = gate, host.host_id

    def issue_resume(grant: Grant, party: str, room: str) -> tuple[str, float]:
        return gate.tickets.issue_resume(grant, party=party, room=room), RESUME_LIFETIME

    terminals.issue_ticket, terminals.release_ticket = issue_resume, gate.tickets.release
    routes = Routes(gate, page=page)
    app = App(
        host=host,
        asgi=routes.outermost(PartyMiddleware(routes, host, auth=gate, aliases=ALIASES)),
        gate=gate,
        service=service,
        ops=OpsMonitorOps(host, service),
        terminals=terminals,
        config=config,
        secrets=secrets,
        functions=ModuleProcesses(secrets.redact),
        owner_addresses=owner_addresses,
    )
    routes.app = app
    return app


def _addresses(config: Config, secrets: Secrets) -> dict[str, str]:
    base = Path(config.path).parent
    return {sandbox: secrets.resolve(address, base=base) for sandbox, address in config.sandboxes.items()}


def _admit(gate: Gate, config: Config, secrets: Secrets) -> None:
    """Adds what the config's `auth` allows to the gate."""
    gate.allow(hosts=config.auth.hosts, origins=config.auth.origins)
    base = Path(config.path).parent
    for token in config.auth.tokens:
        gate.add_token(
            secrets.resolve(token.token, base=base), Identity(token.subject, token.name or token.subject, frozenset(token.roles))
        )
