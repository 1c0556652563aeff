"""Which part of a host's name was registered: one label below a public suffix (https://publicsuffix.org)."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from .dial import is_address

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList


@lru_cache(maxsize=1)
def _suffixes() -> PublicSuffixList:
    from publicsuffixlist import PublicSuffixList

    # Below the suffixes of the list's other section (github.io) nobody asks a registry.
    return PublicSuffixList(only_icann=True)


def ascii_name(name: str) -> str:
    """A host's name as it stands in the DNS: lower case, `xn--` for other scripts. Raises ValueError for what is none."""
    import idna

    bare = name.strip().rstrip(".")
    if is_address(bare):
        raise ValueError(f"{name!r} is an address: a domain's name is expected, for example shop.example")
    try:
        return idna.encode(bare, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        raise ValueError(f"{name!r} is not a domain's name: write it alone, for example shop.example") from None


@lru_cache(maxsize=20_000)
def registrable(name: str) -> str:
    """The registered domain that a host's name is in: `shop.example.co.uk` is in `example.co.uk`. Raises ValueError where there is none."""
    bare = ascii_name(name)
    found = _suffixes().privatesuffix(bare)
    if found is None:
        raise ValueError(f"{name!r} is not a registered domain, but what domains are registered below: write for example shop.{bare}")
    return str(found)
