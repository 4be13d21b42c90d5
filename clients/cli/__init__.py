"""The voicebus command."""
