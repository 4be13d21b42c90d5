"""`completion`: the script that makes a shell complete this command."""

from __future__ import annotations

import click
from click.shell_completion import ShellComplete, get_completion_class

from .names import Name

WHERE = {
    "bash": 'eval "$(voicebus completion bash)"     # in ~/.bashrc',
    "zsh": 'eval "$(voicebus completion zsh)"      # in ~/.zshrc, after compinit',
    "fish": "voicebus completion fish > ~/.config/fish/completions/voicebus.fish",
}


@click.command(epilog="Voices, providers and jobs are asked of a running daemon; none is started for it.")
@click.argument("shell", type=Name(list(WHERE)))
def completion(shell: str) -> None:
    """Print the completion script for a SHELL: bash, zsh or fish.

    \b
    bash:  eval "$(voicebus completion bash)"     in ~/.bashrc
    zsh:   eval "$(voicebus completion zsh)"      in ~/.zshrc, after compinit
    fish:  voicebus completion fish > ~/.config/fish/completions/voicebus.fish
    """  # noqa: D301 - the \b is for click
    kind = get_completion_class(shell)
    assert kind is not None
    from .app import cli

    # Not the subclass's own: for bash that runs whatever bash is on the path, only to look at its version.
    click.echo(ShellComplete.source(kind(cli, {}, "voicebus", "_VOICEBUS_COMPLETE")))
