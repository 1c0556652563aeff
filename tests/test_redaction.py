"""Secrets in saved texts and in terminal output that is cut anywhere."""

from __future__ import annotations

import html
import json
import subprocess
import sys
from base64 import b64encode, urlsafe_b64encode
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from partywidgets.output_redaction import HELD, KEY_LIMIT, StreamRedactor, redact_html
from partywidgets.redaction import HIDDEN, redact
from partywidgets.references import Secrets

AWS = "AKIA" + "IOSFODNN7EXAMPLE"
GITHUB = "ghp_" + "a1B2" * 9
KEY = "-----BEGIN RSA PRIVATE KEY-----\r\nMIIEow\r\nIBAAKC\r\n-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("export DB_PASSWORD=hunter22 && ls", "export DB_PASSWORD=*** && ls"),
        (f"key {AWS} here", "key *** here"),
        (f"{GITHUB} x", "*** x"),
        ("postgres://app:s3cretpw@db/x", "postgres://app:***@db/x"),
        ("curl -H 'Authorization: Bearer abc.def'", "curl -H '***'"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-DEF_x rest", "*** rest"),
        (f"a\n{KEY}\nb", "a\n***\nb"),
    ],
)
def test_redact(text: str, left: str) -> None:
    """A secret goes whole, what stands around it stays."""
    assert redact(text) == left


@pytest.mark.parametrize(
    "text", ["", "total 12\ndrwxr-xr-x 2 root root", "secret: null", "Password: ", "the token ring of 1985", "PASSWORD=$PW"]
)
def test_nothing_to_hide(text: str) -> None:
    """Text without a secret is left alone."""
    assert redact(text) == text


def test_known_values() -> None:
    """A value that is known to be secret goes whatever it looks like."""
    assert redact("a plainword b", ["plainword"]) == "a *** b"


def streamed(output: str, size: int) -> str:
    """What a redactor lets go of output that came in pieces of that size."""
    redactor: StreamRedactor[int] = StreamRedactor()
    pieces = [piece for at in range(0, len(output), size) for piece in redactor.feed(at, output[at : at + size])]
    pieces += redactor.flush()
    assert [tag for tag, _ in pieces] == sorted(tag for tag, _ in pieces)
    return "".join(text for _, text in pieces)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 10_000])
def test_cut_anywhere(size: int) -> None:
    """A secret cut by pieces, by colours, by a cursor's move or by readline's wrap is hidden; the screen keeps its shape."""
    assert streamed(f"x {AWS[:6]}\x1b[31m{AWS[6:]}\x1b[0m y\r\n", size) == f"x {'*' * 6}\x1b[31m{'*' * 14}\x1b[0m y\r\n"
    assert AWS[8:] not in streamed(f"$ {AWS[:8]} \r{AWS[8:]}\r\nok\r\n", size)
    assert AWS[8:] not in streamed(f"\x1b[3;70H{AWS[:8]}\x1b[4;1H{AWS[8:]}\r\n", size)
    shown = streamed(f"a\r\n{KEY}\r\nb\r\n", size)
    assert "MII" not in shown
    assert "IBAA" not in shown
    assert shown.startswith("a\r\n")
    assert shown.endswith("\r\nb\r\n")


@pytest.mark.parametrize("size", [1, 5, 10_000])
def test_sequences(size: int) -> None:
    """Our marks and the clipboard are left out, a title loses its secret, everything else is as it was."""
    output = "\x1b]633;E;export TOKEN=abcdef;n\x07a\x1b]52;c;c2VjcmV0\x07b\x1b]0;TOKEN=abcdef\x07\x1b[1;31mc\x1b[0m\r\n"
    assert streamed(output, size) == "ab\x1b]0;TOKEN=******\x07\x1b[1;31mc\x1b[0m\r\n"


def test_a_line_without_an_end() -> None:
    """What is held back is bounded, and a secret across the place where it lets go is hidden all the same."""
    filler = "x " * (HELD - 8)
    for shift in range(0, 24, 3):
        output = filler[: len(filler) - shift] + AWS + " y" * 9000
        redactor: StreamRedactor[int] = StreamRedactor()
        shown = "".join(text for at in range(0, len(output), 1000) for _, text in redactor.feed(at, output[at : at + 1000]))
        assert len(shown) >= len(output) - 2 * HELD - 1000
        shown += "".join(text for _, text in redactor.flush())
        assert AWS[4:] not in shown
        assert len(shown) == len(output)


def test_a_key_that_never_ends() -> None:
    """A private key's beginning hides what follows, but not for ever."""
    lines = "-----BEGIN RSA PRIVATE KEY-----\n" + "word\n" * (KEY_LIMIT // 2)
    shown = streamed(lines, 5000)
    assert shown.startswith("*****")
    assert shown.endswith("word\n")


def test_html() -> None:
    """A secret goes from a screen's HTML also where a colour or an entity cuts it; elements and everything else stay."""
    cut = f'<pre>x <span style="color:#f00">{AWS[:7]}</span><b>{AWS[7:]}</b> y &lt;z&gt;</pre>'
    assert redact_html(cut) == f'<pre>x <span style="color:#f00">{"*" * 7}</span><b>{"*" * 13}</b> y &lt;z&gt;</pre>'
    quoted = redact_html("<pre>password=&quot;hunter two&quot; user=ana</pre>")
    assert "hunter" not in quoted
    assert "two" not in quoted
    assert quoted.endswith(" user=ana</pre>")
    assert redact_html("<b>plain</b>word", ["plainword"]) == "<b>*****</b>****"
    assert redact_html("<pre>total 12 &amp; more</pre>") == "<pre>total 12 &amp; more</pre>"


KEY_OF_IBM = 'cloud_iam_password = "' + "aB3" * 14 + 'aB"'
"""It makes the slowest of the patterns look at a text."""


@pytest.mark.parametrize(
    "text",
    [
        f"{KEY_OF_IBM}\n--password" + " " * 200_000 + "-",
        "authorization: Basic YWJj\nauthorization:" + " " * 200_000 + "'",
        f"a.eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.c2ln\n{'eyJ' * 20_000}",
        f"//npm.example/:_authToken=npm_{'a' * 36}\n" + "/" * 60_000,
        "password=hunter22\n" + "password" * 30_000,
    ],
    ids=["assignment", "header", "web token", "registry", "words"],
)
def test_a_text_that_was_written_to_take_time(text: str) -> None:
    """Whatever stands beside a secret, the time to find it grows with the text alone: some of these took days."""
    assert HIDDEN in redact(text)


@pytest.mark.parametrize("secret", ['hunter22 & <ä>/?"x\\', "correct horse battery", "tr0ub4dor"])
def test_a_secret_in_other_spellings(tmp_path: Path, secret: str) -> None:
    """What a config named is hidden as echo pages and programs print it: percent-encoded, in JSON and HTML, in base64 behind any name."""
    secrets = Secrets({"KEY": secret})
    secrets.resolve("${env:KEY}", base=tmp_path)
    octets = secret.encode()
    texts = [secret, quote(secret), quote(secret, safe="").lower(), quote_plus(secret), json.dumps(secret)[1:-1], html.escape(secret)]
    texts += [b64encode(f"{user}:{secret}".encode()).decode() for user in ("ana", "ben-", "admin")]
    texts += [urlsafe_b64encode(octets + b"\n").decode(), b64encode(octets).decode()]
    for text in texts:
        left = secrets.redact(f"got {text} here")
        assert HIDDEN in left, text
        assert len(left) < 24, left
    assert secrets.redact("nothing of it") == "nothing of it"


@pytest.mark.parametrize(("first", "seen"), [("pass", True), ("logging.captureWarnings(True)", False)])
def test_warnings_of_whoever_redacts_are_seen(first: str, seen: bool) -> None:
    """The library, imported, takes the warnings of the whole process into a log that nobody reads; who had done so before keeps it."""
    script = f"""
import logging, warnings
{first}
from partywidgets.redaction import redact
assert redact("PASSWORD=hunter22") == "PASSWORD=***"
warnings.warn("the column is deprecated")
"""
    ran = subprocess.run([sys.executable, "-W", "default", "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert ("UserWarning: the column is deprecated" in ran.stderr) is seen
