"""The voicebus command."""

from .app import main as main

__all__ = ["main"]
