"""Which host this process uses; starts it once; the bridge between the kernel's threads and the room loop."""

from __future__ import annotations

from collections.abc import Coroutine
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class HostAddress:
    """Where the rooms are. `url` is the root below which DESIGN §4's routes stand; `secret` is a bearer token (repr hides it)."""

    kind: Literal["jupyter", "kernel", "remote"]
    url: str
    host_id: str
    secret: str
    jupyter_path: str | None = None

    def endpoints(self) -> list[dict[str, Any]]:
        """The candidates for a widget's `_endpoints`, in order; nothing secret."""
        raise NotImplementedError


class RoomThread:
    """An event loop in a daemon thread of its own. `run` blocks the caller and refuses to be called from that loop."""

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Starts a coroutine on the room loop; cancelling the future cancels it there."""
        raise NotImplementedError

    def run(self, coroutine: Coroutine[Any, Any, T], *, timeout: float | None = 30.0) -> T:
        """Runs a coroutine on the room loop and waits at most `timeout` seconds (None: for ever)."""
        raise NotImplementedError

    def stop(self) -> None:
        """Ends the loop and the thread, within 5 s."""
        raise NotImplementedError


class Runtime:
    """The one host of this process: `connect(url)`, else `PARTYWIDGETS_URL`, else the Jupyter Server's, else its own."""

    thread: RoomThread

    @property
    def address(self) -> HostAddress:
        """The host's address; found or started at first use. Raises HostError with the remedy."""
        raise NotImplementedError

    def connect(self, url: str, token: str | None = None) -> HostAddress:
        """Uses the host at `url` from now on. Raises HostError when it does not answer within 5 s, RefusedError when it refuses."""
        raise NotImplementedError

    def stop(self) -> None:
        """Stops what this process started."""
        raise NotImplementedError


def runtime() -> Runtime:
    """The process' Runtime."""
    raise NotImplementedError
