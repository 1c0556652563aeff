"""Command results, and the tables in them."""

from __future__ import annotations

import pytest

from partywidgets.client.command import CommandResult
from partywidgets.exceptions import CommandError

DF = """\
Filesystem      Size  Used Avail Use% Mounted on
overlay         252G   25G   78G  24% /
tmpfs            64M     0   64M   0% /dev/my disk
"""
PS = """\
USER         PID %CPU %MEM    VSZ   RSS TTY      STAT START   TIME COMMAND
root           1  0.0  0.0   2616   595 ?        Ss   10:00   0:00 sh -c sleep 1
root     1234567 12.5  0.1 12345678 99999 pts/0  R+   10:01   0:07 python
"""
DOCKER = """\
CONTAINER ID   IMAGE     COMMAND                  CREATED       STATUS       PORTS     NAMES
a1b2c3d4e5f6   nginx     "/docker-entrypoint.…"   2 hours ago   Up 2 hours   80/tcp    web-1
a1b2c3d4e5f7   redis     "docker-entrypoint.s…"   2 hours ago   Up 2 hours             cache
"""
KUBECTL = """\
NAME                     READY   STATUS             RESTARTS        AGE
web-7d4b9c-abcde         1/1     Running            0               5d
api-6f5d8-xyz            0/1     CrashLoopBackOff   12 (3m ago)     2h
"""
FREE = """\
               total        used        free      shared  buff/cache   available
Mem:            23Gi       492Mi        22Gi       8.6Mi       434Mi        23Gi
Swap:             0B          0B          0B
"""


def result_of(output: str, code: int | None = 0) -> CommandResult:
    """A result with this output."""
    return CommandResult("cmd", code, output, 0.5, "/", 7)


def test_df() -> None:
    """df: 'Mounted on' is one column, percents are numbers, the last column takes the rest."""
    frame = result_of(DF).df
    assert list(frame.columns) == ["Filesystem", "Size", "Used", "Avail", "Use%", "Mounted on"]
    assert list(frame["Use%"]) == [24, 0]
    assert list(frame["Mounted on"]) == ["/", "/dev/my disk"]


def test_ps() -> None:
    """ps: columns that overflow their width still fall into place."""
    frame = result_of(PS).df
    assert list(frame["PID"]) == [1, 1234567]
    assert list(frame["%CPU"]) == [0.0, 12.5]
    assert list(frame["COMMAND"]) == ["sh -c sleep 1", "python"]


def test_docker() -> None:
    """docker ps: cells with blanks, and empty ones."""
    frame = result_of(DOCKER).df
    assert list(frame["CONTAINER ID"]) == ["a1b2c3d4e5f6", "a1b2c3d4e5f7"]
    assert list(frame["CREATED"]) == ["2 hours ago"] * 2
    assert list(frame["PORTS"]) == ["80/tcp", ""]


def test_kubectl() -> None:
    """kubectl: a cell with a note behind its number."""
    frame = result_of(KUBECTL).df
    assert list(frame["RESTARTS"]) == ["0", "12 (3m ago)"]
    assert list(frame["STATUS"]) == ["Running", "CrashLoopBackOff"]


def test_names_of_two_words() -> None:
    """kubectl get pvc, docker stats: a column's name may have blanks, and a cell may be empty."""
    claims = """
NAME   STATUS    VOLUME   CAPACITY   ACCESS MODES   STORAGECLASS   AGE
data   Bound     pv-1     8Gi        RWO            standard       3d
logs   Pending                                      standard       5m
"""
    frame = result_of(claims).df
    assert list(frame.columns) == ["NAME", "STATUS", "VOLUME", "CAPACITY", "ACCESS MODES", "STORAGECLASS", "AGE"]
    assert list(frame["ACCESS MODES"]) == ["RWO", ""]
    stats = """
CONTAINER ID   NAME      CPU %     MEM USAGE / LIMIT     MEM %     NET I/O       BLOCK I/O   PIDS
1f2e3d4c5b6a   web-1     0.15%     12.5MiB / 7.6GiB      0.16%     1.2kB / 0B    0B / 0B     3
"""
    frame = result_of(stats).df
    assert (frame["MEM USAGE / LIMIT"][0], frame["MEM %"][0], frame["PIDS"][0]) == ("12.5MiB / 7.6GiB", 0.16, 3)


def test_free() -> None:
    """free: numbers to the right, a first column without a name, a short line."""
    frame = result_of(FREE).df
    assert list(frame[""]) == ["Mem:", "Swap:"]
    assert list(frame["total"]) == ["23Gi", "0B"]
    assert list(frame["available"]) == ["23Gi", ""]


@pytest.mark.parametrize("output", ["", "one line\n", "word\nanother\n", "two words\none\n\n"])
def test_no_table(output: str) -> None:
    """What is no table is one sentence, not a wrong frame."""
    with pytest.raises(CommandError, match="cannot be a DataFrame"):
        _ = result_of(output).df


def test_check() -> None:
    """check() passes a success on and raises with the last line of a failure."""
    good = result_of("fine\n")
    assert good.check() is good
    with pytest.raises(CommandError, match="exited with 2: no such file"):
        result_of("ls: x\nno such file\n\n", 2).check()
    assert not result_of("", None).ok


def test_reprs() -> None:
    """The repr is what was typed and seen, with the exit code and without times; HTML is escaped."""
    assert repr(result_of("a\nb\n")) == "$ cmd\na\nb\nexit 0"
    assert repr(result_of("", None)) == "$ cmd\nexit code unknown"
    html = result_of("<script>alert(1)</script>", 1)._repr_html_()
    assert "<script" not in html
    assert "exit 1" in html
    assert str(result_of("x\n")) == "x\n"
