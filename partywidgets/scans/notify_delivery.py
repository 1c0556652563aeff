"""One message to one Apprise URL, in a thread that may hang without holding up anything else."""

from __future__ import annotations

import contextlib
import logging
import re
import threading
from collections.abc import Callable, Iterator
from importlib.util import find_spec

from ..exceptions import ConfigError
from .calls import OverdueError, StillRunningError, shared_calls
from .notify_incident import keyed

SEND_TIME = 30.0
"""Seconds after which a delivery counts as failed; its thread may go on."""

SERVICES = "see https://appriseit.com/services/"

_log = logging.getLogger("partywidgets.scans.notify")
_here = threading.local()
_ANSWERED = re.compile(r"error=(\d{3})")


class _Quiet(logging.Filter):
    """Keeps what the delivering libraries log in a delivery's thread to itself: URLs and exceptions there may hold the secret."""

    def filter(self, record: logging.LogRecord) -> bool:
        notes: list[str] | None = getattr(_here, "notes", None)
        if notes is None:
            return True
        if record.name.startswith("apprise") and len(notes) < 100:
            notes.append(record.getMessage()[:500])
        return False


_quiet = _Quiet()
_LOUD = (
    "apprise",
    "apprise.plugins",
    "requests",
    "urllib3",
    "urllib3.connectionpool",
    "urllib3.util.retry",
    "requests_oauthlib",
    "oauthlib",
)


async def deliver(
    key: str, url: str, resolve: Callable[[str], str], title: str, body: str, kind: str, *, incident: str | None = None
) -> str | None:
    """Sends one message; None when the service took it, else why not, in words that hold no secret. Never raises for what a service did.

    `url` is a reference, resolved for each message, so that a rotated secret counts at once. `incident` is the key of the incident that the
    message is about, where the service opens such.
    """

    def send() -> str | None:
        try:
            target = resolve(url)
        except ConfigError as error:
            return str(error)
        return _send(target if incident is None else keyed(target, incident) or target, title, body, kind)

    try:
        outcome: str | None = await shared_calls().call(f"notify {key}", send, SEND_TIME)
    except OverdueError:
        return f"the service did not answer within {SEND_TIME:g} s"
    except StillRunningError:
        return "an earlier message still hangs in the service"
    except Exception as error:  # a plugin's fault; its text may hold the URL
        return f"{type(error).__name__} in the service's Apprise plugin"
    return outcome


async def opens_incidents(key: str, url: str, resolve: Callable[[str], str]) -> bool:
    """Whether what the reference holds is a service that opens incidents. Never raises: what is wrong with it its delivery says."""

    def look() -> bool:
        return keyed(resolve(url), key) is not None

    try:
        return bool(await shared_calls().call(f"notify {key}", look, SEND_TIME))
    except Exception:
        return False


def is_known(url: str) -> bool:
    """False where Apprise has no service for a URL, or the URL lacks a part. True where Apprise is not installed."""
    if find_spec("apprise") is None:
        return True
    import apprise

    with _heard():
        asset = apprise.AppriseAsset(async_mode=False, secure_logging=True)
        return apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True) is not None


@contextlib.contextmanager
def _heard() -> Iterator[list[str]]:
    """What Apprise logs in this thread meanwhile comes here, and nowhere else: it may hold the URL."""
    for name in _LOUD:
        logging.getLogger(name).addFilter(_quiet)  # adding it again changes nothing
    _here.notes = []
    try:
        yield _here.notes
    finally:
        del _here.notes


def _send(url: str, title: str, body: str, kind: str) -> str | None:
    # Apprise speaks to some 170 services by one URL syntax; it is an extra, for it brings requests along.
    import apprise

    with _heard() as notes:
        asset = apprise.AppriseAsset(app_id="partywidgets", app_desc="partywidgets", async_mode=False, secure_logging=True)
        plugin = apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
        if plugin is None:
            return f"what the reference holds is not a URL that Apprise knows: {SERVICES}"
        sent = plugin.notify(body=body, title=title, notify_type=apprise.NotifyType(kind), body_format=apprise.NotifyFormat.TEXT)
    if sent:
        return None
    answered = next((match[1] for note in reversed(notes) if (match := _ANSWERED.search(note))), None)
    return f"the service answered HTTP {answered}" if answered else "the service could not be reached, or refused the message"
