"""The voicebus command."""

__all__ = ["main"]


def main() -> None:
    """Run the command. Never returns: leaves with one of the exit codes in `exits`."""
    try:
        from .app import main as run
    except KeyboardInterrupt:  # the imports take a tenth of a second, in which somebody may think better of it
        raise SystemExit(130) from None
    run()
