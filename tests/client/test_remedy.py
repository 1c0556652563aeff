"""Row → remedy → proof, over a real room, a real shell and real sockets."""

from __future__ import annotations

import asyncio
import shlex
from pathlib import Path

import pytest

from partywidgets.client.ops import OpsClient
from partywidgets.exceptions import CommandError, RefusedError, ScanError
from partywidgets.scans.proof import Proof, read_remedy

from ..running_app import Running, running
from .test_terminal import SANDBOXES

WAIT = 60.0


def config(flag: Path, sandbox: str) -> str:
    """A check that fails until a file is there, and what makes it."""
    remedy = f"touch {shlex.quote(str(flag))}"
    return (
        f"checks:\n  - id: flag\n    type: exec\n    command: ['/usr/bin/test', '-f', '{flag}']\n"
        f'    remediation: {{ text: Make it, command: "{remedy}", sandbox: {sandbox} }}\n'
    )


async def failing(app: Running, ops: OpsClient, flag: Path) -> str:
    """The fingerprint of the failing row."""
    await ops.put_config("flag.yaml", config(flag, next(iter(SANDBOXES))))
    await ops.scan(timeout=WAIT)
    (fingerprint,) = ops.rows
    assert ops.rows[fingerprint]["status"] != "ok"
    return fingerprint


async def test_remedy(tmp_path: Path) -> None:
    """The command runs in the shared shell, that row alone is looked at again, and everyone is told and can read what came of it."""
    flag = tmp_path / "flag"
    async with (
        running(tmp_path / "state", sandboxes=SANDBOXES) as app,
        OpsClient(app.url, token=app.owner) as ops,
        OpsClient(app.url, token=app.owner) as other,
    ):
        fingerprint = await failing(app, ops, flag)
        proof = await ops.remedy(fingerprint).run(timeout=WAIT)
        assert flag.exists()
        assert proof.mended
        assert (proof.exit_code, proof.actor, proof.sandbox) == (0, "Owner", next(iter(SANDBOXES)))
        assert proof.before is not None
        assert proof.before.status != "ok"
        assert ops.rows[fingerprint]["status"] == "ok"
        assert await ops.remedies(fingerprint=fingerprint) == [proof]
        (said,) = (await ops.events(hours=1)).to_dict("records")  # beside acks and silences: what a post-mortem is written from
        assert (said["kind"], said["title"], said["actor"], said["subject"]) == ("remedy", "flag", "Owner", fingerprint)
        assert said["reason"] == f"{proof.before.status} → ok: {proof.command!r} in {proof.sandbox}, exit 0"
        async with asyncio.timeout(WAIT):
            while proof.id not in other._proofs:
                await other.changed()
        assert other._proofs[proof.id] == proof


async def test_what_is_refused(tmp_path: Path) -> None:
    """Without the role, a confirmation, a command or a row nothing runs, and one sentence says why."""
    flag = tmp_path / "flag"
    async with running(tmp_path / "state", sandboxes=SANDBOXES) as app, OpsClient(app.url, token=app.owner) as ops:
        fingerprint = await failing(app, ops, flag)

        async def no(command: str, sandbox: str) -> bool:
            return False

        with pytest.raises(RefusedError, match="not confirmed: nothing ran"):
            await ops.remedy(fingerprint).run(confirm=no)
        with pytest.raises(ScanError, match="has no row 'nothing'"):
            ops.remedy("nothing")
        with pytest.raises(ScanError, match="there is no row"):
            await ops.prove("nothing", sandbox="dev", command="true", exit_code=0)
        ops.rows[fingerprint]["remediation"] |= {"command": "true\u202e"}
        with pytest.raises(CommandError, match="characters that cannot be seen"):
            await ops.remedy(fingerprint).run()
        with pytest.raises(CommandError, match="5000 characters, a remedy at most 4096: run a script instead"):
            await ops.remedy(fingerprint).run("x" * 5000)
        ops.rows[fingerprint]["remediation"] = None
        with pytest.raises(CommandError, match="names no command"):
            await ops.remedy(fingerprint).run()
        async with OpsClient(app.url, token=app.guest) as guest:
            if guest.role not in ("responder", "admin"):
                with pytest.raises(RefusedError, match="responder or admin"):
                    await guest.remedy(fingerprint).run("true", sandbox=next(iter(SANDBOXES)))
                with pytest.raises(ScanError, match="responder or admin"):
                    await guest.prove(fingerprint, sandbox="dev", command="true", exit_code=0)
            else:
                pytest.fail(f"the guest is {guest.role}")
        assert not flag.exists()
        assert await ops.remedies() == []


@pytest.mark.parametrize(
    "change", [{"command": ""}, {"command": "x" * 5000}, {"exit_code": "0"}, {"before": 1.5}, {"duration_s": float("nan")}, {"sandbox": 3}]
)
def test_a_request_that_is_not_read(change: dict[str, object]) -> None:
    """A field of another kind is refused by its name."""
    good: dict[str, object] = {"fingerprint": "f", "sandbox": "s", "command": "c", "exit_code": 0, "duration_s": 1, "before": 1}
    read_remedy(good)
    with pytest.raises(ValueError, match=f"`{next(iter(change))}`"):
        read_remedy({**good, **change})


def test_a_proof_of_something_else() -> None:
    """A message that is not a proof is refused."""
    with pytest.raises(ValueError, match="a remedy without"):
        Proof.from_wire({"id": "x"})
