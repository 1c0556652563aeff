"""What a phone says at night: the words of notifications."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from partywidgets.scans.model import CheckResult
from partywidgets.scans.notice import BODY_CHARS, Message, Notice, compose, labels_of

BEGAN = datetime(2026, 11, 28, 2, 59, 7, tzinfo=UTC)
DOWN = Notice("f1", "Shop", "ok", "crit", "critical", "got 503", "https://shop.example", "restart it; runbook R", since=BEGAN)
UP = replace(DOWN, before="crit", standing="ok", summary="HTTP 200", remedy="", lasted=3725.4)


def told(*notices: Notice, group: str = "", others: int = 0) -> Message:
    """The message, with no secrets to hide."""
    return compose(notices, redact=str, group=group, others=others)


def test_one_problem_says_since_when_and_what_to_do() -> None:
    """What, where, how bad, since when, and the remedy."""
    assert told(DOWN) == Message(
        "CRIT: Shop",
        "CRIT Shop: got 503\nseverity critical, target https://shop.example, since 2026-11-28 02:59:07 UTC\nrestart it; runbook R",
        "failure",
    )


@pytest.mark.parametrize(
    "said",
    ["@everyone", "@HERE", "@channel", "@room", "@all", "<!channel>", "<!here|here>", "<@U024BE7LH>", "<@&42>", "@**all**", "<users/all>"],
)
def test_what_a_target_answered_pages_nobody(said: str) -> None:
    """A mention in a summary or a title reads as it did, and is none any more; an address and other text stay as they are."""
    notice = replace(DOWN, title=f"shop {said}", summary=f"got 503: {said} wake up, a@example.org <b> @hereby 2 < 3")
    message = told(notice)
    for text in (message.title, message.body):
        assert said not in text
        assert said in text.replace("\u200b", "")
    assert "a@example.org <b> @hereby 2 < 3" in message.body


def test_a_problem_says_where_it_is() -> None:
    """By its labels, and where rows that share a message have one title, by their check: at night nobody knows which of two it is."""
    row = CheckResult("eu_shop", "http", "t", "crit", labels={"zone": "eu", "notify-ops": "true", "note": "a\nb"})
    assert labels_of(row) == "zone=eu, note=a b"
    shop = replace(DOWN, check_id="eu_shop", labels="zone=eu")
    assert "target https://shop.example, zone=eu, since" in told(shop).body
    body = told(shop, replace(shop, fingerprint="f2", check_id="us_shop"), replace(shop, fingerprint="f3", title="Cart")).body
    assert [line for line in body.splitlines() if line.startswith("CRIT")] == [
        "CRIT Cart: got 503",
        "CRIT Shop (eu_shop): got 503",
        "CRIT Shop (us_shop): got 503",
    ]


def test_what_is_gone_did_not_recover() -> None:
    """A check that was taken out is counted for itself, and nothing says that it is ok."""
    gone = replace(DOWN, before="crit", standing="ok", summary="its check was taken out of a.yaml", remedy="", since=None, gone=True)
    one = told(gone)
    assert (one.title, one.body.splitlines()[0]) == ("GONE: Shop", "GONE (was crit) Shop: its check was taken out of a.yaml")
    assert told(gone, replace(UP, fingerprint="f2"), replace(gone, fingerprint="f3")).title == "1 recovered, 2 taken out"


def test_a_recovery_says_how_long_it_lasted() -> None:
    """In its two largest units; after a restart of the host, which does not know, without."""
    assert told(UP).body.splitlines() == ["OK (was crit for 1h2m) Shop: HTTP 200", "severity critical, target https://shop.example"]
    assert told(replace(UP, lasted=None)).body.startswith("OK (was crit) Shop")


def test_a_recovery_is_not_taken_for_all() -> None:
    """Others that still fail stand in the title, and take its green away."""
    alone = told(UP, others=2)
    assert (alone.title, alone.kind) == ("OK: Shop (2 more still failing)", "warning")
    several = told(UP, replace(UP, fingerprint="f2", title="Pay"), group="team=web", others=1)
    assert (several.title, several.kind) == ("2 recovered, 1 still failing (team=web)", "warning")
    mixed = told(UP, DOWN, others=1)
    assert (mixed.title, mixed.kind) == ("1 more failing, 1 recovered, 2 failing in all", "failure")


def test_a_reminder_says_that_it_is_none_of_news() -> None:
    """For how long it fails stands in it; among others it is one of those that still fail."""
    still = replace(DOWN, before="crit", lasted=4 * 3600.0)
    assert told(still).title == "STILL CRIT: Shop"
    assert told(still).body.splitlines()[0] == "STILL CRIT for 4h Shop: got 503"
    assert told(still, others=1).title == "STILL CRIT: Shop (1 more still failing)"
    pay = replace(still, fingerprint="f2", title="Pay")
    assert told(still, pay, group="team=web").title == "2 still failing (team=web)"
    assert told(still, pay, replace(DOWN, fingerprint="f3")).title == "1 more failing, 3 failing in all"
    assert told(still, replace(UP, fingerprint="f3")).title == "1 recovered, 1 still failing"
    assert told(still, replace(UP, fingerprint="f3")).kind == "failure"


def test_an_outage_says_when_it_began_and_a_remedy_that_all_share() -> None:
    """The earliest of all; one remedy once, a few with the names of their rows, many not at all."""
    rows = [replace(DOWN, fingerprint=f"f{n}", title=f"S{n:02}", since=BEGAN + timedelta(seconds=n)) for n in range(25)]
    lines = told(*rows).body.splitlines()
    assert lines[19:] == ["CRIT S19: got 503", "… and 5 more", "the first since 2026-11-28 02:59:07 UTC", "restart it; runbook R"]
    two = told(rows[0], replace(rows[1], remedy="ask Ana")).body.splitlines()
    assert two[2:] == ["the first since 2026-11-28 02:59:07 UTC", "S00: restart it; runbook R", "S01: ask Ana"]
    one = told(rows[0], replace(rows[1], remedy="")).body.splitlines()
    assert one[2:] == ["the first since 2026-11-28 02:59:07 UTC", "S00: restart it; runbook R"]
    many = told(*(replace(row, remedy=f"restart {row.title}") for row in rows)).body
    assert "restart" not in many


def test_a_message_links_to_the_page_where_there_is_one() -> None:
    """Of one row to its details, of several to the board; in a long message it is what stays."""
    page = "https://ops.example.com/ops/"
    assert compose([DOWN], redact=str, page=page).body.splitlines()[-1] == "https://ops.example.com/ops/#check=f1"
    assert compose([DOWN, replace(DOWN, fingerprint="f2")], redact=str, page=page).body.splitlines()[-1] == page
    gone = replace(UP, gone=True, summary="its check was taken out of shop.yaml")
    assert compose([gone], redact=str, page=page).body.splitlines()[-1] == page, "its row is not there any more"
    long = compose([replace(DOWN, summary="x" * 10_000)], redact=str, page=page).body
    assert len(long) == BODY_CHARS
    assert long.endswith("…\nhttps://ops.example.com/ops/#check=f1")
