"""One message to one Apprise URL, in a thread that may hang without holding up anything else."""

from __future__ import annotations

import contextlib
import logging
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec

from ..exceptions import ConfigError
from .calls import OverdueError, StillRunningError, shared_calls
from .notify_alias import alert_of
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


@dataclass(frozen=True, slots=True)
class Undelivered:
    """Why a message counts as not delivered, in words that hold no secret. `in_doubt`: the service may have taken it all the same."""

    reason: str
    in_doubt: bool = False


async def deliver(
    key: str, url: str, resolve: Callable[[str], str], title: str, body: str, kind: str, *, incident: str | None = None
) -> Undelivered | None:
    """Sends one message; None when the service took it, else why not. Never raises for what a service did.

    `url` is a reference, resolved for each message, so that a rotated secret counts at once. `incident` is the key of the incident that the
    message is about, where the service opens such.
    """

    def send() -> Undelivered | None:
        try:
            target = resolve(url)
        except ConfigError as error:
            return Undelivered(str(error))
        return _send(target if incident is None else keyed(target, incident) or target, title, body, kind)

    try:
        outcome: Undelivered | None = await shared_calls().call(f"notify {key}", send, SEND_TIME)
    except OverdueError:
        return Undelivered(f"the service did not answer within {SEND_TIME:g} s", in_doubt=True)
    except StillRunningError:
        return Undelivered("an earlier message still hangs in the service")
    except Exception as error:  # a plugin's fault; its text may hold the URL
        return Undelivered(f"{type(error).__name__} in the service's Apprise plugin", in_doubt=True)
    return outcome


async def opens_incidents(key: str, url: str, resolve: Callable[[str], str]) -> bool | None:
    """Whether what the reference holds is a service that opens incidents; None where that cannot be said now. Never raises: what is wrong
    with it its delivery says."""

    def look() -> bool:
        return keyed(resolve(url), key) is not None

    try:
        # Under a name of its own: a message that hangs must not make a service look like one without incidents.
        return bool(await shared_calls().call(f"which service notify {key} is", look, SEND_TIME))
    except Exception:
        return None


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


def _send(url: str, title: str, body: str, kind: str) -> Undelivered | None:
    # Apprise speaks to some 170 services by one URL syntax; it is an extra, for it brings requests along.
    import apprise

    with _heard() as notes:
        asset = apprise.AppriseAsset(app_id="partywidgets", app_desc="partywidgets", async_mode=False, secure_logging=True)
        plugin = apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
        if plugin is None:
            return Undelivered(f"what the reference holds is not a URL that Apprise knows: {SERVICES}")
        alert = alert_of(plugin) if kind == "success" else None
        if alert is not None:
            status = alert.close(f"{title}\n{body}")
            answered = None if status is None else str(status)
            sent = answered is not None and answered.startswith("2")
        else:
            sent = plugin.notify(body=body, title=title, notify_type=apprise.NotifyType(kind), body_format=apprise.NotifyFormat.TEXT)
            answered = next((match[1] for note in reversed(notes) if (match := _ANSWERED.search(note))), None)
    if sent:
        return None
    if answered is None:
        return Undelivered("the service could not be reached, or refused the message", in_doubt=True)
    # With 5xx a proxy may speak for a service that took the message.
    return Undelivered(f"the service answered HTTP {answered}", in_doubt=not answered.startswith("4"))
