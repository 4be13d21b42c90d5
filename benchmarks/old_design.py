"""The design that voicebus replaces, as small as it can be: FastAPI in front of one child process with the engine.

One request makes the whole clip; the child sends it through a pipe, the server answers with JSON in which the clip
stands as base64 of 32-bit floats. Run as ``python old_design.py PORT``; needs the extra `bench`.
"""

from __future__ import annotations

import base64
import contextlib
import multiprocessing
import sys
from multiprocessing.connection import Connection
from typing import Any

from pydantic import BaseModel


class Asked(BaseModel):
    """A request."""

    text: str


SPAWN = multiprocessing.get_context("spawn")


def child(there: Connection) -> None:
    """The engine's process: a text in, the whole clip out."""
    import numpy as np
    from common_engines import loaded, whole

    from voicebus.workers.espeak import EspeakEngine

    engine = loaded(EspeakEngine())
    with contextlib.suppress(EOFError):
        while True:
            there.send(np.frombuffer(whole(engine, there.recv()), "<i2").astype(np.float32) / 32768)


def main(port: int) -> None:
    import uvicorn
    from fastapi import FastAPI

    here, there = SPAWN.Pipe()
    SPAWN.Process(target=child, args=(there,), daemon=True).start()
    app = FastAPI()

    @app.post("/generate")
    def generate(asked: Asked) -> dict[str, Any]:
        here.send(asked.text)
        clip = here.recv()
        return {"sample_rate": 22050, "audio": base64.b64encode(clip.tobytes()).decode()}

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error")


if __name__ == "__main__":
    main(int(sys.argv[1]))
