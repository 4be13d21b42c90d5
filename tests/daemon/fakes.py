"""A core that does nothing but remember, and a daemon around it, for trying out the shell alone."""

from __future__ import annotations

import sys

from voicebus.bus.codec import encode
from voicebus.bus.messages import Greet, Hello, Submit, Welcome
from voicebus.daemon.core.effects import Leave, Report, ToClient


class FakeCore:
    """Remembers every event as (name, arguments without `now`) and does what `on` says for it."""

    def __init__(self, *parts):
        self.parts = parts
        self.effects = []
        self.events = []
        self.hungry = False
        self.deadline = None
        self.on = {}

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)

        def event(*arguments):
            if name != "tick":
                self.events.append((name, *arguments[:-1]))
            if name in self.on:
                self.on[name](*arguments)

        return event

    def next_deadline(self, now):
        return self.deadline

    def named(self, name):
        return [event[1:] for event in self.events if event[0] == name]


class EchoCore(FakeCore):
    """Welcomes who says HELLO, echoes SUBMIT's body, ticks often, leaves on TERM unless it is stubborn."""

    stubborn = False
    broken = False
    tripped = False

    def tick(self, now):
        if self.tripped:
            raise RuntimeError("a mistake in the core")

    def client_message(self, peer, uid, pid, message, body, now):
        if type(message) is Hello:
            self.tripped = self.broken
            self.effects.append(ToClient(peer, encode(Welcome(version=f"{uid}:{pid}"))))
        elif type(message) is Submit:
            self.effects.append(ToClient(peer, encode(Greet()), body))

    def next_deadline(self, now):
        return now + 0.05

    def terminate(self, now):
        if not self.stubborn:
            self.effects.append(Leave(0))

    def reload(self, settings, now):
        self.effects.append(Report("warning", f"reloaded: {settings.language}"))

    def late(self, by, now):
        self.effects.append(Report("warning", f"late: {by:.3f}"))


def main():
    """Run the daemon with an EchoCore: ``stubborn`` or ``broken`` before the daemon's own arguments."""
    from voicebus.daemon import loop
    from voicebus.daemon.main import main as run

    loop.IDLE_CHECK_S = loop.BUSY_CHECK_S = 0.1
    arguments = sys.argv[1:]
    while arguments[0] != "run":
        setattr(EchoCore, arguments.pop(0), True)
    sys.exit(run(arguments, EchoCore))


if __name__ == "__main__":
    main()
