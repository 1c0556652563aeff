"""Marks, echoes and plain text, without any shell."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partywidgets.terminal.markup import to_html
from partywidgets.terminal.shell import MarkReader, behind_echo, command_line, printed, quoted
from partywidgets.terminal.vt import ModeReader, is_query_reply, plain_text

NONCE = "n0nce"
STREAM = (
    b"before\x1b]633;D;12;n0nce\x07\x1b[1mx\x1b]633;D;1;other\x07\x1b]633;E;a\\x3bb\\\\c;n0nce\x1b\\mid\x1b]0;title\x07"
    b"\x1b]633;P;Cwd=/a b;n0nce\x07\x1b]633;C;n0nce\x07end\x1b]6"
)


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_marks_are_found_wherever_the_stream_is_cut(cuts: list[int]) -> None:
    """Fields, order and offsets are the same for every way of cutting; foreign nonces are not marks."""
    reader, marks, at = MarkReader(NONCE), [], 0
    for cut in [*sorted(cuts), len(STREAM)]:
        marks += reader.feed(STREAM[at:cut], at)
        at = cut
    assert [(mark.kind, mark.fields) for mark in marks] == [("D", ("12",)), ("E", ("a;b\\c",)), ("P", ("Cwd=/a b",)), ("C", ())]
    for mark in marks:
        assert STREAM[mark.start : mark.start + 6] == b"\x1b]633;"
        assert STREAM[mark.end - 1 : mark.end] in (b"\x07", b"\\")


def test_an_endless_mark_is_given_up() -> None:
    """A mark that never ends keeps at most 64 KiB."""
    reader = MarkReader(NONCE)
    reader.feed(b"\x1b]633;E;", 0)
    for index in range(100):
        reader.feed(bytes(10_000), 9 + index * 10_000)
    assert reader.feed(b"\x07\x1b]633;C;n0nce\x07", 1_000_009)[0].kind == "C"


@pytest.mark.parametrize(
    ("output", "text"),
    [
        (b"a\r\nb\r\n", "a\nb"),
        (b"\x1b[31mred\x1b[0m \x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "red link"),
        (b"10%\r20%\r100%\r\n", "100%"),
        (b"abc\b\bX", "aXc"),
        (b"fetching 50%\r\x1b[Kdone\r\n", "done"),
        (b"\x1b[2K\x1b[1Gwaiting\x1b[2K\x1b[1Gok\r\n", "ok"),
        (b"one\x1b[2Ktwo", "   two"),
        (b"\x1b[01;31m\x1b[Kfound\x1b[m\x1b[K it", "found it"),
        (b"\x1b[?1049hscreen\x1b[1;1H:q\r\x1b[?1049lbehind", "screen:q\nbehind"),
        (b"\x1bP1$r0m\x1b\\after", "after"),
        (b"cut\xc3", "cut\ufffd"),
        (b"no newline\x1b[1m\x1b[7m%\x1b[27m\x1b[1m\x1b[0m" + b" " * 79 + b"\r \r", "no newline"),
    ],
)
def test_plain_text_is_what_a_person_reads(output: bytes, text: str) -> None:
    """Escapes go, carriage returns, backspaces and erasures take effect, zsh's mark of a missing newline is left out."""
    assert printed(output) == text


def test_the_echo_is_told_from_the_output() -> None:
    """What follows the end of the echoed line is the output, also when the echo was wrapped; without the whole echo there is none."""
    assert behind_echo(b"ec\r\nho hi\r\nhi\r\n", "echo hi") == "hi"
    assert behind_echo(b"$ echo h", "echo hi") is None
    assert behind_echo(b"$ echo hi", "echo hi") is None


def test_several_lines_become_one_command() -> None:
    """Pasted, they are one group; typed, one line that holds them quoted."""
    assert command_line("a\nb\n", bracketed_paste=True) == "{ a\nb\n}"
    assert "\n" not in command_line("a\nb", bracketed_paste=False)
    assert quoted("it's") == "'it'\\''s'"


def test_what_a_line_editor_would_change_is_quoted() -> None:
    """A `!` recalls no earlier command, also in the form without pasting; control characters press no keys; a Windows line end is one."""
    assert command_line('echo "a!b"', bracketed_paste=True) == "eval 'echo \"a!b\"'"
    assert command_line("test ! -e x; echo a!", bracketed_paste=True) == "test ! -e x; echo a!"
    assert "!" not in command_line("a!b\nc", bracketed_paste=False)
    assert command_line("echo \x03", bracketed_paste=True) == "eval \"$(printf %b 'echo \\0003')\""
    assert command_line("a\tb", bracketed_paste=True) == "a\tb"
    assert "\t" not in command_line("a\tb", bracketed_paste=False)
    assert command_line("a\r\nb\r", bracketed_paste=True) == "{ a\nb\n}"


@pytest.mark.parametrize("reply", [b"\x1b[?1;2c", b"\x1b[>0;276;0c", b"\x1b[24;80R", b"\x1b]11;rgb:0000/0000/0000\x07", b"\x1b[?2026;2$y"])
def test_answers_of_an_emulator_are_known(reply: bytes) -> None:
    """Device attributes, cursor reports, colours, modes: nobody typed them."""
    assert is_query_reply(reply)
    assert is_query_reply(reply + reply)


@pytest.mark.parametrize("keys", [b"a", b"\x1b", b"\x1b[A", b"\x1b[1;2R", b"\x1bOP", b"\x1b[200~x\x1b[201~", b"c\x1b[24;80R", b""])
def test_keys_are_not_answers(keys: bytes) -> None:
    """Letters, arrows, function keys and pastes are typing."""
    assert not is_query_reply(keys)


@given(st.text(alphabet=st.sampled_from('<>&"\x1b[]m;138470:a\\\x07\n'), max_size=60))
def test_html_is_nothing_but_pre_and_span(styled: str) -> None:
    """Whatever a terminal printed, the HTML has only our own two elements, and every other character is text."""
    page = to_html(styled)
    inside = page.removeprefix('<pre style="margin:0;font-family:monospace;line-height:1.2">').removesuffix("</pre>")
    for chunk in inside.split("<")[1:]:
        assert chunk.startswith(("/span>", 'span style="'))
    assert plain_text("") == ""


def test_html_has_the_colours() -> None:
    """Named, indexed and direct colours, and attributes, become inline style."""
    page = to_html("\x1b[1;31mred\x1b[0;38;5;208mo\x1b[48;2;1;2;3mb\x1b[0mplain")
    assert '<span style="color:#cc0000;font-weight:bold">red</span>' in page
    assert '<span style="color:#ff8700">o</span>' in page
    assert "background-color:#010203" in page
    assert "</span>plain" in page


@pytest.mark.parametrize(
    ("styled", "underlined"),
    [("\x1b[4:3mx", True), ("\x1b[0;4:3mx", True), ("\x1b[4:3;0mx", False), ("\x1b[4;4:0mx", False), ("\x1b[4m\x1b[24mx", False)],
)
def test_an_underline_of_a_kind_is_one_in_its_turn(styled: str, underlined: bool) -> None:
    """`4:3` (curly) is set and taken back where it stands among the other numbers; `4:0` takes an underline back."""
    assert ("underline" in to_html(styled)) is underlined


@given(st.lists(st.integers(0, 60), max_size=8))
def test_modes_are_followed_wherever_the_stream_is_cut(cuts: list[int]) -> None:
    """The alternate screen and bracketed paste are known after any way of cutting; a full reset clears both."""
    stream, reader, at = b"a\x1b[?2004hb\x1b[?1;1049h\x1b[31mfull\x1b[?1049l \x1b[?1047h", ModeReader(), 0
    for cut in [*sorted(cuts), len(stream)]:
        reader.feed(stream[at:cut])
        at = max(at, min(cut, len(stream)))
    assert (reader.alternate, reader.bracketed_paste) == (True, True)
    reader.feed(b"\x1bc")
    assert (reader.alternate, reader.bracketed_paste) == (False, False)
