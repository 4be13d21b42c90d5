"""Workers: started, let in, found ready, watched, replaced, drained.

Owns: the life of every worker. Must not know: how many there are to be (`fleet`); jobs, except that losing a worker
loses its attempts (`deadlines.lose`). Invariant: one process at a time in each place; it is started again only when the
old one is known to be gone; whoever registers without the ticket that was given out is refused; a daemon that was
itself late judges nobody.
"""

from __future__ import annotations

from ...bus.codec import decode_map
from ...bus.errors import BadMessage
from ...bus.messages import PROTOCOL, PROTOCOL_LOW, Beat, Quit, Ready, Refused, Register, Welcome
from . import deadlines, diagnosis, engines, fleet, leases
from .catalogue import Catalogue
from .effects import Spawn
from .failing import Failure
from .lifecycle import WORKER, move
from .restart import EXIT_BAD_CONFIG, RestartPolicy
from .settings import HIGHEST_RATE, LOWEST_RATE
from .state import Worker
from .world import World

MISSED_BEATS = 3.5
"""So many beats missing make a worker suspect: no new work, but no judgement yet."""

SILENT_S = 10.0
"""An idle worker that is silent for so long is replaced."""

REJOIN_S = 5.0
"""How long a process whose connection is gone has to register again."""

QUIT_S = 10.0
"""How long a worker that was told to finish has to do so."""

KILLED_OUTSIDE = frozenset({1, 2, 9, 15})
"""Signals that nobody sends himself: HUP, INT, KILL, TERM."""


# ---------------------------------------------------------------------------------------------- coming and going


def spawn_due(world: World, now: float) -> None:
    """Start the workers whose time has come."""
    for worker in world.workers.values():
        if worker.external or worker.wanted == "down" or world.draining:
            continue
        wakes = worker.state == "asleep" and worker.wanted == "up"
        if worker.state == "down" or wakes or (worker.state == "backoff" and worker.retry_at <= now):
            spawn(world, worker, now)


def spawn(world: World, worker: Worker, now: float) -> None:
    """Start a worker in its place, which is empty."""
    move(WORKER, worker, "spawn")
    worker.wanted = "up"
    worker.ticket = world.tickets()
    worker.spawned_at = worker.heard_at = worker.idle_since = now
    worker.ready_at = worker.quit_at = worker.lost_at = None
    worker.pid, worker.session, worker.peer, worker.ours = 0, "", b"", ""
    worker.settings = world.providers[worker.provider].settings
    worker.percent, worker.note, worker.refusal = -1.0, "", ""
    worker.rss_ready = worker.vram_ready = 0
    worker.jobs_before = worker.jobs_done
    world.effects.append(Spawn(worker.id, worker.settings, worker.ticket))


def spawn_failed(world: World, worker: Worker, reason: str, now: float) -> None:
    """There is not even a process."""
    exited(world, worker, None, None, [reason], now)


def exited(world: World, worker: Worker, code: int | None, signal: int | None, stderr: list[str], now: float) -> None:
    """A worker's process is gone: its attempts are lost, and it is replaced in due time."""
    was_ready = worker.ready_at is not None
    lasted = now - worker.ready_at if worker.ready_at is not None else 0.0
    outside = not worker.ours and signal in KILLED_OUTSIDE
    how = _how(worker, code, signal)
    worker.stderr = stderr[-20:]
    worker.reason = how
    on_purpose = worker.quit_at is not None and (code == 0 or bool(worker.ours))
    if not was_ready:
        version = str(world.info.get("version", ""))
        worker.refusal = worker.refusal or diagnosis.of(worker.settings, stderr, version)
    if not on_purpose:
        worker.last_failure = worker.refusal or (f"{how}: {stderr[-1]}" if stderr and not was_ready else how)
        world.report("warning", f"{worker.id} (pid {worker.pid}) {worker.last_failure}")
    drop_session(world, worker)
    deadlines.lose(
        world, worker, Failure("killed" if outside else "crash", how), now, blame=not (worker.ours or on_purpose)
    )
    move(WORKER, worker, "exit")
    worker.pid, worker.ticket, worker.lost_at = 0, "", None
    worker.rss = worker.vram = 0
    world.reroute.add(worker.provider)
    world.unsettled.add(worker.provider)
    if world.draining or worker.wanted == "down":
        move(WORKER, worker, "leave")
        if worker.wanted == "down" and not world.draining:
            fleet.forget(world, worker)
    elif worker.wanted == "sleep":
        move(WORKER, worker, "sleep")
        worker.reason = ""
    else:
        _restart(world, worker, code, was_ready, lasted, outside, on_purpose, now)
        recycled = on_purpose and worker.wanted == "recycle"
        worker.recycled += recycled
        worker.restarts += worker.state == "backoff" and not recycled


def _how(worker: Worker, code: int | None, signal: int | None) -> str:
    if worker.ours:
        return worker.ours
    if signal is not None:
        return f"was ended by signal {signal}"
    return f"exited with code {code}" if code is not None else "could not be started"


def _restart(
    world: World,
    worker: Worker,
    code: int | None,
    was_ready: bool,
    lasted: float,
    outside: bool,
    on_purpose: bool,
    now: float,
) -> None:
    """Decide when, and whether, it is started again."""
    if on_purpose or outside:
        move(WORKER, worker, "rest")
        worker.retry_at = now
        return
    code = EXIT_BAD_CONFIG if worker.refusal else code
    pause = (
        worker.restart.died_at_work(now, lasted, world.chance.random)
        if was_ready
        else worker.restart.died_before_ready(now, code, world.chance.random)
    )
    if pause is None:
        move(WORKER, worker, "give_up")
        last, by_itself = worker.stderr[-1] if worker.stderr else "", code == EXIT_BAD_CONFIG
        why = diagnosis.given_up(worker.refusal, worker.reason, last, by_itself=by_itself)
        worker.reason = f"{worker.id} {why}"
        world.providers[worker.provider].reason = worker.reason
        world.report("error", f"{worker.reason}. It is left alone until its configuration changes.")
    else:
        move(WORKER, worker, "rest")
        worker.retry_at = now + pause


def drop_session(world: World, worker: Worker) -> None:
    """Whoever speaks under this session from now on is a stranger."""
    world.by_peer.pop(worker.peer, None)
    worker.session, worker.peer = "", b""
    worker.needs.clear()
    worker.prompts.clear()


# ------------------------------------------------------------------------------------------------ what a worker says


def register(world: World, peer: bytes, message: Register, now: float) -> None:
    """Somebody wants to be a worker."""
    if message.low > PROTOCOL or message.high < PROTOCOL_LOW:
        _refuse_version(world, peer, message)
        return
    worker = _holder(world, peer, message.ticket) or _admit_external(world, message)
    if worker is None:
        known = message.provider in world.providers
        text = "The ticket is not one of ours." if known else f"There is no provider {message.provider!r} here."
        _refuse(world, peer, "ticket" if known else "unknown_provider", text)
        return
    if worker.state == "stopping":
        return
    if worker.session and worker.peer == peer and worker.state == "connected":
        _welcome(world, worker)
        return
    deadlines.lose(world, worker, Failure("unavailable", "its worker registered anew"), now, blame=False)
    drop_session(world, worker)
    move(WORKER, worker, "register")
    worker.peer, worker.session, worker.version = peer, world.tickets(), message.version[:100]
    worker.heard_at, worker.lost_at = now, None
    if worker.ready_at is not None:
        worker.spawned_at = now  # it has loaded long ago, and has as long again to say so
    worker.pid = worker.pid or message.pid
    world.by_peer[peer] = worker
    _welcome(world, worker)
    if worker.state == "draining":  # what it was told went with its connection
        world.to_worker(peer, Quit(session=worker.session))


def _holder(world: World, peer: bytes, ticket: str) -> Worker | None:
    """Whose ticket that is. A key is nobody's own, so its bearer is known by his connection."""
    known = world.by_peer.get(peer)
    if known is not None and known.external and ticket == known.settings.key:
        return known
    return next((worker for worker in world.workers.values() if worker.ticket and worker.ticket == ticket), None)


def _admit_external(world: World, message: Register) -> Worker | None:
    provider = world.providers.get(message.provider)
    if provider is None or not provider.settings.key or message.ticket != provider.settings.key:
        return None
    world.externals += 1
    name = f"{provider.name}/x{world.externals}"
    policy = RestartPolicy(world.settings.restart)
    worker = Worker(name, provider.name, provider.settings, policy, external=True, state="spawned")
    world.workers[name] = worker
    provider.workers.append(name)
    return worker


def _refuse(world: World, peer: bytes, code: str, text: str) -> None:
    world.count("refused workers", text)
    world.to_worker(peer, Refused(code=code, message=text, version=str(world.info.get("version", ""))))


def _refuse_version(world: World, peer: bytes, message: Register) -> None:
    """Its program will not be another by being started again: the refusal stays with its place."""
    worker = _holder(world, peer, message.ticket)
    ours = (str(world.info.get("version", "")), PROTOCOL_LOW, PROTOCOL)
    said = (message.version[:100], message.low, message.high)
    text = diagnosis.disjoint(worker.settings if worker else None, said, ours)
    if worker is not None:
        worker.refusal = text
    _refuse(world, peer, "version", text)


def _welcome(world: World, worker: Worker) -> None:
    world.to_worker(
        worker.peer,
        Welcome(
            version=str(world.info.get("version", "")),
            session=worker.session,
            beat_s=worker.settings.beat_s,
            settings=worker.settings.settings,
        ),
    )


def beat(world: World, worker: Worker, message: Beat, body: bytes, now: float) -> str:
    """It lives."""
    worker.percent, worker.note = message.percent, message.note[:200]
    worker.rss, worker.vram = message.rss, message.vram
    if worker.ready_at is not None:
        worker.rss_ready = worker.rss_ready or message.rss
        worker.vram_ready = worker.vram_ready or message.vram
    return ""


def heard(world: World, worker: Worker) -> None:
    """Any message is a sign of life: a suspect is well again."""
    move(WORKER, worker, "heard")
    worker.reason = ""
    world.unsettled.add(worker.provider)


def ready(world: World, worker: Worker, message: Ready, body: bytes, now: float) -> str:
    """Loaded and proven. Returns what is wrong with it, "" for nothing."""
    if worker.state not in ("connected", "ready", "suspect"):
        return ""
    if not LOWEST_RATE <= message.rate <= HIGHEST_RATE or not 1 <= message.slots <= 256:
        return f"a rate of {message.rate} or {message.slots} slots cannot be"
    try:
        told = decode_map(body)
        catalogue = Catalogue.from_ready(told)
    except (BadMessage, ValueError) as error:
        return f"its READY is wrong: {error}"
    provider = world.providers[worker.provider]
    move(WORKER, worker, "ready")
    first = provider.catalogue is None
    provider.catalogue, provider.version = catalogue, engines.version(told) or worker.version
    provider.rate = provider.rate or message.rate
    provider.reason = worker.reason = ""
    worker.slots, worker.load_s = message.slots, message.load_s
    worker.first_audio_s = worker.first_audio_s or message.first_audio_s
    worker.factor = worker.factor or message.factor
    worker.device, worker.told = engines.device(told), engines.about(told)
    worker.ready_at = worker.idle_since = now
    worker.restart.ready(now)
    if first:
        world.report("info", f"{provider.name} is ready after {message.load_s:.2f} s")
    world.reroute.add(provider.name)
    world.unsettled.add(provider.name)
    return ""


def misbehaved(world: World, worker: Worker, what: str, now: float) -> None:
    """A worker has broken the protocol: it is replaced."""
    world.count("protocol breaks of workers", f"{worker.id}: {what}")
    worker.last_failure = f"protocol: {what}"
    deadlines.lose(world, worker, Failure("protocol", what), now)
    leases.kill(world, worker, f"broke the protocol ({what})")
    if worker.external:
        _part(world, worker, now)


def unreachable(world: World, worker: Worker, now: float) -> None:
    """Its connection is gone. Its process may live; then it registers anew, else its exit is about to be seen."""
    deadlines.lose(world, worker, Failure("unavailable", "the connection to its worker broke"), now, blame=False)
    drop_session(world, worker)
    move(WORKER, worker, "unreachable")
    worker.lost_at = now
    world.unsettled.add(worker.provider)


# ------------------------------------------------------------------------------------------------------- watching


def due(world: World, worker: Worker) -> float | None:
    """When something has to be looked at for this worker, if nothing is heard of it."""
    state = worker.state
    times: list[float] = []
    if state == "backoff":
        times.append(worker.retry_at)
    elif state in ("spawned", "connected") and not worker.external:
        times.append(worker.spawned_at + worker.settings.load_s)
    elif state == "stopping" and worker.external:
        times.append(worker.heard_at)
    elif state == "draining" and worker.quit_at is not None:
        times.append(worker.quit_at + QUIT_S)
    if worker.lost_at is not None and state != "stopping":
        times.append(worker.lost_at + REJOIN_S)
    if state == "ready":
        times.append(worker.heard_at + MISSED_BEATS * worker.settings.beat_s)
    elif worker.session and (worker.external or (state == "suspect" and not worker.leases)):
        times.append(worker.heard_at + SILENT_S)
    for attempt in worker.leases.values():
        at = deadlines.deadline(world, worker, attempt)
        if at is not None:
            times.append(at)
    return min(times, default=None)


def watch(world: World, worker: Worker, now: float) -> None:
    """Look at a worker whose time has come."""
    deadlines.overdue(world, worker, now)
    state, quiet = worker.state, now - worker.heard_at
    if state in ("spawned", "connected") and not worker.external and now - worker.spawned_at >= worker.settings.load_s:
        leases.kill(world, worker, f"was not ready within {worker.settings.load_s:g} s")
    elif state == "draining" and worker.quit_at is not None and now - worker.quit_at >= QUIT_S:
        leases.kill(world, worker, f"did not finish within {QUIT_S:g} s")
    elif worker.lost_at is not None and state != "stopping" and now - worker.lost_at >= REJOIN_S:
        leases.kill(world, worker, "lost its connection and did not come back")
    elif state == "ready" and quiet >= MISSED_BEATS * worker.settings.beat_s:
        move(WORKER, worker, "silent")
        worker.reason = f"silent for {quiet:.1f} s"
    elif worker.session and quiet >= SILENT_S and (worker.external or (state == "suspect" and not worker.leases)):
        leases.kill(world, worker, f"was silent for {quiet:.0f} s")
    if worker.external and worker.state == "stopping":
        _part(world, worker, now)


def _part(world: World, worker: Worker, now: float) -> None:
    """An external worker has no process of ours: losing its session is its end."""
    deadlines.lose(world, worker, Failure("unavailable", worker.ours), now, blame=False)
    drop_session(world, worker)
    fleet.forget(world, worker)


def shift(world: World, by: float) -> None:
    """The daemon itself was late by so much: nobody else is to blame, so all clocks that run against others stop for
    that time."""
    for worker in world.workers.values():
        worker.heard_at += by
        worker.spawned_at += by
        worker.idle_since += by
        if worker.lost_at is not None:
            worker.lost_at += by
        if worker.quit_at is not None:
            worker.quit_at += by
        for attempt in worker.leases.values():
            attempt.progress_at += by
            if attempt.stopping is not None:
                attempt.stopping += by
    for client in world.clients.values():
        client.heard_at += by
    for importing in world.imports.values():
        importing.heard_at += by
    for pending in world.commits.values():
        pending.since += by
    for job in world.unfinished.values():
        job.text_at += by
        if job.alone_since is not None:
            job.alone_since += by
        if job.starved_since is not None:
            job.starved_since += by
        if job.failing_since is not None:
            job.failing_since += by
