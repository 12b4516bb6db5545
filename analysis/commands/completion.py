"""`chatgpt-capture completion`: what teaches a shell to complete commands, options and ids."""

from pathlib import Path

import click
from click.shell_completion import get_completion_class

from analysis.cli import cli, database_option


@click.command("completion", short_help="Let bash, zsh or fish complete commands, options and ids.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@database_option
def command(shell: str, database: Path) -> None:
    """Print what teaches SHELL to complete commands, options and the ids of conversations.

    \b
    bash  eval "$(chatgpt-capture completion bash)"         in ~/.bashrc
    zsh   eval "$(chatgpt-capture completion zsh)"          in ~/.zshrc
    fish  chatgpt-capture completion fish | source          in ~/.config/fish/config.fish
    """  # noqa: D301 - click's mark for lines that stay as they are
    found = get_completion_class(shell)
    if found is None:
        raise click.ClickException(f"{shell}: this version of click does not know it")
    click.echo(found(cli, {}, "chatgpt-capture", "_CHATGPT_CAPTURE_COMPLETE").source())
