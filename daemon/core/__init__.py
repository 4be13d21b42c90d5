"""The decisions of the daemon, with no input or output of their own."""
