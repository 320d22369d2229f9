"""A worker of the tests: ``program.py FOLDER URL SLOTS [OBJECTS]``. Models and datasets are files of the examples, and
a network so small that a search is soon through with it."""

import os
import shutil
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgewright.core.errors import InputError
from edgewright.formats import save
from edgewright.hub.errors import Absent, Conflict
from edgewright.hub.jobs import caches
from edgewright.hub.jobs.inputs import Known, provide
from edgewright.hub.jobs.worker import work
from edgewright.hub.state import open_state
from edgewright.targets import names, target
from edgewright.targets.toml import dump
from edgewright.testing.build import Build

DIGITS = Path(__file__).parents[3] / "examples" / "digits"
VERSION, DATASET = "ver_" + "1" * 26, "dat_" + "1" * 26
BROKEN, CHECKING = "ver_" + "2" * 26, "ver_" + "3" * 26
SMALL, SMALL_DATA = "ver_" + "4" * 26, "dat_" + "4" * 26
FILES = {
    VERSION: "digits.onnx", BROKEN: "README.md", DATASET: "digits.npz", SMALL: "small.onnx", SMALL_DATA: "small.npz",
}  # fmt: skip


def write_small(model, data):
    """A network of two layers, and samples that it classifies without a mistake; either where its path is given."""
    draw = np.random.default_rng(0)
    first, second = (draw.standard_normal(shape).astype(np.float32) for shape in ((8, 16), (16, 3)))
    if model:
        build = Build()
        hidden = build.node("Relu", build.node("MatMul", build.input("x", ["n", 8]), build.constant(first)))
        build.output(build.node("MatMul", hidden, build.constant(second)), ["n", 3])
        save(build.model(), model.parent / "made")
        (model.parent / "made" / "model.onnx").rename(model)
    if data:
        x = draw.standard_normal((600, 8)).astype(np.float32)
        np.savez(data, x=x, labels=np.argmax(np.maximum(x @ first, 0) @ second, 1))


PROFILE = dump(replace(target("raspberry-pi-4"), name="our-box", title="Our box"))


class Files:
    """Inputs by their ids. ``owner``: the one tenant that has any (None: all have)."""

    def __init__(self, owner=None):
        self.owner = owner

    def version(self, session, id_):
        if id_ == CHECKING:
            raise Conflict("this version is checking")
        return self._known(session.tenant, id_)

    dataset = version

    def _known(self, tenant, id_):
        if id_ not in FILES or self.owner not in (None, tenant):
            raise Absent(f"there is no version {id_!r}")
        return Known(id_, FILES[id_].encode().hex(), "digits")

    def target(self, session, name):
        if name != "our-box" and name not in names():
            raise InputError(f"no target is named {name!r}")
        return PROFILE if name == "our-box" else ""

    def optimized(self, session, id_):
        assert id_ in FILES

    def place_model(self, state, tenant, id_, folder):
        if id_ == SMALL:
            write_small(folder / "model.onnx", None)
            return folder / "model.onnx"
        return Path(shutil.copy(DIGITS / FILES[id_], folder / "model.onnx"))

    def place_dataset(self, state, tenant, id_, folder):
        if id_ == SMALL_DATA:
            write_small(None, folder / "data.npz")
            return folder / "data.npz", {}
        return Path(shutil.copy(DIGITS / FILES[id_], folder / "data.npz")), {}


if __name__ == "__main__":
    import logging

    if pause := os.environ.get("EDGEWRIGHT_TEST_SAVES"):
        caches._EVERY_S = float(pause)
    logging.basicConfig(level=logging.WARNING)
    sys.path.append(str(Path(__file__).with_name("spy")))
    folder, url, slots, *objects = sys.argv[1:]
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    with open_state(Path(folder), url, objects=objects[0] if objects else "") as state:
        if "EDGEWRIGHT_TEST_REAL" not in os.environ:
            provide(state, Files())
        work(state, int(slots), over, lambda id_: print(id_, flush=True))
