"""`chatgpt-capture audit`: does anything in the archive look like a credential?"""

from pathlib import Path

import click

from analysis.cli import database_option


@click.command("audit", short_help="Search the archive for anything that looks like a credential.")
@database_option
def command(database: Path) -> None:
    """Search every table and every raw body for what looks like a token, a cookie or a signed URL.

    Says where, never what. A shape that also stands in the text of a message is counted apart: somebody wrote it.

    \b
    chatgpt-capture audit
    """  # noqa: D301 - click's mark for lines that stay as they are
    from addon.upkeep.audit import audit
    from analysis.queries import open_archive

    open_archive(database).close()  # only of an archive of ours does it mean something that nothing is found
    findings = audit(database)
    for finding in findings:
        said = ", also in what somebody wrote" if finding.written else ""
        click.echo(f"{finding.place}: {finding.count:,} of shape {finding.shape}{said}")
    leaked = sum(finding.count for finding in findings if not finding.written)
    if leaked:
        said = (
            "1 string that looks like a credential" if leaked == 1 else f"{leaked:,} strings that look like credentials"
        )
        raise click.ClickException(f"{said}; please report where")
    click.echo("Nothing that looks like a credential, but for what somebody wrote." if findings else "Nothing found.")
