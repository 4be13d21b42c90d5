"""A broker for each test, and workers in threads and processes that end with it."""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from voicebus.workers.runtime import Worker
from voicebus.workers.session import Identity

# Tests are imported one by one and are no package, so their helper is given a name of its own here.
_spec = importlib.util.spec_from_file_location("worker_broker", Path(__file__).with_name("broker.py"))
_module = importlib.util.module_from_spec(_spec)
sys.modules["worker_broker"] = _module
_spec.loader.exec_module(_module)


@pytest.fixture
def broker():
    """A bare ROUTER at a short path, since a socket's path may have no more than 107 bytes."""
    with tempfile.TemporaryDirectory() as folder:
        made = _module.Broker(Path(folder))
        yield made
        made.close()


@pytest.fixture
def start(broker):
    """Starts a worker's process: `start("voicebus.workers.tone")`."""
    started = []

    def start(*args, **options):
        process = _module.Process(broker, *args, **options)
        started.append(process)
        return process

    yield start
    for process in started:
        process.close()


class Local:
    """A worker in a thread of this process."""

    def __init__(self, engine, endpoint):
        self.worker = Worker(engine, endpoint, Identity("t1", "local", "0", 1))
        self.code = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        self.code = self.worker.run()

    def join(self, timeout=10.0):
        self._thread.join(timeout)
        assert not self._thread.is_alive()
        return self.code

    def close(self):
        # Twice: the first lets what is running finish.
        self.worker.terminate()
        self.worker.terminate()
        self.join()


@pytest.fixture
def local(broker):
    """Starts a worker in a thread: `local(MyEngine)`."""
    started = []

    def start(engine):
        started.append(Local(engine, broker.endpoint))
        return started[-1]

    yield start
    for worker in started:
        worker.close()
