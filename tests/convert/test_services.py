"""Addresses of services, as Apprise takes them."""

from __future__ import annotations

import pytest

from partywidgets.convert.services import address
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
    ],
)
def test_what_lacks_a_part_has_none(service: str, fields: dict[str, str]) -> None:
    """An unknown service, and one without all of its parts, has no address."""
    assert address(service, fields) is None
