"""A core that does nothing but remember, and a daemon around it, for trying out the shell alone."""

from __future__ import annotations

import sys
import time

from voicebus.bus.codec import encode
from voicebus.bus.messages import Chunk, Greet, Hello, Submit, Welcome
from voicebus.daemon.core.effects import Leave, ToClient


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
    """Welcomes who says HELLO, echoes SUBMIT's body, leaves on TERM."""

    def __init__(self, *parts):
        super().__init__(*parts)
        self.first = b""

    def client_message(self, peer, uid, pid, message, body, now):
        if type(message) is Hello:
            self.effects.append(ToClient(peer, encode(Welcome(version=f"{uid}:{pid}"))))
        elif type(message) is Submit:
            self.effects.append(ToClient(peer, encode(Greet()), body))

    def bad_client_message(self, peer, uid, pid, reason, now):
        self.effects.append(ToClient(peer, encode(Welcome(version=reason))))

    def worker_message(self, peer, uid, pid, message, body, now):
        if type(message) is Chunk:
            self.effects.append(ToClient(self.first, encode(message), body))

    def terminate(self, now):
        self.effects.append(Leave(0))

    def reload(self, settings, now):
        sys.stderr.write(f"reloaded {settings.language}\n")

    def late(self, by, now):
        sys.stderr.write(f"late {by:.1f} {time.monotonic() - now < 1}\n")


def main():
    """Run the daemon with an EchoCore."""
    from voicebus.daemon.main import main as run

    sys.exit(run(sys.argv[1:], EchoCore))


if __name__ == "__main__":
    main()
