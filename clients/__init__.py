"""Clients: what a program or a person speaks to the daemon with."""
