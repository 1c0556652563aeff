"""What terminals were attacked with: escape sequences that a program in a terminal may print."""

from __future__ import annotations

import base64

ESC, BEL, ST = b"\x1b", b"\x07", b"\x1b\\"


def osc(text: bytes, end: bytes = BEL) -> bytes:
    """An operating system command."""
    return ESC + b"]" + text + end


ATTACKS = [
    osc(b"0;<img src=x onerror=alert(1)>"),
    osc(b"2;" + b"T" * 5_000_000),
    osc(b"52;c;?"),
    osc(b"52;p;?", ST),
    osc(b"52;c;" + base64.b64encode(b"rm -rf /\n")),
    osc(b"8;;javascript:alert(1)") + b"click-me-js" + osc(b"8;;"),
    osc(b"8;;data:text/html,<script>alert(1)</script>") + b"click-me-data" + osc(b"8;;"),
    osc(b"8;;file:///etc/passwd") + b"click-me-file" + osc(b"8;;"),
    b"".join(osc(b"8;id=%d;https://example.invalid/%d" % (n, n)) + b"x" + osc(b"8;;") for n in range(5000)),
    ESC + b'P$q"p' + ST,
    ESC + b"P$qm;echo pwned-decrqss\r" + ST,
    ESC + b"P+q544e" + ST,
    ESC + b"[21t" + ESC + b"[20t",
    ESC + b"[8;500;900t" + ESC + b"[4;5000;9000t" + ESC + b"[3;0;0t" + ESC + b"[2t" + ESC + b"[9;1t",
    ESC + b"[?3h" + ESC + b"[?40h",
    ESC + b"Pq#0;2;0;0;0" + b"~" * 100_000 + ST,
    osc(b"1337;File=inline=1;width=9999;height=9999:" + b"A" * 100_000),
    osc(b"7;file://host/<script>alert(1)</script>"),
    osc(b"9;notify me") + osc(b"777;notify;a;b"),
    osc(b"4;1;?") + osc(b"10;?") + osc(b"11;?"),
    b"\x05" * 100,
    ESC + b"[?1003h" + ESC + b"[?1003l",
    ESC + b"^privacy" + ST + ESC + b"_Gf=100,a=T;AAAA" + ST,
    b"<script>alert(1)</script><img src=x onerror=alert(1)>\r\n",
    ESC + b"c" + b"after-the-attack\r\n",
]
PAYLOADS = (b"?", b";?", b";<img src=x onerror=alert(1)>", b";echo pwned-osc\r", b";javascript:alert(1)")
OSC_NUMBERS = (
    *range(18),
    19,
    21,
    22,
    46,
    50,
    51,
    99,
    104,
    105,
    110,
    111,
    112,
    117,
    119,
    133,
    176,
    555,
    633,
    697,
    777,
    1337,
    1338,
    5522,
    9999,
)
CORPUS = [
    *ATTACKS[:-1],
    *(osc(b"%d" % number + payload, end) for number in OSC_NUMBERS for payload, end in zip(PAYLOADS, (BEL, ST, BEL, ST, BEL), strict=True)),
    *(ESC + b"[%dt" % number for number in range(1, 25)),
    *(ESC + b"[" + sign + b"%d" % number + end for sign in (b"", b"?", b">", b"=") for number in (0, 5, 6, 15, 26) for end in (b"n", b"c")),
    *(ESC + kind + b"echo pwned-string\r" + ST for kind in (b"P", b"P$q", b"P+q", b"P1000p", b"P=1s", b"X", b"^", b"_")),
    ATTACKS[-1],
]
"""What terminals were attacked with, and every operating system command with questions, markup, commands and links."""
MANY_LINKS = next(attack for attack in ATTACKS if b"8;id=4999;" in attack)
"""More hyperlinks close together than libghostty keeps: some 1,600 in a few rows."""
BAD_UTF8 = [b"\xff\xfe\xc0\x80A", b"\xf0\x9f\x98A\xe2\x82z", b"\xed\xa0\x80B", b"\xf5\x80\xc3", b"\xef\xbb\xbfC", b"D\xf0\x9f"]
"""Bytes that are no text: never UTF-8, cut off, half a surrogate pair, a mark of byte order."""
