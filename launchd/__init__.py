"""Property lists for launchd."""
