"""Where other tools send messages, as Apprise's URLs (https://appriseit.com/services/)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import SplitResult, quote, urlencode, urlsplit

NATIVE = frozenset(("discord", "googlechat", "slack", "teams"))
"""Services whose own https addresses Apprise takes."""
NOBODY = "nobody is told by it; where Apprise has a service for it, add it under notify: https://appriseit.com/services/"

Fields = Mapping[str, str]
"""What a tool knows of a service, under the names that the makers below use."""


def address(service: str, fields: Fields) -> str | None:
    """The URL of a service; None where there is none of its kind, or a part is missing."""
    maker = _MAKERS.get(service)
    try:
        return None if maker is None else maker(fields)
    except (KeyError, ValueError):
        return None


def _webhook(fields: Fields) -> str | None:
    return fields["webhook"] if urlsplit(fields["webhook"]).scheme == "https" else None


def _mattermost(fields: Fields) -> str | None:
    at = _web(fields["webhook"])
    before, hooks, token = at.path.rpartition("/hooks/")
    return f"mmost{_s(at)}://{at.netloc}{before}/{token}" if hooks and token else None


def _rocket(fields: Fields) -> str | None:
    at = _web(fields["webhook"])
    _, hooks, token = at.path.rpartition("/hooks/")
    return f"rocket{_s(at)}://{token}@{at.netloc}" if hooks and token.count("/") == 1 else None


def _telegram(fields: Fields) -> str | None:
    return f"tgram://{_part(fields['token'])}/{_part(fields['chat'])}"


def _pushover(fields: Fields) -> str | None:
    return f"pover://{_part(fields['user'])}@{_part(fields['token'])}"


def _ntfy(fields: Fields) -> str | None:
    at = _web(fields.get("server") or "https://ntfy.sh")
    who = ""
    if fields.get("token"):
        who = f"{_part(fields['token'])}@"
    elif fields.get("user"):
        who = f"{_part(fields['user'])}:{_part(fields.get('password', ''))}@"
    return f"ntfy{_s(at)}://{who}{at.netloc}/{_part(fields['topic'])}"


def _gotify(fields: Fields) -> str | None:
    at = _web(fields["server"])
    return f"gotify{_s(at)}://{at.netloc}{at.path.rstrip('/')}/{_part(fields['token'])}"


def _email(fields: Fields) -> str | None:
    port = fields.get("port") or "587"
    who = f"{_part(fields['user'])}:{_part(fields.get('password', ''))}@" if fields.get("user") else ""
    more = {"from": fields["from"], "to": fields["to"]}
    if port == "465" or fields.get("secure") in ("true", "1"):
        more["mode"] = "ssl"
    return f"mailto{'' if port == '25' else 's'}://{who}{fields['host']}:{int(port)}?{urlencode(more)}"


def _matrix(fields: Fields) -> str | None:
    at = _web(fields["server"])
    return f"matrix{_s(at)}://{_part(fields['token'])}@{at.netloc}/{_part(fields['room'])}"


def _twilio(fields: Fields) -> str | None:
    return f"twilio://{_part(fields['sid'])}:{_part(fields['token'])}@{_part(fields['from'])}/{_part(fields['to'])}"


def _signal(fields: Fields) -> str | None:
    at = _web(fields["server"])
    to = "/".join(_part(number.strip()) for number in fields["to"].split(","))
    return f"signal{_s(at)}://{at.netloc}/{_part(fields['from'])}/{to}"


def _home_assistant(fields: Fields) -> str | None:
    at = _web(fields["server"])
    return f"hassio{_s(at)}://{at.netloc}/{_part(fields['token'])}"


def _given(fields: Fields) -> str | None:
    """Apprise's own URL, one of them."""
    return fields["url"] if "://" in fields["url"] and "," not in fields["url"] else None


def _part(text: str) -> str:
    if not text:
        raise ValueError("a part is empty")
    return quote(text, safe="")


def _web(url: str) -> SplitResult:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("no address of a web server")
    return parts


def _s(parts: SplitResult) -> str:
    return "s" if parts.scheme == "https" else ""


_MAKERS: dict[str, Callable[[Fields], str | None]] = {
    "apprise": _given,
    "discord": _webhook,
    "email": _email,
    "googlechat": _webhook,
    "gotify": _gotify,
    "home-assistant": _home_assistant,
    "matrix": _matrix,
    "mattermost": _mattermost,
    "ntfy": _ntfy,
    "opsgenie": lambda fields: f"opsgenie://{_part(fields['token'])}",
    "pushbullet": lambda fields: f"pbul://{_part(fields['token'])}",
    "pushover": _pushover,
    "rocketchat": _rocket,
    "signal": _signal,
    "slack": _webhook,
    "teams": _webhook,
    "telegram": _telegram,
    "twilio": _twilio,
}
