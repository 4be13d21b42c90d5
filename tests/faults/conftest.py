"""A real daemon for each file of faults, or for each test that kills it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from voicebus.clients.sync import Client

from .service import Service


@pytest.fixture(scope="module")
def service(request: pytest.FixtureRequest) -> Iterator[Service]:
    """The service of a file, configured by its CONFIG. After the file's tests nothing may be left of it."""
    with ExitStack() as stack:
        found = Service(request.module.CONFIG)
        stack.callback(found.give_up)
        yield found
        found.stop()


@pytest.fixture
def launch() -> Iterator[Callable[..., Service]]:
    """Start a service for one test, as `Service` does. After the test nothing may be left of it."""
    started: list[Service] = []

    def start(config: str, **options: Any) -> Service:
        started.append(Service(config, **options))
        return started[-1]

    try:
        yield start
        for one in started:
            one.stop()
    finally:
        for one in started:
            one.give_up()


@pytest.fixture
def client(service: Service) -> Iterator[Client]:
    """A client of the file's service."""
    with Client(endpoint=service.endpoint, start=False) as found:
        yield found
