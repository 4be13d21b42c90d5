"""Check a built wheel: what is in it, and that it works where the source tree is not."""

import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

MODULES = ["voicebus", "voicebus.clients.cli", "voicebus.daemon", "voicebus.workers.espeak"]
NOT_SHIPPED = {"tests", "bench", "docs", "examples"}


def faults(wheel: Path) -> list[str]:
    """Say what is in the wheel that should not be, and what is missing."""
    names = zipfile.ZipFile(wheel).namelist()
    found = [f"should not be there: {name}" for name in names if NOT_SHIPPED & set(Path(name).parts)]
    found += [f"outside the package: {name}" for name in names if not name.startswith(("voicebus/", "voicebus-"))]
    for wanted in (
        "voicebus/py.typed",
        "voicebus/workers/manifests/*.toml",
        "voicebus/systemd/*.service",
        "voicebus/systemd/*.socket",
        "voicebus/systemd/*.sysusers",
        "voicebus/launchd/*.plist",
    ):
        if not any(Path(name).match(wanted) for name in names):
            found.append(f"missing: {wanted}")
    return found


def main() -> int:
    """Check the wheel named on the command line; the exit status says whether it is fine."""
    wheel = Path(sys.argv[1]).resolve()
    if found := faults(wheel):
        print(f"{wheel.name}:", *found, sep="\n  ")
        return 1
    with tempfile.TemporaryDirectory() as elsewhere:
        venv.create(Path(elsewhere, "env"), with_pip=True)
        python = Path(elsewhere, "env", "bin", "python")
        pip = [python, "-m", "pip", "--disable-pip-version-check", "-qq", "install", wheel]
        subprocess.run(pip, cwd=elsewhere, check=True)
        for module in MODULES:
            subprocess.run([python, "-c", f"import {module}"], cwd=elsewhere, check=True)
        script = Path(elsewhere, "env", "bin", "voicebus")
        subprocess.run([script, "--help"], cwd=elsewhere, check=True, stdout=subprocess.DEVNULL)
    print(f"{wheel.name}: fine ({', '.join(MODULES)} import outside the repository)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
