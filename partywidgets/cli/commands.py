"""The command line: arguments and help texts. Each command's work is in its own module, imported when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="partywidgets",
    help="Shared terminals and a live table of check results, for JupyterLab, the command line and any PartySocket client.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

# readable=False: typer would only say "not readable"; the code that opens the file says why and what to do.
TokenFile = Annotated[
    Path | None, typer.Option("--token-file", readable=False, help="File with the host's token. Default: the variable PARTYWIDGETS_TOKEN.")
]
Url = Annotated[str, typer.Option("--url", envvar="PARTYWIDGETS_URL", help="The host's URL, for example http://127.0.0.1:8787.")]


def _version(wanted: bool) -> None:
    if wanted:
        from .. import __version__

        print(f"partywidgets {__version__}")
        raise typer.Exit


def _port(text: str | int) -> int:
    try:
        port = int(text)
    except ValueError:
        port = -1
    if not 0 <= port <= 65535:
        raise typer.BadParameter(f"a port is a number from 0 to 65535, got {text!r}")
    return port


@app.callback()
def _root(version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False) -> None:
    pass


@app.command()
def serve(
    config: Annotated[
        Path | None, typer.Argument(readable=False, help="A partywidgets.yaml. Without one there are no checks and no sandboxes.")
    ] = None,
    bind: Annotated[str, typer.Option(help="IP address to listen on, or localhost.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(parser=_port, metavar="PORT", help="Port to listen on; 0 picks a free one.")] = 8787,
    storage: Annotated[
        Path | None,
        typer.Option(readable=False, help="Directory for the rooms' state. Default: PARTYWIDGETS_HOME, else the user's state directory."),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            readable=False,
            help="File with the owner's token; created if missing. Default: PARTYWIDGETS_TOKEN, else a new token, printed once.",
        ),
    ] = None,
    no_auth: Annotated[
        bool, typer.Option("--no-auth", help="Let everybody on this machine in without a token; loopback addresses only.")
    ] = False,
    certificate: Annotated[
        Path | None, typer.Option("--certificate", readable=False, help="PEM file with the TLS certificate chain.")
    ] = None,
    key: Annotated[Path | None, typer.Option("--key", readable=False, help="PEM file with the certificate's key.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Reload the config when it or one of its modules changes.")] = False,
) -> None:
    """Serve the rooms to a team, until Ctrl-C or SIGTERM. SIGHUP reloads the config."""
    from .serve import Options, run

    run(Options(config, bind, port, storage, token_file, no_auth, certificate, key, watch))


@app.command()
def scan(
    config: Annotated[Path, typer.Argument(readable=False, help="A partywidgets.yaml.")],
    check: Annotated[list[str] | None, typer.Option("--check", "-c", help="Run only this check; may be repeated.")] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", "-l", help="Run only checks with this label, as key=value; may be repeated.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print only the report, as JSON.")] = False,
    publish: Annotated[str | None, typer.Option("--publish", help="Also send the report to the host at this URL.")] = None,
    token_file: TokenFile = None,
    junit: Annotated[Path | None, typer.Option("--junit", help="Write the results to this file as JUnit XML, for a CI server.")] = None,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write the results to this file as CSV.")] = None,
    parquet: Annotated[Path | None, typer.Option("--parquet", help="Write the results to this file as Parquet; needs pyarrow.")] = None,
) -> None:
    """Run the checks of a config once. The exit code is the worst status: 0 ok, 1 warn, 2 crit, 3 unknown or the scan could not run."""
    from .scan import Files, run

    files = Files(junit, csv, parquet)
    run(config, checks=check or [], labels=label or [], as_json=json, publish=publish, token_file=token_file, files=files)


@app.command()
def attach(
    room: Annotated[str, typer.Argument(help="Name of the terminal room, for example db-incident.")],
    url: Url = "http://127.0.0.1:8787",
    sandbox: Annotated[str | None, typer.Option(help="Id of a sandbox in the host's config. Default: the one the room had last.")] = None,
    observe: Annotated[bool, typer.Option("--observe", help="Watch only; keys are not sent.")] = False,
    token_file: TokenFile = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for a host that does not answer yet.")] = False,
) -> None:
    """Join a terminal room from this terminal. Ctrl-] leaves; the shell keeps running."""
    from .attach import run

    run(room, url=url, sandbox=sandbox, observe=observe, token_file=token_file, wait=wait)


@app.command(short_help="Create a new token.")
def token(
    file: Annotated[
        Path | None, typer.Option("--file", help="Write the token to this new file (mode 0600) instead of printing it.")
    ] = None,
) -> None:
    """Create a new token, for `serve --token-file` or, through an environment variable, for `auth.tokens` of a config."""
    from .tokens import make

    make(file)


@app.command(short_help="Check a config without running anything.")
def validate(config: Annotated[Path, typer.Argument(readable=False, help="A partywidgets.yaml.")]) -> None:
    """Check a config without running anything: its keys, its checks, and that every `${env:…}` and `${file:…}` can be resolved."""
    from .validate import run

    run(config)


@app.command(short_help="Convert another tool's config to a partywidgets.yaml.")
def convert(
    files: Annotated[
        list[Path],
        typer.Argument(readable=False, help="A Gatus config; a kuma.db or its JSON backup; or blackbox.yml and prometheus.yml."),
    ],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write the config to this new file instead of printing it.")] = None,
    secrets: Annotated[
        Path | None,
        typer.Option("--secrets", help="Write the secrets that the config refers to into this new file (mode 0600)."),
    ] = None,
    tool: Annotated[str | None, typer.Option("--from", help="gatus, kuma or blackbox. Default: detected from the files.")] = None,
) -> None:
    """Convert another tool's config. Whatever has no counterpart is listed with its place; then the exit code is 3."""
    from .convert import run

    run(files, tool=tool, out=out, secrets=secrets)


@app.command(short_help="Print the JSON Schema of configs, for editors.")
def schema(file: Annotated[Path | None, typer.Argument(help="Write the schema to this file instead of printing it.")] = None) -> None:
    """Print the JSON Schema of configs: an editor uses it to complete keys and underline mistakes."""
    from .schema import run

    run(file)


@app.command(short_help="Show what a config would run and when.")
def plan(
    config: Annotated[Path, typer.Argument(readable=False, help="A partywidgets.yaml.")],
    url: Annotated[
        str | None, typer.Option("--url", help="Also show what loading the config would change on the host at this URL.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Name of the config on that host. Default: the file's absolute path.")] = None,
    token_file: TokenFile = None,
) -> None:
    """Show what a config would run and when, without running or loading it. The exit code is 1 when the host would refuse it."""
    from .plan import run

    run(config, url=url, name=name, token_file=token_file)


@app.command()
def doctor(
    url: Annotated[str | None, typer.Option("--url", envvar="PARTYWIDGETS_URL", help="Also check that this host answers.")] = None,
    token_file: TokenFile = None,
) -> None:
    """Check that this machine has what partywidgets needs. The exit code is 1 when something required is missing."""
    from .doctor import run

    run(url=url, token_file=token_file)


audit = typer.Typer(help="Work with the audit log of terminal rooms.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(audit, name="audit")


@audit.callback()
def _audit() -> None:
    pass


@audit.command("verify", short_help="Check that an audit log was not changed.")
def verify_audit(
    file: Annotated[Path, typer.Argument(readable=False, help="audit/terminals.jsonl in the host's storage directory.")],
) -> None:
    """Check that no line of an audit log was changed, removed or added. If one was, name the first and exit with 1."""
    from .audit import run

    run(file)
