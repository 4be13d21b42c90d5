"""A worker whose engine starts processes and forgets them: a program, and a bare fork that holds everything open.

Owns: the leftovers. Must not know: who ends them. Each takes its pid down in the folder that the settings name.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from voicebus.workers.engine import Progress, Request
from voicebus.workers.runtime import main
from voicebus.workers.tone import ToneEngine


class ForkingEngine(ToneEngine):
    """Tone, and two more processes for each utterance, which ignore what can be ignored."""

    name = "forking"

    def load(self, settings: dict[str, Any], progress: Progress) -> None:
        self._folder = Path(settings.pop("folder"))
        super().load(settings, progress)

    def synthesize(self, request: Request) -> Any:
        program = subprocess.Popen(["sh", "-c", "trap '' TERM HUP INT; while :; do sleep 60; done"])
        (self._folder / str(program.pid)).touch()
        child = os.fork()
        if not child:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            while True:
                signal.pause()
        (self._folder / str(child)).touch()
        return super().synthesize(request)


if __name__ == "__main__":
    sys.exit(main(ForkingEngine))
