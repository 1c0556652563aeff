"""The Jupyter Server extension: the rooms in the server's process, behind its login, on its origin."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jupyter_server.extension.application import ExtensionApp
from traitlets import Bool, Dict, List, TraitError, Unicode, validate

from .app import TERMINALS, App, create_app
from .auth import Gate, new_token
from .config import load_config
from .exceptions import HostError, PartyError
from .front_page import HEADERS as PAGE_HEADERS
from .front_page import FrontPage, login_page
from .host_http import LOOPBACK_HOSTS
from .kernel_widgets import widgets_of
from .last_states import leave_out_models
from .room_thread import RoomThread
from .runtime import JUPYTER_PATH, LOCAL_SANDBOXES
from .saved_notebook import has_last_states, refresh, stand_in
from .snapshot_shelf import SnapshotShelf
from .transport.tornado import SETTING, Mount, RoomsHandler
from .widgets.rendering import rendered

ENVIRONMENT = ("PARTYWIDGETS_JUPYTER_URL", "PARTYWIDGETS_KERNEL_SECRET")


def _entrance(login: str) -> tuple[Mapping[str, str], bytes] | None:
    """For a browser that opens the page without a login; None where the front end is not built."""
    try:
        return PAGE_HEADERS, login_page(login)
    except HostError:
        return None


class PartyWidgetsApp(ExtensionApp):
    """Rooms for every notebook of this server. Set its options as `c.PartyWidgetsApp.… = …` in `jupyter_server_config.py`."""

    name = "partywidgets"
    extension_url = "/partywidgets/hello"
    load_other_extensions = True

    allow_unauthenticated = Bool(
        False, help="Serve the rooms although Jupyter itself asks for no login. Then only while it listens on this machine alone."
    ).tag(config=True)
    origins = List(Unicode(), help="Origins allowed beside the server's own, as scheme://host:port.").tag(config=True)
    owners = List(
        Unicode(),
        help="Users who may do everything in the rooms, where Jupyter knows several. On JupyterHub the server's owner always may.",
    ).tag(config=True)
    storage = Unicode("", help="Directory of the rooms' databases; empty: $PARTYWIDGETS_HOME, else the user's state directory.").tag(
        config=True
    )
    config_yaml = Unicode("", help="A partywidgets.yaml that is loaded at the start; empty: none.").tag(config=True)
    sandboxes = Dict(
        value_trait=Unicode(), key_trait=Unicode(), help="Sandbox ids and addresses, laid over default and local (this machine's shell)."
    ).tag(config=True)

    save_snapshots = Bool(
        True, help="Put the last state of our widgets' rooms, as HTML without script, into notebooks that are saved."
    ).tag(config=True)

    @validate("owners")
    def _are_names(self, proposal: Any) -> list[str]:
        """A list as Python writes it, in an argument, is one name to Jupyter: nobody would be an owner, and nothing would say so."""
        names: list[str] = proposal["value"]
        for name in names:
            if name.startswith(("[", "(", "{")):
                remedy = "give --PartyWidgetsApp.owners=NAME once for each, or a list in jupyter_server_config.py"
                raise TraitError(f"{name} in PartyWidgetsApp.owners is no user's name: {remedy}")
        return names

    rooms: App | None = None
    _stack: contextlib.AsyncExitStack | None = None
    _secret = ""
    _gate: Gate
    _room_thread: RoomThread
    _shelf: SnapshotShelf

    def initialize_handlers(self) -> None:
        """The one handler below `<base_url>partywidgets/`."""
        self.handlers.append((rf"/{JUPYTER_PATH}(.*)", RoomsHandler))

    def initialize_settings(self) -> None:
        """Keeps tickets out of the access log."""
        assert self.serverapp is not None
        settings = self.serverapp.web_app.settings
        scrubbed = settings.get("extra_log_scrub_param_keys", [])
        self.settings["extra_log_scrub_param_keys"] = [*scrubbed, "ticket"]

    def initialize(self, argv: Any = None) -> None:
        """Opens the rooms before the server takes its first request."""
        super().initialize()  # type: ignore[no-untyped-call]
        serverapp = self.serverapp
        assert serverapp is not None
        self._room_thread, self._secret = RoomThread(), new_token()
        self._gate = Gate(hosts=None, same_origin=True)
        try:
            self._gate.allow(origins=self.origins)
            self.rooms = self._room_thread.run(self._open(serverapp))
        except (PartyError, TimeoutError) as error:
            # The server starts all the same: kernels then start hosts of their own.
            self.log.error("partywidgets: no rooms in this server: %s", error)
            self._room_thread.stop()
            return
        mount = Mount(
            asgi=self.rooms.asgi,
            gate=self._gate,
            loop=self._room_thread,
            secret=self._secret,
            owner=os.environ.get("JUPYTERHUB_USER") or None,
            owners=frozenset(self.owners),
            open_reason=self._open_reason(serverapp),
            active=self._active,
            entrance=_entrance,
        )
        mount.asgi = self._shelf = SnapshotShelf(self.rooms.asgi, kernel=mount.kernel())
        serverapp.web_app.settings[SETTING] = mount
        if self.save_snapshots:
            serverapp.contents_manager.register_pre_save_hook(self._before_save)  # type: ignore[no-untyped-call]
            self._stand_in(serverapp)

    async def _start_jupyter_server_extension(self, serverapp: Any) -> None:
        if self.rooms is None:
            return
        url = self._url_for_kernels(serverapp)
        if url is None:
            self.log.info("partywidgets: a server on a Unix socket has no address for kernels: they start hosts of their own")
        else:
            os.environ.update(zip(ENVIRONMENT, (url, self._secret), strict=True))

    async def _open(self, serverapp: Any) -> App:
        allowed = bool(serverapp.terminals_enabled)
        app = create_app(
            gate=self._gate,
            config=load_config(self.config_yaml) if self.config_yaml else None,
            storage=Path(self.storage) if self.storage else None,
            sandboxes={**LOCAL_SANDBOXES, **self.sandboxes} if allowed else {},
            owner_addresses=allowed,
            page=FrontPage(serverapp.base_url),
        )
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(app)
            self._stack = stack.pop_all()
        return app

    def _open_reason(self, serverapp: Any) -> str | None:
        if serverapp.identity_provider.auth_enabled:
            return None
        if not self.allow_unauthenticated:
            return "Jupyter asks for no login here: set c.PartyWidgetsApp.allow_unauthenticated = True to serve rooms all the same"
        # An empty ip is `--ip=*`.
        if not serverapp.sock and serverapp.ip not in LOOPBACK_HOSTS:
            where = serverapp.ip or "every address"
            return f"Jupyter asks for no login and listens on {where}: rooms without a login are served on 127.0.0.1 only"
        return ""

    @staticmethod
    def _url_for_kernels(serverapp: Any) -> str | None:
        if serverapp.sock:
            return None
        parts = urlsplit(serverapp.connection_url)
        host = f"127.0.0.1:{serverapp.port}" if serverapp.ip in ("", "0.0.0.0", "::", "localhost") else parts.netloc
        return f"{parts.scheme}://{host}{serverapp.base_url.rstrip('/')}/{JUPYTER_PATH}"

    def _before_save(self, model: dict[str, Any], **_: Any) -> None:
        """Jupyter's hook: what is saved shows the rooms as they are now, for readers without a kernel."""
        if model.get("type") == "notebook" and isinstance(model.get("content"), dict) and self.rooms is not None:
            refresh(model["content"], self._state_of, self._shelf.get)
            leave_out_models(model["content"])

    def _stand_in(self, serverapp: Any) -> None:
        """A notebook that is opened shows the last states that were saved, of those widgets that no kernel of it has: there is none, or it
        was restarted. Jupyter has no hook for what is read."""
        manager = serverapp.contents_manager
        read = manager.get
        if not inspect.iscoroutinefunction(read):
            return  # whoever calls a manager that blocks expects no coroutine of it

        async def get(path: str, *args: Any, **kwargs: Any) -> Any:
            model = await read(path, *args, **kwargs)
            try:
                if model.get("type") == "notebook" and isinstance(model.get("content"), dict) and has_last_states(model["content"]):
                    living = await widgets_of(serverapp, path)
                    if living is not None:
                        stand_in(model["content"], living, remedy="run this cell to go on")
            except Exception as error:
                self.log.warning("partywidgets: %s is opened without its last states: %s", path, error)
            return model

        manager.get = get

    def _state_of(self, kind: str, room: str) -> tuple[str, str] | None:
        """A room's last state as text and as HTML; None: there is no such room, or nothing to be seen in it."""
        app = self.rooms
        if app is None:
            return None

        async def look() -> tuple[str, str] | None:
            if kind == "ops":
                return rendered(app.service.board.rows.values()) if app.service.board.rows else None
            # Only a room that is there: looking must not make one.
            if room not in app.host.rooms(TERMINALS):
                return None
            terminal: Any = await app.host.get_server_by_name(TERMINALS, room)
            markup = str(await terminal.showing.html(saved=True))
            return (str(await terminal.showing.text(saved=True)), markup) if markup else None

        try:
            return self._room_thread.run(look(), timeout=1.0)
        except (PartyError, TimeoutError) as error:
            self.log.warning("partywidgets: no snapshot of %r in the saved notebook: %s", room, error)
            return None

    def _active(self) -> None:
        # Idle cullers look at settings that end so.
        from jupyter_server._tz import utcnow

        assert self.serverapp is not None
        self.serverapp.web_app.settings["partywidgets_last_activity"] = utcnow()

    def current_activity(self) -> dict[str, int] | None:
        """Terminals with a room: they hold a process, so the server is not idle. A page that only watches does not count."""
        if self.rooms is None:
            return None
        host = self.rooms.host

        async def count() -> int:
            return len(host.rooms(TERMINALS))

        try:
            terminals = self._room_thread.run(count(), timeout=1.0)
        except (PartyError, TimeoutError):
            return None
        return {"terminals": terminals} if terminals else None

    async def stop_extension(self) -> None:
        """Closes the rooms and their thread, within 5 s."""
        if self._secret and os.environ.get("PARTYWIDGETS_KERNEL_SECRET") == self._secret:
            for name in ENVIRONMENT:
                os.environ.pop(name, None)
        stack, self._stack, self.rooms = self._stack, None, None
        if stack is None:
            return
        began = time.monotonic()
        try:
            async with asyncio.timeout(4.5):
                await asyncio.wrap_future(self._room_thread.submit(stack.aclose()))
        except Exception as error:
            self.log.warning("partywidgets: the rooms did not stop cleanly: %s: %s", type(error).__name__, error)
        self.log.debug("partywidgets: the rooms stopped in %.1f s", time.monotonic() - began)
        await asyncio.to_thread(self._room_thread.stop)
