"""Addresses of services, as Apprise takes them."""

from __future__ import annotations

import pytest

from partywidgets.convert.gatus_alerts import SERVICES as OF_GATUS
from partywidgets.convert.kuma_services import SERVICES as OF_KUMA
from partywidgets.convert.services import _MAKERS, address
from partywidgets.scans.notify_delivery import is_known

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
SLACK = "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"


@pytest.mark.parametrize(
    ("service", "fields", "expected"),
    [
        ("slack", {"webhook": SLACK}, SLACK),
        ("discord", {"webhook": "https://discord.com/api/webhooks/4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js"}, None),
        (
            "teams",
            {"webhook": "https://prod-1.westus.logic.azure.com:443/workflows/abc1234567/triggers/manual/paths/invoke?sig=Zz-_aa"},
            None,
        ),
        ("googlechat", {"webhook": "https://chat.googleapis.com/v1/spaces/AAAA/messages?key=kkk&token=ttt"}, None),
        (
            "mattermost",
            {"webhook": "https://chat.example:8443/hooks/3ccdd113474722377935511fc85d3dd4"},
            "mmosts://chat.example:8443/3ccdd113474722377935511fc85d3dd4",
        ),
        ("rocketchat", {"webhook": "https://chat.example/hooks/aaa111/bbb222"}, "rockets://aaa111/bbb222@chat.example"),
        ("telegram", {"token": "123456789:abcdefg_hijklmnop", "chat": "-100123"}, "tgram://123456789%3Aabcdefg_hijklmnop/-100123"),
        ("pushover", {"user": "u" * 30, "token": "t" * 30}, None),
        ("ntfy", {"topic": "ops"}, "ntfys://ntfy.sh/ops"),
        ("ntfy", {"server": "http://n.example:8080", "topic": "ops", "user": "a", "password": "b c"}, "ntfy://a:b%20c@n.example:8080/ops"),
        ("gotify", {"server": "https://g.example/sub/", "token": "AbCdEf123"}, "gotifys://g.example/sub/AbCdEf123"),
        ("email", {"host": "m.example", "port": "587", "user": "a@x", "password": "p/w", "from": "a@x.example", "to": "b@y.example"}, None),
        ("email", {"host": "m.example", "port": "25", "from": "a@x.example", "to": "b@y.example"}, None),
        (
            "matrix",
            {"server": "https://m.example", "token": "syt_abc", "room": "!r:m.example"},
            "matrixs://syt_abc@m.example/%21r%3Am.example",
        ),
        ("twilio", {"sid": "AC" + "a" * 32, "token": "b" * 32, "from": "+15551230000", "to": "+15551230001"}, None),
        ("opsgenie", {"token": "a" * 36}, None),
        ("pushbullet", {"token": "a" * 34}, None),
        ("signal", {"server": "http://s.example:8080", "from": "+15551230000", "to": "+15551230001, +15551230002"}, None),
        ("home-assistant", {"server": "https://h.example:8123", "token": "abc"}, None),
        ("apprise", {"url": "json://h.example"}, "json://h.example"),
    ],
)
def test_apprise_takes_the_address(service: str, fields: dict[str, str], expected: str | None) -> None:
    """Each service's parts make an address that Apprise knows."""
    made = address(service, fields)
    assert made is not None
    assert expected in (None, made)
    assert is_known(made)


UUID = "00000000-0000-4000-8000-000000000000"
PARTS = {
    "token": "a" * 32,
    "secret": "ab1",
    "user": "ops",
    "password": "p",
    "from": "+15551230000",
    "to": "+15551230001, +15551230002",
    "server": "https://s.example",
}
MAIL = {"from": "a@x.example", "to": "b@y.example,c@y.example"}
FEISHU, LARK = (f"https://open.{name}/open-apis/bot/v2/hook/{UUID}" for name in ("feishu.cn", "larksuite.com"))


@pytest.mark.parametrize(
    ("service", "fields", "expected"),
    [
        ("aws-ses", {**MAIL, "user": "AKIAIOSFODNN7EXAMPLE", "region": "eu-west-1"}, None),
        ("bark", {"server": "https://api.day.app/KEYkeyKEY"}, "barks://api.day.app/KEYkeyKEY"),
        ("brevo", MAIL, f"brevo://{'a' * 32}:a@x.example/b%40y.example/c%40y.example"),
        ("clicksend", {}, None),
        ("dingtalk", {"webhook": "https://oapi.dingtalk.com/robot/send?access_token=abc123"}, "dingtalk://ab1@abc123"),
        ("elks", {}, None),
        ("evolution", {"instance": "i", "to": "+15551230001"}, None),
        ("feishu", {"webhook": FEISHU}, f"feishu://{UUID}"),
        ("feishu", {"webhook": LARK}, f"lark://{UUID}"),
        ("fluxer", {"webhook": "https://api.fluxer.app/webhooks/12345678901/abcdefghijklmnopqrst"}, None),
        ("freemobile", {}, None),
        ("goalert", {"token": UUID}, f"goalerts://s.example/{UUID}"),
        ("ifttt", {"event": "down"}, f"ifttt://{'a' * 32}/down"),
        ("ilert", {}, None),
        (
            "incident-io",
            {"webhook": "https://api.incident.io/v2/alert_events/http/01ABCDEF"},
            f"incidentio://01ABCDEF/{'a' * 32}",
        ),
        ("kook", {"to": "123"}, None),
        ("line", {"to": "U123"}, None),
        ("messagebird", {"token": "a" * 25}, None),
        ("octopush", {"from": "ops", "user": "a@x.example"}, None),
        ("opsgenie", {"region": "eu"}, f"opsgenie://{'a' * 32}?region=eu"),
        ("pagerduty", {}, f"pagerduty://{'a' * 32}@none"),
        ("pagerduty", {"server": "https://events.eu.pagerduty.com/v2/enqueue"}, None),
        ("pagertree", {"webhook": "https://api.pagertree.com/integration/int_abcdefgh"}, None),
        ("plivo", {"user": "a" * 25}, None),
        ("pushdeer", {"server": ""}, f"pushdeer://{'a' * 32}"),
        ("pushdeer", {}, f"pushdeers://s.example/{'a' * 32}"),
        ("pushplus", {}, None),
        ("pushy", {"to": "device"}, None),
        ("resend", MAIL, None),
        ("sendgrid", MAIL, None),
        ("serverchan", {}, None),
        ("serwersms", {"from": "ops"}, None),
        ("seven", {}, None),
        ("signl4", {}, None),
        ("signl4-webhook", {"webhook": "https://connect.signl4.com/webhook/abc123"}, "signl4://abc123"),
        ("smsc", {}, None),
        ("smsmanager", {}, None),
        (
            "splunk",
            {"webhook": f"https://alert.victorops.com/integrations/generic/20131114/alert/{UUID}", "routing": "team"},
            f"splunk://team@{UUID}",
        ),
        ("spugpush", {}, None),
        (
            "squadcast",
            {"webhook": "https://api.eu.squadcast.com/v2/incidents/api/abcDEF"},
            "squadcast://abcDEF?region=eu",
        ),
        ("stackfield", {"webhook": f"https://www.stackfield.com/apiwh/{UUID}"}, None),
        ("techulus-push", {"token": UUID}, None),
        ("telnyx", {}, None),
        ("threema", {"from": "*GWID123", "to": "ABCD1234"}, None),
        ("vonage", {}, None),
        ("webex", {"webhook": f"https://webexapis.com/v1/webhooks/incoming/{'a' * 80}"}, None),
        ("wecom", {}, None),
        ("whapi", {"to": "15551230001"}, None),
        ("wpush", {"token": "WPUSH" + "a" * 27}, None),
        ("zoho-cliq", {"webhook": "https://cliq.zoho.com/api/v2/channelsbyname/ops/message?zapikey=1001.abc.def"}, None),
        ("zulip", {"bot": "ops-bot@org.zulipchat.com", "domain": "org.zulipchat.com", "to": "42"}, f"zulip://ops@org/{'a' * 32}/42"),
    ],
)
def test_apprise_takes_the_address_of_parts(service: str, fields: dict[str, str], expected: str | None) -> None:
    """The same for services whose parts have names that many share."""
    test_apprise_takes_the_address(service, {**PARTS, **fields}, expected)


def test_each_service_of_a_source_has_a_maker() -> None:
    """No source names a service that no address is made for, and none is made that no source has."""
    assert {service for service, _ in (*OF_GATUS.values(), *OF_KUMA.values())} == set(_MAKERS)


@pytest.mark.parametrize(
    ("service", "fields"),
    [
        ("pigeon", {}),
        ("slack", {"webhook": ""}),
        ("slack", {}),
        ("mattermost", {"webhook": "https://chat.example/api/x"}),
        ("telegram", {"token": "", "chat": "1"}),
        ("ntfy", {"server": "ntfy.sh", "topic": "ops"}),
        ("email", {"host": "m.example", "port": "mail", "from": "a@x", "to": "b@y"}),
        ("squadcast", {"webhook": "https://squadcast.example/v2/incidents/api/abc"}),
        ("incident-io", {"webhook": "https://incident.example/v2/alert_events/http/abc", "token": "t"}),
        ("splunk", {"webhook": "https://splunk.example:8088/services/collector", "routing": "team"}),
        ("zulip", {"bot": "ops-bot@chat.example", "domain": "chat.example", "token": "a" * 32, "to": "42"}),
        ("bark", {"server": "https://api.day.app/"}),
        ("dingtalk", {"webhook": "https://oapi.dingtalk.com/robot/send"}),
    ],
)
def test_what_lacks_a_part_has_none(service: str, fields: dict[str, str]) -> None:
    """An unknown service, and one without all of its parts, has no address."""
    assert address(service, fields) is None
