"""The daemon as a program: from the command line to the loop, and out again.

Owns: the order of starting and leaving. Must not know: what the daemon does in between. Invariant: nothing
outside is touched before the lock is held, the sockets' files go last but for the lock, and each way to fail
has its exit code.

Exit codes: 0 left in order, 1 an error, 78 the configuration, 100 a daemon already runs for this state
directory, or somebody listens where this one would.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import random
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import zmq

from .. import __version__
from ..bus import endpoints, places
from ..bus.codec import decode_from_client, decode_from_worker
from ..bus.endpoints import EndpointError
from ..bus.places import Places
from . import activation, logs, memory, trying
from .config import ConfigError, describe, load
from .core.records import SampleFacts
from .core.settings import Settings
from .doors import Doors, SomebodyListens, most_clients, raise_descriptor_limit
from .files import Files
from .inbox import Inbox
from .inputs import Inputs
from .journal import Journals
from .lanes import Lanes
from .lock import AlreadyRunning, Lock
from .logs import log
from .loop import Loop
from .notify import Notifier
from .packer import Packer
from .processes import Processes
from .shell import Core, Shell
from .store import open_store
from .syncer import Syncer
from .taking_up import take_up, take_up_voices
from .tidy import tidy
from .voice_checker import VoiceChecker
from .voice_files import VoiceFiles
from .voice_hands import VoiceHands

DATABASE = "voicebus.db"
VOICES = "voices"

EXIT_ERROR = 1
EXIT_CONFIG = 78
EXIT_ALREADY_RUNS = 100

_SOCKETS = (endpoints.CLIENT_SOCKET, endpoints.WORKER_SOCKET)


MakeCore = Callable[[Settings, str, Any, Callable[[], str], dict[str, Any]], Core]
"""What makes the core: settings, epoch, a source of chance, a source of tickets, and facts for the status."""


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="voicebus.daemon", description="The speech service.")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run in the foreground")
    run.add_argument("--started-by", choices=["hand", "client", "service"], default="hand")
    run.add_argument("--idle-exit", type=float, metavar="S", help="leave after S idle seconds (0: never)")
    run.add_argument("--ready-fd", type=int, metavar="N", help="write a line there when ready, then close it")
    check = commands.add_parser("check", help="say what is wrong with the configuration")
    test = commands.add_parser("test", help="run the checks that every engine passes on a provider's")
    test.add_argument("provider")
    test.add_argument("--lines", action="store_true", help="tell each check as a line of JSON")
    test.add_argument("--patience", type=float, default=60.0, metavar="S", help="how long one check may take")
    for command in (run, check, test):
        command.add_argument("--system", action="store_true", help="for all users of this machine")
        command.add_argument("--config", type=Path, help="instead of the usual place")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None, make_core: MakeCore | None = None) -> int:
    """Run the program; returns its exit code. make_core: instead of the real one, for trying out the shell
    alone."""
    arguments = _arguments(argv)
    where = places.system() if arguments.system else places.own()
    path: Path = (arguments.config or where.config).absolute()
    if arguments.config is not None and not path.is_file():
        print(f"voicebus: no such file: {path}", file=sys.stderr)  # noqa: T201 - no log yet
        return EXIT_CONFIG
    if arguments.command == "check":
        return _check(path, shared=where.shared)
    if arguments.command == "test":
        return _test(arguments, path, shared=where.shared)
    try:
        return _run(arguments, where._replace(config=path), make_core or _real_core)
    except AlreadyRunning as error:
        print(error, file=sys.stderr)  # noqa: T201 - the log belongs to the other one
        return EXIT_ALREADY_RUNS
    except SomebodyListens as error:
        log.error("%s", error)
        return EXIT_ALREADY_RUNS
    except (EndpointError, OSError) as error:
        log.error("%s", error)
        if not log.handlers:
            print(f"voicebus: {error}", file=sys.stderr)  # noqa: T201 - no log yet
        return EXIT_ERROR
    except Exception:  # noqa: BLE001 - nowhere else would anybody look for it
        log.exception("the daemon stops on an error of its own")
        return EXIT_ERROR
    finally:
        logs.stop()


def _check(path: Path, *, shared: bool) -> int:
    problems = load(path, shared=shared).problems
    for problem in problems:
        print(describe(path, problem), file=sys.stderr)  # noqa: T201 - what was asked for
    return EXIT_CONFIG if problems else 0


def _test(arguments: argparse.Namespace, path: Path, *, shared: bool) -> int:
    settings, name = load(path, shared=shared), arguments.provider
    provider = settings.providers.get(name)
    if provider is None:
        whys = [describe(path, p) for p in settings.problems if p.where in (f"providers.{name}", f"engines/{name}.py")
                or p.where.startswith(f"providers.{name}.")]  # fmt: skip
        known = f"There is: {', '.join(settings.providers) or 'none'}."
        said = f"There is no provider {name!r}. {known}"
        from ..bus.manifests import all_manifests

        if name in {manifest.name for manifest in all_manifests()}:
            said = f"{name} is not set up; see how with: voicebus providers show {name}"
        print("\n".join(whys or [said]), file=sys.stderr)  # noqa: T201
        return trying.EXIT_NO_SUCH
    return trying.report(provider, __version__, arguments.patience, as_lines=arguments.lines)


def _real_core(*parts: Any) -> Core:
    from .core.core import Core as RealCore

    return RealCore(*parts)


def _run(arguments: argparse.Namespace, where: Places, make_core: MakeCore) -> int:
    os.umask(0o077)
    inherited = activation.take(os.environ)
    at = str(where.client_socket) if inherited is None else inherited.getsockname()
    where.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    where.log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.ExitStack() as leaving:
        if inherited is not None:
            leaving.callback(inherited.close)
        lock = Lock(where.state, version=__version__, socket=at)
        leaving.callback(lock.release)
        by_hand = arguments.started_by == "hand" or "JOURNAL_STREAM" in os.environ
        logs.start(where.log, to_stderr=by_hand)
        return _Daemon(arguments, where, inherited, make_core, leaving).run()


class _Daemon:
    """All parts, put together; `leaving` takes them apart in the opposite order."""

    def __init__(
        self,
        arguments: argparse.Namespace,
        where: Places,
        inherited: socket.socket | None,
        make_core: MakeCore,
        leaving: contextlib.ExitStack,
    ) -> None:
        self._arguments = arguments
        self._where = where
        self._descriptors = raise_descriptor_limit()
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        leaving.callback(context.term)
        doors = Doors(context, where, self._descriptors, inherited)
        leaving.callback(doors.close)
        if doors.clients.fixed:
            log.warning("%s is not ours to shut when descriptors run short: let it belong to us", doors.clients.path)
        settings = self._adjusted(load(where.config, shared=where.shared))
        for problem in settings.problems:
            log.error("%s", describe(where.config, problem))
        journals = Journals(where.state / "logs", open_files=min(256, self._descriptors // 8))
        leaving.callback(journals.close)
        inputs, voices = Inputs(where.state / "logs"), VoiceFiles(where.state / VOICES)
        store = open_store(where.state / DATABASE, journals.sync, voices.sync, inputs=inputs)
        leaving.callback(store.close)
        others = selectors.DefaultSelector()
        leaving.callback(others.close)
        self._notifier = Notifier(os.environ)
        leaving.callback(self._notifier.close)
        core = make_core(settings, _epoch(), random.SystemRandom(), _ticket, self._info(doors.clients.path))
        processes = Processes(others, endpoints.worker_endpoint(where.workers), self._exited)
        lanes = Lanes(doors.clients.socket, core, journals, voices)
        packer = Packer(processes, journals, self._helped)
        leaving.callback(packer.close)
        leaving.callback(processes.kill_all)
        syncer = Syncer(journals.sync)
        leaving.callback(syncer.close)
        files = Files(where.state)
        checker = VoiceChecker(processes, voices, self._checked)
        hands = VoiceHands(core, voices, checker)
        shell = Shell(
            core, lanes, doors.workers.socket, processes, journals, store, packer, syncer, files, inputs, hands
        )
        owned = take_up(core, store, journals, inputs) | take_up_voices(core, store, voices)
        if left := tidy(where.state, where.workers, owned, time.time(), live=_SOCKETS):
            log.info("removed %d files that belonged to nobody", len(left))
        inboxes = (
            Inbox("clients", doors.clients.socket, decode_from_client, core.client_message,
                  lambda peer, who, reason, now: core.bad_client_message(peer, *who, reason, now),
                  shell.after_client, everybody=where.shared),
            Inbox("workers", doors.workers.socket, decode_from_worker, core.worker_message,
                  lambda peer, _, reason, now: core.bad_worker_message(peer, reason, now),
                  shell.after_worker),
        )  # fmt: skip
        self._loop = Loop(core, shell, doors, inboxes, lanes, others, processes, self._notifier, self._reloaded)
        self._loop.ready = self._ready
        if (descriptor := store.fileno()) is not None:
            others.register(descriptor, selectors.EVENT_READ, self._loop.collect)
        others.register(syncer.fileno(), selectors.EVENT_READ, self._loop.synced)
        leaving.enter_context(_signals(others, self._signalled))

    def run(self) -> int:
        log.info("voicebus %s starts as process %d", __version__, os.getpid())
        code = self._loop.run()
        log.info("leaving with code %d", code)
        return code

    def _info(self, socket_path: Path) -> dict[str, object]:
        return {
            "pid": os.getpid(),
            "uid": os.geteuid(),
            "version": __version__,
            "started_by": self._arguments.started_by,
            "system": self._where.shared,
            "socket": str(socket_path),
            "log_file": str(self._where.log),
            "state_dir": str(self._where.state),
            "runtime_dir": str(self._where.runtime),
            "config": str(self._where.config),
        }

    def _adjusted(self, settings: Settings) -> Settings:
        """With what the command line and the machine have to say."""
        clients = min(settings.limits.clients, most_clients(self._descriptors))
        budget = settings.limits.memory_budget_bytes or memory.budget()
        limits = replace(settings.limits, clients=clients, memory_budget_bytes=budget)
        settings = replace(settings, limits=limits.shared() if self._where.shared else limits)
        idle = self._arguments.idle_exit
        return settings if idle is None else replace(settings, idle_exit_s=idle)

    def _exited(self, worker: str, code: int | None, number: int | None, stderr: list[str]) -> None:
        self._loop.exited(worker, code, number, stderr)

    def _helped(self, log: str, size: int, reason: str, *, packed: bool) -> None:
        self._loop.helped(log, size, reason, packed=packed)

    def _checked(self, uid: int, sample: str, facts: SampleFacts | None, reason: str) -> None:
        self._loop.checked(uid, sample, facts, reason)

    def _signalled(self, number: int) -> None:
        if number == signal.SIGHUP:
            self._loop.reload()
        elif number in {signal.SIGTERM, signal.SIGINT}:
            self._loop.terminate()

    def _reloaded(self) -> Settings | None:
        try:
            settings = self._adjusted(load(self._where.config, strict=True, shared=self._where.shared))
        except ConfigError as error:
            log.error("configuration not taken over, the old one stays:\n%s", error)
            return None
        for problem in settings.problems:
            log.error("%s", describe(self._where.config, problem))
        log.info("configuration read again")
        return settings

    def _ready(self) -> None:
        self._notifier.ready("serving")
        if self._arguments.ready_fd is not None:
            with contextlib.suppress(OSError):
                os.write(self._arguments.ready_fd, b"ready\n")
                os.close(self._arguments.ready_fd)
        # What is there now stays: no collection needs to look at it again.
        gc.collect()
        gc.freeze()


def _epoch() -> str:
    return os.urandom(6).hex()


def _ticket() -> str:
    return os.urandom(18).hex()


@contextlib.contextmanager
def _signals(others: selectors.DefaultSelector, signalled: Callable[[int], None]) -> Iterator[None]:
    """Signals become bytes on a socket that the loop reads like any other."""
    reading, writing = socket.socketpair()
    reading.setblocking(False)
    writing.setblocking(False)

    def read() -> None:
        with contextlib.suppress(BlockingIOError):
            for number in reading.recv(64):
                signalled(number)

    def ignore(number: int, frame: FrameType | None) -> None:
        """Python calls it some time later; by then the byte is on its way."""

    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = [signal.signal(number, ignore) for number in numbers]
    previous = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
    others.register(reading, selectors.EVENT_READ, read)
    try:
        yield
    finally:
        others.unregister(reading)
        signal.set_wakeup_fd(previous)
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
        reading.close()
        writing.close()
