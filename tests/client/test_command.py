"""Command results, and the tables in them."""

from __future__ import annotations

import pytest

from partywidgets.client.command import CommandResult
from partywidgets.exceptions import CommandError, MissingNameError

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


def test_a_dot_before_what_failed() -> None:
    """It is in no column, also where the columns stand close."""
    units = result_of(
        "  UNIT          LOAD   ACTIVE SUB     DESCRIPTION\n"
        "  cron.service  loaded active running Regular background\n"
        "\u25cf nginx.service loaded failed failed  A high performance web server\n"
    )
    assert list(units.df["UNIT"]) == ["cron.service", "nginx.service"]


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


SS = """\
State    Recv-Q Send-Q Local Address:Port  Peer Address:PortProcess
LISTEN   0      128          0.0.0.0:2024       0.0.0.0:*
LISTEN   0      100        127.0.0.1:44601      0.0.0.0:*    users:(("python",pid=11089,fd=17))
TIME-WAIT 0     0          127.0.0.1:39007    127.0.0.1:38720
"""
UNITS = """\
  UNIT                     LOAD      ACTIVE   SUB     DESCRIPTION
  cron.service             loaded    active   running Regular background program processing daemon
\u25cf shop.service             loaded    failed   failed  The shop
  ssh.service              not-found inactive dead    ssh.service

LOAD   = Reflects whether the unit definition was properly loaded.
ACTIVE = The high-level unit activation state, i.e. generalization of SUB.
SUB    = The low-level unit activation state, values depend on unit type.
3 loaded units listed. Pass --all to see loaded but inactive units, too.
"""
LSBLK = """\
NAME   MAJ:MIN RM  SIZE RO TYPE MOUNTPOINTS
zram0  253:0    0    0B  0 disk
vda    254:0    0  256G  0 disk /data
                                /run/netns
"""
LSOF = """\
COMMAND PID  TID USER   FD   TYPE DEVICE SIZE/OFF  NODE NAME
nginx   812      root  cwd    DIR  254,0     4096     2 /
nginx   812  813 www   txt    REG  254,0  1265648 26010 /usr/sbin/nginx (deleted)
"""
LS = """\
total 8
drwxr-xr-x 13 root root 4096 Nov 28 22:04 my folder
lrwxrwxrwx  1 root root    7 May 20  2025 bin -> usr/bin
crw-rw-rw-  1 root root 1, 3 Nov 27 23:21 null
"""
PSQL = """\
 id | name    | note
----+---------+------
  1 | Ana     |
 22 | Ben Bey | b | c
(2 rows)
"""
MYSQL = """\
+----+----------+
| id | name     |
+----+----------+
|  1 | Ana Bell |
+----+----------+
"""
TOP = """\
top - 21:49:28 up 22:27,  0 user,  load average: 1.04, 1.00, 1.00
Tasks: 120 total,   1 running

    PID USER      PR  NI    VIRT    RES    SHR S  %CPU  %MEM     TIME+ COMMAND
   7668 root      20   0    4568   2952   2024 R  93.3   0.0   0:02.70 cp -a x
  76123 root      20   0       0      0      0 I   6.7   0.0   7:02.28 kdamond.0
"""
VMSTAT = """\
procs -----------memory---------- ---swap--
 r  b   swpd   free   buff  cache   si   so
 2  0      0 18018828 123480 6286672    0    0
"""


PRLIMIT = """\
RESOURCE   DESCRIPTION                            SOFT      HARD UNITS
CORE       max core file size                        0 unlimited bytes
NOFILE     max number of open files               1024   1048576 files
RTTIME     timeout for real-time tasks       unlimited unlimited microsecs
"""
LSIPC = """\
RESOURCE DESCRIPTION                       LIMIT USED  USE%
MSGMNI   Number of message queues          32000    0 0.00%
SHMALL   Shared memory pages      18446744073692    3 0.00%
"""
STARTED = """\
    PID                  STARTED CMD
      1 Sun Nov 29 19:55:41 2026 init
    812 Mon Nov 30 04:00:02 2026 nginx: master process
"""
UNIX = """\
Netid State Recv-Q Send-Q Local Address:Port Peer Address:PortProcess
u_str ESTAB 0      0                 * 21530            * 21531
"""


def test_words_in_a_column_that_is_not_the_last() -> None:
    """Where all of them begin below its name, they are its own (prlimit, lsipc); a number before them is no part of them (ps)."""
    limits = result_of(PRLIMIT).df
    assert list(limits["DESCRIPTION"])[1:] == ["max number of open files", "timeout for real-time tasks"]
    assert list(limits["SOFT"]) == ["0", "1024", "unlimited"]
    assert list(result_of(LSIPC).df["LIMIT"]) == [32000, 18446744073692]
    assert list(result_of(STARTED).df["PID"]) == [1, 812]


def test_a_line_that_ends_early() -> None:
    """Its last cells are empty."""
    frame = result_of("NAME   AGE   NOTE\nweb    3d\ncache  4d    is full\n").df
    assert list(frame["NOTE"]) == ["", "is full"]


def test_cells_that_are_empty_or_have_blanks() -> None:
    """ss, systemctl, lsblk, lsof: columns are where every line has a blank; a legend below and a dot before what failed are left out."""
    frame = result_of(SS).df
    assert list(frame["Local Address:Port"]) == ["0.0.0.0:2024", "127.0.0.1:44601", "127.0.0.1:39007"]
    assert list(frame["Peer Address:Port"]) == ["0.0.0.0:*", "0.0.0.0:*", "127.0.0.1:38720"]
    frame = result_of(UNITS).df
    assert list(frame.columns) == ["UNIT", "LOAD", "ACTIVE", "SUB", "DESCRIPTION"]
    assert list(frame["UNIT"]) == ["cron.service", "shop.service", "ssh.service"]
    assert list(frame["DESCRIPTION"])[:2] == ["Regular background program processing daemon", "The shop"]
    frame = result_of(LSBLK).df
    assert list(frame["MOUNTPOINTS"]) == ["", "/data", "/run/netns"]
    assert list(frame["SIZE"]) == ["0B", "256G", ""]
    frame = result_of(LSOF).df
    assert [str(cell) for cell in frame["USER"]] == ["root", "www"]
    assert list(frame["NAME"]) == ["/", "/usr/sbin/nginx (deleted)"]


def test_ls() -> None:
    """ls -l has no header: its columns are known, and a name may have blanks."""
    frame = result_of(LS).df
    assert list(frame.columns) == ["mode", "links", "owner", "group", "size", "modified", "name"]
    assert list(frame["name"]) == ["my folder", "bin -> usr/bin", "null"]
    assert list(frame["modified"]) == ["Nov 28 22:04", "May 20  2025", "Nov 27 23:21"]


def test_tables_with_lines_of_dashes() -> None:
    """psql and mysql: the dashes show the columns."""
    frame = result_of(PSQL).df
    assert list(frame["id"]) == [1, 22]
    assert list(frame["name"]) == ["Ana", "Ben Bey"]
    assert list(result_of(MYSQL).df["name"]) == ["Ana Bell"]


def test_titles_above_a_table() -> None:
    """top and vmstat say something else first."""
    frame = result_of(TOP).df
    assert list(frame["PID"]) == [7668, 76123]
    assert list(frame["COMMAND"]) == ["cp -a x", "kdamond.0"]
    assert list(result_of(VMSTAT).df["free"]) == [18018828]


def test_two_tables_are_none() -> None:
    """The second would be rows of the first."""
    with pytest.raises(CommandError, match="2 parts with an empty line between them: print one table"):
        _ = result_of(f"{DF}\n{DF}").df


def test_an_output_without_its_beginning() -> None:
    """What is lost is said, and no row is taken for the header."""
    result = CommandResult("seq 9", 0, "a b\n1 2", 0.5, "/", 7, output_lost=1_234_567)
    assert "its first 1,234,567 bytes are not kept" in repr(result)
    assert "its first 1,234,567 bytes are not kept" in result._repr_html_()
    with pytest.raises(CommandError, match="not kept, and the header with them: print less, or into a file"):
        _ = result.df


@pytest.mark.parametrize(
    "output", ["", "one line\n", "word\nanother\n", "two words\none\n\n", "Done, all is well\nBye, then you\n", "a,b\n1,2,3\n", UNIX]
)
def test_no_table(output: str) -> None:
    """What is not a table is one sentence, not a wrong frame."""
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
    assert ("exit 1" in html, "✗" in html, "✓" in html) == (True, True, False)
    assert "✓ exit 0" in result_of("x\n")._repr_html_()
    assert "<img" not in CommandResult("echo '<img src=x>'", 0, "", 0.1, "/", 0)._repr_html_()
    assert str(result_of("x\n")) == "x\n"


JSON_LINES = '{"Names":"web-1","Size":3}\n{"Names":"cache","Size":5}\n'
ITEMS = '{"kind": "List", "items": [{"metadata": {"name": "web"}, "spec": {"replicas": 3}}]}'


@pytest.mark.parametrize(
    ("command", "output", "columns", "first"),
    [
        ("du -sh /etc /var", "4.3M\t/etc\n2.5G\t/var\n", ["size", "path"], ["4.3M", "/etc"]),
        ("du -k /srv | sort -n | head -1", "8\t/srv/a b\n", ["size", "path"], [8, "/srv/a b"]),
        ("wc -l a b", "  26 a\n  50 b\n  76 total\n", ["lines", "file"], [26, "a"]),
        ("wc a", "  26   35 1341 a\n", ["lines", "words", "bytes", "file"], [26, 35, 1341, "a"]),
        ("sort x | uniq -c | sort -rn", "     12 GET /\n      3 POST /\n", ["count", "value"], [12, "GET /"]),
        (
            "mount",
            "proc on /proc type proc (rw,relatime)\n/dev/vda on /a b type ext4 (rw)\n",
            ["source", "target", "fstype", "options"],
            ["proc", "/proc", "proc", "rw,relatime"],
        ),
        ("git status -s", ' M a.md\n?? "b c"\n', ["status", "path"], [" M", "a.md"]),
        ("git status -sb", "## main...origin/main\n M a.md\n", ["status", "path"], ["##", "main...origin/main"]),
        ("git -C /srv status --porcelain", "R  old -> new\n", ["status", "path"], ["R ", "old -> new"]),
        ("git diff --name-status HEAD~1", "M\ta.txt\nR100\told\tnew\n", ["status", "path"], ["M", "a.txt"]),
        (
            "git remote -v",
            "origin\tssh://git@example.com/x (fetch)\norigin\tssh://git@example.com/x (push)\n",
            ["name", "url", "direction"],
            ["origin", "ssh://git@example.com/x", "fetch"],
        ),
        ("psql --csv", 'id,"note"\n1,"a, b"\n', ["id", "note"], [1, "a, b"]),
        ("cut -f1,2 x", 'name\tn\n"raw\t3\nx\t4\n', ["name", "n"], ['"raw', 3]),
        ("jq -c .[]", '{"a": 1}\n\n{"a": 2}\n', ["a"], [1]),
        ("jq .", '{"a": [{"x": 1}], "b": [{"y": 2}]}', ["a", "b"], [[{"x": 1}], [{"y": 2}]]),
        ("mysql -B", "id\tnote\n1\t\n2\tlonger than a tab is wide\n", ["id", "note"], [1, ""]),
        ("docker ps --format json", JSON_LINES, ["Names", "Size"], ["web-1", 3]),
        ("kubectl get deploy -o json", ITEMS, ["metadata.name", "spec.replicas"], ["web", 3]),
        ("lsblk -J", '{"blockdevices": [{"name": "vda", "ro": false}]}', ["name", "ro"], ["vda", False]),
    ],
)
def test_output_without_a_header(command: str, output: str, columns: list[str], first: list[object]) -> None:
    """No line of what has no header is lost to one; what is data by itself is read as that."""
    frame = CommandResult(command, 0, output, 0.5, "/", 7).df
    assert list(frame.columns) == columns
    assert frame.iloc[0].tolist() == first


@pytest.mark.parametrize(
    "output",
    [
        "4.3M /etc\n2.5G /var\n",
        "default via 192.0.2.1 dev eth0\n192.0.2.0/24 dev eth0 scope link\n",
        "a1b2c3d first\nd4e5f6a second\n",
        "Client Version: v1\nServer Version: v2\n",
        "cron.service loaded active running Regular jobs\nssh.service loaded active running OpenBSD Secure Shell server\n",
        "-- No entries --\nNo journal files found\n",
    ],
)
def test_a_row_is_no_header(output: str) -> None:
    """An output whose first line is a row is refused: that row would be the columns' names."""
    with pytest.raises(CommandError, match=r"its first line is a row, with '.*' in it"):
        _ = result_of(output).df


@pytest.mark.parametrize(
    ("output", "columns"),
    [
        ("CONTAINER ID   IMAGE     COMMAND   NAMES\n", ["CONTAINER ID", "IMAGE", "COMMAND", "NAMES"]),
        (
            "State  Recv-Q Send-Q Local Address:Port  Peer Address:PortProcess\n",
            ["State", "Recv-Q", "Send-Q", "Local Address:Port", "Peer Address:Port", "Process"],
        ),
    ],
)
def test_a_table_without_rows(output: str, columns: list[str]) -> None:
    """Where nothing runs, docker, kubectl and ss print the header alone: an empty frame with those columns."""
    frame = result_of(output).df
    assert frame.empty
    assert list(frame.columns) == columns
    assert set(frame.dtypes.astype(str)) == {"str"}


def test_a_busy_vmstat() -> None:
    """From ten runnable processes on, no line begins with a space but the header."""
    title, header, values = VMSTAT.splitlines()[:3]
    frame = result_of("\n".join((title, header, "12" + values[2:]))).df
    assert list(frame["r"]) == [12]
    assert list(frame["free"]) == [18018828]


def test_names_of_other_libraries() -> None:
    """subprocess' names say ours."""
    result = result_of("x\n")
    with pytest.raises(MissingNameError, match=r"^CommandResult has no 'stdout': it is output$"):
        _ = result.stdout  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match="it is exit_code"):
        _ = result.returncode  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match="did you mean 'lines'"):
        _ = result.linse  # type: ignore[attr-defined]
    assert not hasattr(result, "_repr_png_")
