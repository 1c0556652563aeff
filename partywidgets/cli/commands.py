"""What can be typed: arguments and help. The work is in the modules beside this one, imported when it is done."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="partywidgets",
    help="Live, shared ops rooms: a terminal on a real container and a live table of scans, for any PartySocket client.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

# No `readable`: typer's check says that a file is not readable, what opens it says why and what to do.
TokenFile = Annotated[
    Path | None, typer.Option("--token-file", readable=False, help="A file that holds the host's token. Else PARTYWIDGETS_TOKEN.")
]
Url = Annotated[str, typer.Option("--url", envvar="PARTYWIDGETS_URL", help="The host's root, for example http://127.0.0.1:8787.")]


def _version(wanted: bool) -> None:
    if wanted:
        from .. import __version__

        print(f"partywidgets {__version__}")
        raise typer.Exit


@app.callback()
def _root(version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False) -> None:
    pass


@app.command()
def serve(
    config: Annotated[
        Path | None, typer.Argument(readable=False, help="A partywidgets.yaml. Without one: rooms, no checks, no sandboxes.")
    ] = None,
    bind: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")] = 8787,
    storage: Annotated[
        Path | None,
        typer.Option(readable=False, help="Where rooms keep their state. Else PARTYWIDGETS_HOME or the user's state directory."),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(readable=False, help="Holds the owner's token; made when it is not there. Else a random one, printed once."),
    ] = None,
    no_auth: Annotated[bool, typer.Option("--no-auth", help="Let everybody on this machine in. Only on a loopback address.")] = False,
    certificate: Annotated[
        Path | None, typer.Option("--certificate", readable=False, help="A PEM file with the TLS certificate chain.")
    ] = None,
    key: Annotated[Path | None, typer.Option("--key", readable=False, help="A PEM file with the certificate's key.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Load the config again when it, or one of its modules, has changed.")] = False,
) -> None:
    """Serve the rooms to a team, until Ctrl-C or SIGTERM. SIGHUP loads the config again."""
    from .serve import Options, run

    run(Options(config, bind, port, storage, token_file, no_auth, certificate, key, watch))


@app.command()
def scan(
    config: Annotated[Path, typer.Argument(readable=False, help="A partywidgets.yaml.")],
    check: Annotated[list[str] | None, typer.Option("--check", "-c", help="Only this check id; may be repeated.")] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", "-l", help="Only checks with this label, as key=value; may be repeated.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON, and nothing else.")] = False,
    publish: Annotated[str | None, typer.Option("--publish", help="Send the report to the ops room of the host at this URL.")] = None,
    token_file: TokenFile = None,
    junit: Annotated[Path | None, typer.Option("--junit", help="Write the results to this JUnit file, for a CI server.")] = None,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write the results to this CSV file.")] = None,
    parquet: Annotated[Path | None, typer.Option("--parquet", help="Write the results to this Parquet file; needs pyarrow.")] = None,
) -> None:
    """Run the checks of a config once. The exit code is the worst status: 0 ok, 1 warn, 2 crit, 3 unknown, and 3 when it could not run."""
    from .scan import Files, run

    files = Files(junit, csv, parquet)
    run(config, checks=check or [], labels=label or [], as_json=json, publish=publish, token_file=token_file, files=files)


@app.command()
def attach(
    room: Annotated[str, typer.Argument(help="The terminal room, for example worker-123.")],
    url: Url = "http://127.0.0.1:8787",
    sandbox: Annotated[str | None, typer.Option(help="The sandbox's id in the host's config.")] = None,
    observe: Annotated[bool, typer.Option("--observe", help="Only look; keys are not sent.")] = False,
    token_file: TokenFile = None,
    wait: Annotated[bool, typer.Option("--wait", help="Where no host answers yet, wait for one.")] = False,
) -> None:
    """Join a terminal room from this terminal. Ctrl-] leaves; the room's terminal lives on."""
    from .attach import run

    run(room, url=url, sandbox=sandbox, observe=observe, token_file=token_file, wait=wait)


@app.command(short_help="Make a new token.")
def token(
    file: Annotated[
        Path | None, typer.Option("--file", help="Write it to this file, readable by its owner only, and do not print it.")
    ] = None,
) -> None:
    """Make a new token: for `serve --token-file`, or for `auth.tokens` of a config by way of an environment variable."""
    from .tokens import make

    make(file)


@app.command(short_help="Check a config without running anything.")
def validate(config: Annotated[Path, typer.Argument(readable=False, help="A partywidgets.yaml.")]) -> None:
    """Check a config: its keys, its checks, and that what `${env:…}` and `${file:…}` name is there."""
    from .validate import run

    run(config)


@app.command(short_help="Make a config of another tool's.")
def convert(
    files: Annotated[
        list[Path],
        typer.Argument(readable=False, help="A config of Gatus, a kuma.db or backup, or blackbox.yml and prometheus.yml."),
    ],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write the config to this new file. Else it is printed.")] = None,
    secrets: Annotated[
        Path | None,
        typer.Option("--secrets", help="Write the secrets, which the config names, to this new file, readable by its owner only."),
    ] = None,
    tool: Annotated[str | None, typer.Option("--from", help="gatus, kuma or blackbox. Else it is seen from the files.")] = None,
) -> None:
    """Make a config of another tool's. What has no counterpart is told, with its place; the exit code is 3 when something was left out."""
    from .convert import run

    run(files, tool=tool, out=out, secrets=secrets)


@app.command(short_help="Give the JSON Schema of configs, for an editor.")
def schema(file: Annotated[Path | None, typer.Argument(help="Where to write it. Else it is printed.")] = None) -> None:
    """Give the JSON Schema of configs, with which an editor completes and checks them."""
    from .schema import run

    run(file)


@app.command(short_help="Say what a config would run and when.")
def plan(
    config: Annotated[Path, typer.Argument(readable=False, help="A partywidgets.yaml.")],
    url: Annotated[
        str | None, typer.Option("--url", help="Compare with the host at this URL: what loading the config would change.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="The name that the host has for the config. Else the file's path.")] = None,
    token_file: TokenFile = None,
) -> None:
    """Say what a config would run and when, without running or loading it. The exit code is 1 when the host would refuse it."""
    from .plan import run

    run(config, url=url, name=name, token_file=token_file)


@app.command()
def doctor(
    url: Annotated[str | None, typer.Option("--url", envvar="PARTYWIDGETS_URL", help="A host that should be reachable.")] = None,
    token_file: TokenFile = None,
) -> None:
    """Look whether everything that partywidgets needs is here. The exit code is 1 when something that matters is not."""
    from .doctor import run

    run(url=url, token_file=token_file)


audit = typer.Typer(help="The log of decisions in terminal rooms.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(audit, name="audit")


@audit.callback()
def _audit() -> None:
    pass


@audit.command("verify", short_help="Check that an audit log is as it was written.")
def verify_audit(file: Annotated[Path, typer.Argument(readable=False, help="terminals.jsonl in the host's directory `audit`.")]) -> None:
    """Check that no line of an audit log was changed, left out or put in. The exit code is 1 when one was, and the first is named."""
    from .audit import run

    run(file)
