"""partywidgets.yaml: what it may hold, and where an error says it is."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from partywidgets.config import Config, config_schema, load_config, parse_config, resolve
from partywidgets.exceptions import ConfigError
from partywidgets.scans.checks import CHECK_TYPES
from partywidgets.scans.checks.base import CheckModel
from partywidgets.scans.maintenance import MaintenanceSettings
from partywidgets.scans.notify_settings import NotifySettings
from partywidgets.scans.waiver import WaiverSettings

HTTP = "{id: shop, type: http, url: 'https://shop.example/health'}"
BARE = "id: b, type: http, url: 'http://b'}"


NAMES = "abcdefghi"
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in pairwise(NAMES))
"""Nine levels of nine aliases: 9⁹ values in 300 bytes."""


def complaint(text: str) -> tuple[str, int | None, int | None]:
    """The message, line and column of the error that a text gives."""
    with pytest.raises(ConfigError) as caught:
        parse_config(text, path="ops.yaml")
    error = caught.value
    place = ":".join(str(part) for part in ("ops.yaml", error.line, error.column) if part is not None)
    assert str(error).startswith(f"{place}: "), "the text names the place"
    assert "\n" not in str(error), "one sentence"
    return str(error).removeprefix(f"{place}: "), error.line, error.column


def test_a_config_may_be_empty() -> None:
    """Nothing is required; the defaults are those of the design."""
    for text in ("", "# nothing yet\n", "checks: []\n"):
        config = parse_config(text)
        assert config.checks == ()
        assert config.terminal.keep == 900
        assert config.history.keep_raw == 7 * 86_400


def test_ten_thousand_checks_are_one_config() -> None:
    """So many with address, condition, labels and rhythm fit the limits of a config; the last one's twin is found with its line."""
    lines = [
        f"  - {{id: c{n}, type: http, url: 'https://h{n}.example/health', conditions: ['status == 200'], labels: {{team: web}}, every: 1m}}"
        for n in range(10_000)
    ]
    text = "checks:\n" + "\n".join(lines) + "\n"
    assert len(parse_config(text).checks) == 10_000
    assert complaint(text + lines[-1])[1] == 10_002


def test_a_checks_cron_wins_over_the_defaults_interval() -> None:
    """What a check says itself stands in place of the other rhythm that the defaults give."""
    text = f"defaults: {{every: 1m}}\nchecks:\n  - {{cron: '15 0 9 * * *', timezone: Asia/Tokyo, {BARE}\n"
    (check,) = parse_config(text).checks
    assert (check.every, check.cron, check.timezone) == (None, "15 0 9 * * *", "Asia/Tokyo")


def test_a_cell_is_one_of_a_runbook() -> None:
    """`cell_id` goes with a runbook, the remediation's or the check's, to where it is read; without one it is refused with its place."""
    text = "checks:\n  - { id: a, type: host, disk: /, remediation: { cell_id: 'repair it' } }\n"
    with pytest.raises(ConfigError, match=r"^partywidgets.yaml:2:\d+: .*`cell_id` is a cell of the `runbook`, and there is none"):
        parse_config(text)
    (check,) = parse_config(text.replace("remediation:", "runbook: 'https://lab.example/lab/tree/shop.ipynb', remediation:")).checks
    assert check.remedy is not None
    assert check.remedy.place == "https://lab.example/lab/tree/shop.ipynb#cell-id=repair%20it"


def test_a_whole_config_is_read() -> None:
    """Sandboxes, defaults laid under the checks, durations in seconds, sections of every room."""
    config = parse_config(
        """
sandboxes: { default: "local:", web: "docker:web-1" }
defaults:  { every: 1m, timeout: 5s, attempts: 3, labels: {env: prod} }
checks:
  - { id: shop, type: http, url: "https://shop.example/health", severity: critical, labels: {team: web},
      conditions: ["status == 200", "duration_ms < 500"],
      remediation: { text: "Restart the web tier", command: "supervisorctl restart shop", sandbox: web, runbook: runbooks/shop.ipynb } }
  - { id: slow, type: http, url: "https://shop.example/slow", timeout: 30s, attempts: 1 }
schedule:  { full: "*/5 * * * *" }
notify: []
history:   { keep_raw: 7d, keep_rollups: 400d }
recording: { keep: 30d, input: false }
terminal:  { keep: 15m }
modules:   [team.checks]
maintenance: []
auth: {}
"""
    )
    shop, slow = config.checks
    assert (shop.id, shop.type, shop.every, shop.timeout, shop.attempts, shop.severity) == ("shop", "http", 60, 5, 3, "critical")
    assert shop.labels == {"env": "prod", "team": "web"}
    assert (slow.every, slow.timeout, slow.attempts, slow.labels) == (60, 30, 1, {"env": "prod"})
    assert config.sandboxes == {"default": "local:", "web": "docker:web-1"}
    assert (config.schedule.full, config.terminal.keep, config.recording.keep) == ("*/5 * * * *", 900, 30 * 86_400)
    assert config.modules == ("team.checks",)


@pytest.mark.parametrize(
    ("written", "seconds"), [("15m", 900), ("1h30m", 5400), ("2w", 1_209_600), ("90", 90), ("0", 0), ("null", None), ("forever", None)]
)
def test_a_terminal_is_kept_for_a_duration_or_for_ever(written: str, seconds: float | None) -> None:
    """`terminal.keep` takes a duration, seconds, or null."""
    assert parse_config(f"terminal: {{keep: {written}}}").terminal.keep == seconds


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("check: []", 1, 1, "unknown key 'check', did you mean 'checks'?"),
        ("checks: []\nterminal:\n  kep: 15m\n", 3, 3, "terminal: unknown key 'kep', did you mean 'keep'?"),
        ("checks:\n  - id: shop\n    type: http\n    urll: 'https://a'\n", 4, 5, "check 'shop': unknown key 'urll', did you mean 'url'?"),
        (f"checks:\n  - {HTTP}\n  - {{id: b, type: htp, url: 'b:'}}\n", 3, 19, "check 'b': unknown check type 'htp', did you mean 'http'?"),
        ("checks:\n  - {id: b, url: 'http://b'}\n", 2, 5, "check 'b': the key 'type' is missing"),
        ("checks:\n  - {id: b, type: http}\n", 2, 5, "check 'b': the key 'url' is missing"),
        ("checks:\n  - {type: http, url: 'http://b'}\n", 2, 5, "checks[0]: the key 'id' is missing"),
        ("checks:\n  - shop\n", 2, 5, "checks[0]: expected a mapping of keys, got 'shop'"),
        ("checks: shop\n", 1, 9, "checks: expected a list, got 'shop'"),
        (f"checks:\n  - {{severity: hgh, {BARE}\n", 2, 16, "check 'b', severity: 'hgh' is not valid here, did you mean 'high'?"),
        ("checks:\n  - {id: b, type: http, url: 'http://b', timeout: 5x}\n", 2, 51, "check 'b', timeout: '5x' is not a duration"),
        (f"checks:\n  - {{remediation: {{txt: x}}, {BARE}\n", 2, 20, "check 'b', remediation: unknown key 'txt', did you mean 'text'?"),
        (f"checks:\n  - {{conditions: ['true',\n      'status =='], {BARE}\n", 3, 7, "check 'b', conditions[1]: "),
        ("defaults: {timeout: soon}\nchecks: []\n", 1, 21, "defaults.timeout: 'soon' is not a duration"),
        ("defaults: {tiemout: 5s}\n", 1, 12, "defaults: unknown key 'tiemout', did you mean 'timeout'"),
        (f"checks:\n  - {{cron: '0 9 * * *', every: 1m, {BARE}\n", 2, 12, "check 'b', cron: a check has `every` or `cron`, not both"),
        (f"checks:\n  - {{cron: '0 9 * *', {BARE}\n", 2, 12, "check 'b', cron: '0 9 * *' is not a cron expression"),
        ("schedule: {full: 'every day'}\n", 1, 18, "schedule.full: 'every day' is not a cron expression"),
        ("schedule:\n  jitter: 4\n", 2, 11, "schedule.jitter: expected 0 to 1, got 4"),
        ("terminal: {keep: 15x}", 1, 18, "terminal.keep: '15x' is not a duration; write '500ms', '30s', '5m', '2h', '7d' or '1h30m'"),
        ("modules: ['team checks']", 1, 11, "modules[0]: 'team checks' is not a module name"),
        ("auth: {tokens: [{subject: ci, token: '${env:T}', roles: [admn]}]}", 1, 57, "auth.tokens[0].roles: unknown role 'admn'"),
        ("auth: {tokens: [{subject: owner, token: '${env:T}'}]}", 1, 27, "auth.tokens[0].subject: 'owner' is a name of the host's own"),
        ("notify: [{name: chat, url: 'slack://a/b/c'}]", 1, 28, "notify[0].url: an Apprise URL holds a secret: put it into"),
        ("- checks", 1, 1, "a config is a mapping of keys"),
    ],
)  # fmt: skip
def test_a_wrong_key_or_value_is_named_with_its_place_and_what_was_meant(text: str, line: int, column: int, words: str) -> None:
    """Line and column, counted from 1, are those of the key or the value itself."""
    message, *place = complaint(text)
    assert message.startswith(words), message
    assert place == [line, column]


def test_the_first_mistake_is_told_and_the_others_counted() -> None:
    """One sentence, whatever a file holds."""
    message, line, _ = complaint("terminal: {kep: 1}\nschedule: {jiter: 1}\nhistory: {keep: 1}\n")
    assert line == 1
    assert message.endswith("(and 2 more)")


def test_a_key_near_nothing_gets_the_list_of_what_there_is() -> None:
    """No guess is better than a wrong one."""
    message, _, _ = complaint("auth: {zzz: 1}")
    assert message == "auth: unknown key 'zzz', expected one of tokens, hosts, origins, sockets_per_subject"


def test_two_checks_of_one_id_are_an_error_with_both_lines() -> None:
    """The second is the place, the first is named."""
    message, line, column = complaint("checks:\n  - {id: a, type: http, url: 'http://a'}\n  - type: http\n    url: 'http://b'\n    id: a\n")
    assert (line, column) == (5, 9)
    assert message == "the check id 'a' is used a second time, the first is on line 2: an id names one check"


@pytest.mark.parametrize(
    ("depends", "line", "circle"),
    [
        ({"a": "b", "b": "c", "c": "a", "d": "a"}, 2, "'a' depends on 'b', which depends on 'c', which depends on 'a'"),
        ({"a": "b", "b": "b"}, 3, "'b' depends on 'b'"),
        ({"a": "b", "b": "c", "c": "x"}, None, ""),
    ],
)
def test_checks_that_depend_on_each_other(depends: dict[str, str], line: int | None, circle: str) -> None:
    """A circle is a mistake with the place of one of its checks: when they all fail, each would be suppressed by another."""
    text = "checks:\n" + "".join(f"  - {{id: {one}, type: host, load: true, depends_on: [{other}]}}\n" for one, other in depends.items())
    if line is None:
        assert len(parse_config(text).checks) == len(depends)
        return
    message, found, _ = complaint(text)
    assert (message, found) == (f"check {circle}: when all of them fail nobody would be told; take one `depends_on` out", line)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: [1\nb: 2\n", 1, "this is not valid YAML"),
        ("\ta: 1\n", 1, "this is not valid YAML"),
        ("checks: []\nchecks: []\n", 2, "the key 'checks' stands here a second time: the first is on line 1"),
        ("terminal: {keep: 1, keep: 2}\n", 1, "the key 'keep' stands here a second time"),
        ("a: 1\n---\nb: 2\n", 2, "this is not valid YAML"),
        ("terminal: !!python/object/apply:os.system [x]\n", 1, "is not known here"),
        ("terminal: !secret x\n", 1, "the tag !secret is not known here"),
        ("5: x\n", 1, "a key is text: put 5 into quotes"),
        ("checks: &x [*x]\n", 1, "the config is nested deeper than 40 levels, or an alias contains itself"),
        ("checks: " + "[" * 5000, None, "the config is nested deeper"),
        (BOMB, None, "the config holds more than 500000 values"),
        ("# " + "x" * (4 << 20), None, "the config is longer than 4194304 characters"),
        ("a: \x00\n", None, "this is not valid YAML"),
    ],
)  # fmt: skip
def test_what_is_no_usable_yaml_is_refused_with_its_place(text: str, line: int | None, words: str) -> None:
    """Broken, ambiguous, tagged, endless and huge texts are errors of one sentence, not crashes."""
    message, found, _ = complaint(text)
    assert words in message
    if line is not None:
        assert found == line


WHOLE = f"""sandboxes: {{default: 'local:'}}
defaults: {{every: 1m, labels: {{env: prod}}}}
checks:
  - &a {HTTP}
  - {{<<: *a, id: other, conditions: ["status == 200"]}}
schedule: {{full: "*/5 * * * *"}}
auth: {{tokens: [{{subject: ci, token: "${{env:T}}"}}]}}
"""
PIECES = [
    "{",
    "}",
    "[",
    "]",
    ": ",
    "\n",
    "- ",
    "'",
    '"',
    "${env:",
    "&a ",
    "*a",
    "<<: *a",
    "!x ",
    "|",
    "%YAML 9\n",
    "null",
    "1e999",
    ".nan",
    "2016-01-01",
]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, len(WHOLE)), st.integers(0, 15), st.one_of(st.sampled_from(PIECES), st.text(max_size=8))),
        min_size=1,
        max_size=5,
    )
)
def test_whatever_a_file_holds_it_is_a_config_or_an_error_of_one_sentence(edits: list[tuple[int, int, str]]) -> None:
    """Cuts and insertions anywhere in a whole config: no other exception, no line break in the message."""
    text = WHOLE
    for at, cut, piece in edits:
        text = text[:at] + piece + text[at + cut :]
    said = ""
    try:
        parse_config(text)
    except ConfigError as error:
        said = str(error)
    assert "\n" not in said


def test_anchors_and_merge_keys_work() -> None:
    """YAML's own way to say something once is kept, and a merged key's error has a place."""
    config = parse_config("checks:\n  - &shop {id: a, type: http, url: 'http://a', timeout: 3s}\n  - {<<: *shop, id: b}\n")
    assert [(check.id, check.timeout) for check in config.checks] == [("a", 3), ("b", 3)]
    message, line, _ = complaint("checks:\n  - &shop {id: a, type: http, urll: 'http://a'}\n  - {<<: *shop, id: b}\n")
    assert "'urll'" in message
    assert line == 2


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("auth:\n  tokens:\n    - {subject: ci, token: abcdefghijklmnop}\n", 3, 28),
        ("checks:\n  - {id: a, type: http, url: 'http://a', headers: {Authorization: Bearer abc}}\n", 2, 67),
        ("checks:\n  - {id: a, type: http, url: 'http://a', password: hunter2}\n", 2, 52),
        ("checks:\n  - {id: a, type: http, url: 'http://a', env: {DB_PASSWORD: hunter2}}\n", 2, 61),
        ("checks:\n  - {id: a, type: http, url: 'https://ada:hunter2@a.example/'}\n", 2, 30),
        ("checks:\n  - {id: a, type: http, url: 'https://a.example/?a=1&token=hunter2'}\n", 2, 30),
        ("checks:\n  - {id: a, type: http, url: 'https://ghp_0123456789abcdefghij0123456789abcdef@a.example/'}\n", 2, 30),
    ],
)
def test_a_secret_that_is_written_out_is_refused_with_the_remedy_and_not_repeated(text: str, line: int, column: int) -> None:
    """Secrets stand in the environment or in files; the error shows where, never what."""
    message, *place = complaint(text)
    assert place == [line, column]
    assert "${env:NAME}" in message
    assert "${file:PATH}" in message
    for secret in ("abcdefghijklmnop", "Bearer abc", "hunter2", "ghp_"):
        assert secret not in message


def test_a_reference_is_no_written_secret_and_a_label_is_no_secret() -> None:
    """`${env:…}` anywhere in a value is enough; labels are shown to everybody anyway."""
    config = parse_config(
        f"auth: {{tokens: [{{subject: ci, token: '${{env:CI_TOKEN}}'}}]}}\nchecks: [{HTTP.replace('}', ', labels: {token: none}}')}]"
    )
    assert config.auth.tokens[0].token == "${env:CI_TOKEN}"
    assert config.checks[0].labels == {"token": "none"}
    for address in (
        "https://a.example/?token=${env:A}&secret=${file:b}",
        "https://${env:U}@a.example/",
        "https://a.example/?q=password&page=2",
    ):
        assert parse_config(f"checks: [{{id: a, type: http, url: '{address}'}}]").checks[0].model_dump()["url"] == address


@pytest.mark.parametrize("reference", ["${env:}", "${env:A B}", "${env:1X}", "${file:}", "${env:X", "${ENV:X}", "${env X}"])
def test_a_reference_that_can_never_be_resolved_is_refused_when_the_config_is_read(reference: str) -> None:
    """A typo in a reference is not found at three in the morning."""
    message, line, _ = complaint(f"auth:\n  hosts:\n    - '{reference}'\n")
    assert message.startswith("a reference reads ${env:NAME} or ${file:PATH}")
    assert line == 3


def test_references_are_resolved_in_every_text_and_only_once(tmp_path: Path) -> None:
    """Lists and mappings are gone through; what a variable holds is not resolved again; other ${…} stays."""
    (tmp_path / "secret").write_text("from-file\n")
    value = {"a": ["x ${env:A} ${file:secret}", 5], "b": ("${env:B}",), "c": "${HOME} $A", "d": f"${{file:{tmp_path}/secret}}"}
    found = resolve(value, environ={"A": "1", "B": "${env:A}"}, base=tmp_path)
    assert found == {"a": ["x 1 from-file", 5], "b": ("${env:A}",), "c": "${HOME} $A", "d": "from-file"}


def test_a_missing_reference_is_named_and_its_neighbours_are_not(tmp_path: Path) -> None:
    """The error has the reference's name, no content of another one."""
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "large").write_bytes(b"x" * 70_000)
    for reference in ("${env:MISSING}", "${file:missing}", "${file:binary}", "${file:large}", f"${{file:{tmp_path}}}"):
        with pytest.raises(ConfigError) as caught:
            resolve("${env:GIVEN}" + reference, environ={"GIVEN": "hunter2"}, base=tmp_path)
        assert str(caught.value).startswith(f"{reference} cannot be resolved: ")
        assert "hunter2" not in str(caught.value)
        assert "xxxx" not in str(caught.value)


def test_a_file_is_read_and_errors_name_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`load_config` takes a path; a missing file, a directory and another encoding are errors of one sentence."""
    path = tmp_path / "partywidgets.yaml"
    path.write_text(f"checks: [{HTTP}]\nauth: {{tokens: [{{subject: ci, token: '${{env:CI_TOKEN}}'}}]}}\n")
    config = load_config(path)
    assert isinstance(config, Config)
    assert config.auth.tokens[0].token == "${env:CI_TOKEN}", "the reference stays a reference"
    monkeypatch.chdir(tmp_path)
    assert load_config("partywidgets.yaml").path == str(path), "one file has one name, from wherever it is loaded"
    assert load_config(path, environ={"CI_TOKEN": "x"}) == config
    with pytest.raises(ConfigError, match=r"partywidgets\.yaml:2:\d+: \$\{env:CI_TOKEN\} cannot be resolved"):
        load_config(path, environ={})
    with pytest.raises(ConfigError, match=r"missing\.yaml: there is no such file"):
        load_config(tmp_path / "missing.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path)
    path.write_bytes(b"checks: \xff\n")
    with pytest.raises(ConfigError, match="not UTF-8 text"):
        load_config(path)


def test_the_schema_describes_the_file() -> None:
    """Editors get a JSON Schema that refuses unknown keys and tells the check types apart."""
    from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

    schema = config_schema()
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    good = {
        "defaults": {"every": "1m"},
        "checks": [{"id": "a", "type": "http", "url": "http://a", "timeout": "5s"}],
        "terminal": {"keep": 900},
    }
    assert validator.is_valid(good)
    assert not validator.is_valid({"check": []})
    assert not validator.is_valid({"checks": [{"id": "a", "type": "htp", "url": "http://a"}]})


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("https://ops.example.com", "https://ops.example.com/"),
        ("https://OPS.example.com:443/ops/", "https://ops.example.com/ops/"),
        ("http://10.0.0.7:8787", "http://10.0.0.7:8787/"),
        ("http://[fd00::7]:80/", "http://[fd00::7]/"),
    ],
)
def test_a_public_url_is_what_a_browser_makes_of_it(written: str, meant: str) -> None:
    """Its Host and Origin are compared as strings."""
    assert parse_config(f"public_url: '{written}'").public_url == meant


@pytest.mark.parametrize(
    "written",
    [
        "ops.example.com",
        "ftp://ops.example.com",
        "https://",
        "https://ops example/",
        "https://o/?a=b",
        "https://o/#check=a",
        "https://o:99999",
        "https://ö.de",
        "https://o/<b>",
        "https://me@o/",
        "https://o,p/",
    ],
)
def test_a_public_url_that_is_none_is_refused(written: str) -> None:
    """With its place, and what to write."""
    with pytest.raises(ConfigError, match=r"partywidgets\.yaml:1:13: .*(https://ops\.example\.com|\$\{env)"):
        parse_config(f"public_url: '{written}'")


def test_the_reference_has_every_key() -> None:
    """Each key of each section, of every check and of each type of check stands in the config's reference, in its place."""
    page = (Path(__file__).parents[1] / "docs" / "reference" / "config.md").read_text()
    rows = dict(re.findall(r"^\| `([a-z]+)` \| (.*) \|$", page, re.M))
    common = {name for row in re.findall(r"^\| ((?:`[a-z_]+`(?:, )?)+) \|", page, re.M) for name in re.findall(r"`([a-z_]+)`", row)}
    missing = [name for name in [*CheckModel.model_fields, "type"] if name not in common]
    for kind, model in CHECK_TYPES.items():
        own = set(model.model_fields) - set(CheckModel.model_fields) - {"type"}
        missing += [f"{kind}.{name}" for name in own if kind != "function" and not re.search(rf"\b{name}\b", rows.get(kind, ""))]
    for section, field in Config.model_fields.items():
        missing += [section] if f"| `{section}` |" not in page else []
        inner: Any = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel) and section != "defaults":
            missing += [f"{section}.{name}" for name in inner.model_fields if f"`{section}.{name}`" not in page]
    for section, listed in (("notify", NotifySettings), ("maintenance", MaintenanceSettings), ("waivers", WaiverSettings)):
        missing += [f"{section}.{name}" for name in listed.model_fields if not re.search(rf"\b{name}\b", rows[section])]
    assert missing == []
