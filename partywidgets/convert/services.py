"""Where other tools send messages, as Apprise's URLs (https://appriseit.com/services/)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit

NATIVE = frozenset(("discord", "fluxer", "googlechat", "slack", "stackfield", "teams", "webex", "zoho-cliq"))
"""Services whose own https addresses Apprise takes."""
NOBODY = "nobody is told by it; where Apprise has a service for it, add it under notify: https://appriseit.com/services/"

OWN_BODY = (
    "what it sends is made for its receiver; json:// or form:// under notify sends Apprise's own: https://appriseit.com/services/json/"
)
"""Why a webhook with a body of the source's is left out."""
_BY_HAND = "nobody is told by it until you add a target of your own under notify, by {scheme}://: https://appriseit.com/services/"
INCIDENTS = frozenset(("goalert", "ilert", "incident-io", "pagerduty", "pagertree", "signl4", "splunk", "squadcast"))
"""Services that open an incident with a problem and end it with the recovery, by `scans/notify_incident.py`; reminding people is theirs."""

Fields = Mapping[str, str]
"""What a tool knows of a service, under the names that the makers below use."""


def address(service: str, fields: Fields) -> str | None:
    """The URL of a service; None where there is none of its kind, or a part is missing."""
    maker = _MAKERS.get(service)
    try:
        return None if maker is None else maker(fields)
    except (KeyError, ValueError):
        return None


def unheard(name: str, by_hand: Mapping[str, str], *, own_body: bool) -> str:
    """Why a service is left out, and what can be done: `by_hand` has the schemes of those that Apprise has all the same."""
    if name in by_hand:
        return f"{name}: {_BY_HAND.format(scheme=by_hand[name])}"
    return f"{name}: {OWN_BODY if own_body else NOBODY}"


def _made_of(pattern: str) -> Callable[[Fields], str]:
    """A maker that puts fields into a pattern: `{name}` is one part, `{name/}` one for each of a list with commas, `{name@}` an address of
    mail, which Apprise takes as it is."""

    def make(fields: Fields) -> str:
        def value(found: re.Match[str]) -> str:
            given = fields[found[1]]
            if found[2] == "/":
                return "/".join(_part(one.strip()) for one in given.split(","))
            return _part(given).replace("%40", "@") if found[2] else _part(given)

        return re.sub(r"\{(\w+)([/@]?)\}", value, pattern)

    return make


def _key_of(service: str, path: str, hosts: str) -> Callable[[Fields], str | None]:
    """A maker for services whose webhook is `https://HOST/path/KEY`, HOST one that matches `hosts`."""

    def make(fields: Fields) -> str | None:
        at = _web(fields["webhook"])
        before, _, key = at.path.rstrip("/").rpartition("/")
        return f"{service}://{_part(key)}" if before == path and re.fullmatch(hosts, at.hostname or "") else None

    return make


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


def _signal(fields: Fields) -> str | None:
    at = _web(fields["server"])
    to = "/".join(_part(number.strip()) for number in fields["to"].split(","))
    return f"signal{_s(at)}://{at.netloc}/{_part(fields['from'])}/{to}"


def _home_assistant(fields: Fields) -> str | None:
    at = _web(fields["server"])
    return f"hassio{_s(at)}://{at.netloc}/{_part(fields['token'])}"


def _pagerduty(fields: Fields) -> str | None:
    # Events API v2 knows the integration by its key alone; Apprise wants one of the REST API beside it, which that one does not look at.
    region = "?region=eu" if ".eu." in fields.get("server", "") else ""
    return f"pagerduty://{_part(fields['token'])}@none{region}"


def _squadcast(fields: Fields) -> str | None:
    made = _key_of("squadcast", "/v2/incidents/api", r"api\.(eu\.)?squadcast\.com")(fields)
    return made and made + ("?region=eu" if ".eu." in fields["webhook"] else "")


def _splunk(fields: Fields) -> str | None:
    key = _key_of("splunk", "/integrations/generic/20131114/alert", r"alert\.victorops\.com")(fields)
    return key and key.replace("://", f"://{_part(fields['routing'])}@")


def _incident_io(fields: Fields) -> str | None:
    source = _key_of("incidentio", "/v2/alert_events/http", r"api\.incident\.io")(fields)
    return source and f"{source}/{_part(fields['token'])}"


def _goalert(fields: Fields) -> str | None:
    at = _web(fields["server"])
    return f"goalert{_s(at)}://{at.netloc}{at.path.rstrip('/')}/{_part(fields['token'])}"


def _bark(fields: Fields) -> str | None:
    at = _web(fields["server"])
    return f"bark{_s(at)}://{at.netloc}{at.path.rstrip('/')}" if at.path.strip("/") else None


def _dingtalk(fields: Fields) -> str | None:
    token = dict(parse_qsl(_web(fields["webhook"]).query)).get("access_token", "")
    secret = f"{_part(fields['secret'])}@" if fields.get("secret") else ""
    return f"dingtalk://{secret}{_part(token)}"


def _feishu(fields: Fields) -> str | None:
    lark = _key_of("lark", "/open-apis/bot/v2/hook", r"open\.larksuite\.com")(fields)
    return lark or _key_of("feishu", "/open-apis/bot/v2/hook", r"open\.feishu\.cn")(fields)


def _pushdeer(fields: Fields) -> str | None:
    server = fields.get("server") or ""
    at = _web(server) if server else None
    return f"pushdeer{_s(at)}://{at.netloc}/{_part(fields['token'])}" if at else f"pushdeer://{_part(fields['token'])}"


def _evolution(fields: Fields) -> str | None:
    at = _web(fields["server"])
    parts = _made_of("{instance}/{to}")(fields)
    return f"evolution{_s(at)}://{_part(fields['token'])}@{at.netloc}/{parts}"


def _zulip(fields: Fields) -> str | None:
    name, organisation = fields["bot"].partition("@")[0].removesuffix("-bot"), fields["domain"].removesuffix(".zulipchat.com")
    if organisation == fields["domain"]:
        return None  # Apprise knows Zulip's own servers only
    return f"zulip://{_part(name)}@{_part(organisation)}/{_part(fields['token'])}/{_part(fields['to'])}"


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
    "aws-ses": _made_of("ses://{from@}/{user}/{token}/{region}/{to/}"),
    "bark": _bark,
    "brevo": _made_of("brevo://{token}:{from@}/{to/}"),
    "clicksend": _made_of("clicksend://{user}:{token}@{to/}"),
    "dingtalk": _dingtalk,
    "discord": _webhook,
    "elks": _made_of("elks://{user}:{token}@{from}/{to/}"),
    "email": _email,
    "evolution": _evolution,
    "feishu": _feishu,
    "fluxer": _webhook,
    "freemobile": _made_of("freemobile://{user}@{token}"),
    "goalert": _goalert,
    "googlechat": _webhook,
    "gotify": _gotify,
    "home-assistant": _home_assistant,
    "ifttt": _made_of("ifttt://{token}/{event}"),
    "ilert": _made_of("ilert://{token}"),
    "incident-io": _incident_io,
    "kook": _made_of("kook://{token}/{to}"),
    "line": _made_of("line://{token}/{to/}"),
    "matrix": _matrix,
    "mattermost": _mattermost,
    "messagebird": _made_of("msgbird://{token}/{from}/{to/}"),
    "ntfy": _ntfy,
    "octopush": _made_of("octopush://{from}:{user@}/{token}/{to/}"),
    "opsgenie": lambda fields: _made_of("opsgenie://{token}")(fields) + ("?region=eu" if fields.get("region") == "eu" else ""),
    "pagerduty": _pagerduty,
    "pagertree": _key_of("pagertree", "/integration", r"api\.pagertree\.com"),
    "plivo": _made_of("plivo://{user}@{token}/{from}/{to/}"),
    "pushbullet": _made_of("pbul://{token}"),
    "pushdeer": _pushdeer,
    "pushover": _pushover,
    "pushplus": _made_of("pushplus://{token}"),
    "pushy": _made_of("pushy://{token}/{to}"),
    "resend": _made_of("resend://{token}:{from@}/{to/}"),
    "rocketchat": _rocket,
    "sendgrid": _made_of("sendgrid://{token}:{from@}/{to/}"),
    "serverchan": _made_of("schan://{token}"),
    "serwersms": _made_of("serwersms://{user}:{password}@{from}/{to/}"),
    "seven": _made_of("seven://{token}/{to/}"),
    "signal": _signal,
    "signl4": _made_of("signl4://{token}"),
    "signl4-webhook": _key_of("signl4", "/webhook", r"connect\.signl4\.com"),
    "slack": _webhook,
    "smsc": _made_of("smsc://{user}:{password}@{to/}"),
    "smsmanager": _made_of("smsmanager://{token}@{to/}"),
    "splunk": _splunk,
    "spugpush": _made_of("spugpush://{token}"),
    "squadcast": _squadcast,
    "stackfield": _webhook,
    "teams": _webhook,
    "techulus-push": _made_of("push://{token}"),
    "telegram": _telegram,
    "telnyx": _made_of("telnyx://{token}@{from}/{to/}"),
    "threema": _made_of("threema://{from}@{token}/{to/}"),
    "twilio": _made_of("twilio://{sid}:{token}@{from}/{to/}"),
    "vonage": _made_of("vonage://{token}:{secret}@{from}/{to/}"),
    "webex": _webhook,
    "wecom": _made_of("wecombot://{token}"),
    "whapi": _made_of("whapi://{token}/{to}"),
    "wpush": _made_of("wpush://{token}"),
    "zoho-cliq": _webhook,
    "zulip": _zulip,
}
