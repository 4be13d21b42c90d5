"""The fixtures that the tests of both engines share. The importing folder has `build`, which makes a checkpoint as in
`tiny`, `plain`, the settings of every engine, and `engine_class`."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory, build):
    """A tiny checkpoint: `checkpoint("base", odds={...})`. Made once for the same arguments."""
    made = {}

    def get(kind="custom_voice", **options):
        key = repr((kind, options))
        if key not in made:
            made[key] = build(tmp_path_factory.mktemp("model") / kind, kind, **options)
        return made[key]

    return get


@pytest.fixture(scope="session")
def recording(tmp_path_factory):
    """A file with two seconds of a hum."""
    import numpy as np
    import soundfile

    path = tmp_path_factory.mktemp("sample") / "hum.wav"
    soundfile.write(path, (0.3 * np.sin(np.arange(2 * 16000) / 16000 * 2 * np.pi * 180)).astype("float32"), 16000)
    return path


@pytest.fixture(scope="session")
def settings(checkpoint, recording, plain):
    """What to load an engine with: `settings("base")`."""

    def get(kind="custom_voice", options=None, **more):
        found = {**plain, "model": str(checkpoint(kind, **(options or {}))), **more}
        if kind == "base":
            found.setdefault("voices", {"hum": {"sample": str(recording), "text": "hello world"}})
        return found

    return get


@pytest.fixture(scope="session")
def engine(settings, engine_class):
    """A loaded engine: `engine("base", packet_frames=4)`. Loaded once for the same arguments."""
    made = {}

    def get(kind="custom_voice", options=None, **more):
        key = repr((kind, options, more))
        if key not in made:
            made[key] = engine_class()
            made[key].load(settings(kind, options, **more), lambda _percent, _note: None)
        return made[key]

    return get
