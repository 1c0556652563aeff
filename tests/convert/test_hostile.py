"""Sources in which anything stands anywhere: a config or a sentence comes out, never a traceback, and no secret."""

from __future__ import annotations

import copy
import json
import tempfile
from pathlib import Path
from typing import Any
from unicodedata import category

from hypothesis import given, settings
from hypothesis import strategies as st

from partywidgets.config import parse_config
from partywidgets.convert import convert
from partywidgets.exceptions import ConfigError

SECRET = "ghp_0123456789abcdefghijABCDEFGHIJ012345"
GATUS: dict[str, Any] = {
    "alerting": {
        "slack": {
            "webhook-url": "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ",
            "default-alert": {"enabled": True},
        },
        "email": {"host": "m.example", "port": 587, "from": "a@x.example", "to": "b@y.example", "username": "u", "password": SECRET},
    },
    "endpoints": [
        {
            "name": "a",
            "group": "g",
            "url": "https://a.example/",
            "method": "POST",
            "headers": {"Authorization": f"Bearer {SECRET}", "X": "$HOME"},
            "body": "b",
            "graphql": True,
            "interval": "1m",
            "conditions": ["[STATUS] == 200", "[BODY].a == pat(*)", "len([BODY]) > 0"],
            "client": {"timeout": "3s", "insecure": True, "oauth2": {"client-secret": SECRET}},
            "alerts": [{"type": "slack", "failure-threshold": 2, "description": "d"}, {"type": "email"}],
            "maintenance-windows": [{"start": "01:00", "duration": "1h", "every": ["Monday"]}],
            "extra-labels": {"l": "v"},
        },
        {"name": "d", "url": "1.1.1.1", "dns": {"query-name": "x.example", "query-type": "MX"}, "conditions": ["[BODY] == pat(*x)"]},
        {"name": "t", "url": "tcp://h:1", "conditions": ["[CONNECTED] == true"]},
        {"name": "s", "url": "ssh://h:22", "ssh": {"username": "u", "password": SECRET}, "conditions": ["[STATUS] == 0"]},
    ],
    "external-endpoints": [{"name": "e", "token": SECRET, "heartbeat": {"interval": "5m"}}],
    "maintenance": {"start": "01:00", "duration": "1h"},
}
MODULES: dict[str, Any] = {
    "modules": {
        "h": {
            "prober": "http",
            "timeout": "5s",
            "http": {
                "valid_status_codes": [200],
                "headers": {"X-Token": SECRET},
                "basic_auth": {"username": "u", "password": SECRET},
                "fail_if_header_matches": [{"header": "A", "regexp": "b"}],
                "tls_config": {"insecure_skip_verify": True},
            },
        },
        "t": {"prober": "tcp", "tcp": {"query_response": [{"expect": "^a", "send": "b"}, {"starttls": True}]}},
        "d": {"prober": "dns", "dns": {"query_name": "a", "validate_answer_rrs": {"fail_if_matches_regexp": ["["]}}},
        "i": {"prober": "icmp", "icmp": {"payload_size": 10}},
    }
}
TARGETS: dict[str, Any] = {
    "global": {"scrape_interval": "15s"},
    "scrape_configs": [
        {
            "job_name": name,
            "metrics_path": "/probe",
            "params": {"module": [name]},
            "static_configs": [{"targets": ["a:1"], "labels": {"l": "v"}}],
            "file_sd_configs": [{"files": ["*.none"]}],
            "relabel_configs": [{"source_labels": ["__address__"], "target_label": "__param_target"}],
        }
        for name in "htdi"
    ],
}
KUMA: dict[str, Any] = {
    "notificationList": [
        {
            "id": 1,
            "name": "n",
            "active": True,
            "config": json.dumps({"type": "pushover", "pushoveruserkey": "u" * 30, "pushoverapptoken": SECRET}),
        }
    ],
    "monitorList": [
        {
            "id": number,
            "name": kind,
            "type": kind,
            "url": "https://a.example/",
            "hostname": "h",
            "port": 53,
            "interval": 60,
            "active": True,
            "keyword": "k",
            "jsonPath": "a.b",
            "expectedValue": "1",
            "headers": json.dumps({"X-Token": SECRET}),
            "basic_auth_user": "u",
            "basic_auth_pass": SECRET,
            "accepted_statuscodes": ["200-299"],
            "databaseConnectionString": f"redis://u:{SECRET}@h",
            "pushToken": SECRET,
            "conditions": [{"type": "expression", "variable": "record", "operator": "equals", "value": "1"}],
            "docker_container": "c",
            "notificationIDList": {"1": True},
            "tags": [{"name": "t", "value": "v"}],
            "parent": 1,
        }
        for number, kind in enumerate(
            ("group", "http", "keyword", "json-query", "port", "ping", "dns", "push", "docker", "postgres", "mysql", "redis"), 1
        )
    ],
}
junk = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(allow_nan=False),
    st.text(max_size=20),
    st.sampled_from(
        [
            "${env:HOME}",
            "$",
            "${",
            "*",
            "a: b\nchecks: []",
            "\x1b[2J",
            "x" * 3000,
            "[*]",
            "pat(",
            "[BODY][",
            "::",
            "http://[",
            "1h",
            "-1s",
            "99999d",
        ]
    ),
    st.lists(st.text(max_size=5), max_size=3),
    st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of everything in a value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, item in inner for found in ((*path, key), *places(item, (*path, key)))]


@st.composite
def spoiled(draw: st.DrawFn, whole: Any) -> Any:
    """A value in which a few places hold something else."""
    for _ in range(draw(st.integers(1, 6))):
        whole = copy.deepcopy(whole)
        known = places(whole)
        if not known:
            break
        *above, last = draw(st.sampled_from(known))
        at = whole
        for key in above:
            at = at[key]
        at[last] = draw(junk)
    return whole


def taken(*texts: str) -> None:
    """Converts; what comes out is a config and holds no secret, and each note is one line without one."""
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for number, text in enumerate(texts):
            paths.append(Path(folder, f"{number}.yaml"))
            paths[-1].write_text(text)
        try:
            conversion = convert(paths, environ={})
        except ConfigError:
            return
    parse_config(conversion.text)
    assert SECRET not in conversion.text
    for note in map(str, conversion.notes):
        assert not any(category(sign) == "Cc" for sign in note)
        assert SECRET not in note


@settings(max_examples=80)
@given(spoiled(GATUS))
def test_gatus(source: Any) -> None:
    """Gatus' config.yaml."""
    taken(json.dumps(source))


@settings(max_examples=80)
@given(spoiled(MODULES), spoiled(TARGETS))
def test_blackbox(modules: Any, targets: Any) -> None:
    """blackbox_exporter's config and Prometheus'."""
    taken(json.dumps(modules), json.dumps(targets))


@settings(max_examples=80)
@given(spoiled(KUMA))
def test_kuma(source: Any) -> None:
    """Uptime Kuma's backup."""
    taken(json.dumps(source))
