"""What a line that a program left says of what it waits for."""

from __future__ import annotations

import pytest

from partywidgets.terminal.waiting import asks, prompts


@pytest.mark.parametrize(
    "line",
    [
        "Do you want to continue? [Y/n]",  # apt
        "Are you sure you want to continue connecting (yes/no/[fingerprint])?",  # ssh
        "[sudo] password for ana:",
        "ana@web-1's password:",
        "rm: remove regular file 'x'?",
        "*** conf.d/x (Y/I/N/O/D/Z) [default=N] ?",  # dpkg
        "Enter a value:",  # terraform
        "Pick one [1]",
        "Username (ana):",
        ">>>",
        "postgres=#",
        "mysql>",
        "(gdb)",
        "lines 1-30/82 (END)",
        "root@web-1:~#",
        "host%",
    ],
)
def test_questions(line: str) -> None:
    """Passwords, yes or no, REPLs, pagers."""
    assert asks(line)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "Reading state information...",
        "######################################## 50.0%",
        "Downloading 50%",
        "[=========>                    ]",
        "[ 12/340]",
        "(3/10)",
        "Building [#####.....]",
        "12.3M/s eta 5s",
        "compiling",
    ],
)
def test_progress_is_no_question(line: str) -> None:
    """What only says how far it is asks nobody."""
    assert not asks(line)
    assert not prompts(line)


def test_a_line_in_reverse_video_is_a_pagers() -> None:
    """BusyBox' less takes no screen of its own."""
    assert asks("/etc/services", b"x\r\n\x1b[7m/etc/services\x1b[m")


@pytest.mark.parametrize("line", ["$", "root@web-1:~#", "bash-5.2$", "/ #", "host%", "~/src ❯"])
def test_prompts_of_shells(line: str) -> None:
    """What the common ones end with."""
    assert prompts(line)


@pytest.mark.parametrize("line", ["postgres=#", "postgres-#", ">>>", "mysql>", "50%", "Password:", "(gdb)"])
def test_what_is_no_shell(line: str) -> None:
    """A command typed there would be an answer, or nonsense."""
    assert not prompts(line)
