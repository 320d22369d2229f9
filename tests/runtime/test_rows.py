"""Inputs of different length: refused where the model's signature says that they are alike, and nobody else pays."""

import numpy as np
import pytest

from edgewright.formats import save
from edgewright.runtime import Runtime
from edgewright.runtime.faults import BadRequest
from edgewright.testing.build import Build


@pytest.mark.parametrize("isolated", [False, True])
@pytest.mark.parametrize("most", [1, 8])
def test_inputs_of_different_length_are_the_callers_fault(tmp_path, most, isolated):
    build = Build()
    build.output(build.node("Add", build.input("x", ["n", 4]), build.input("z", ["n", 4])), ["n", 4])
    save(build.model(), tmp_path / "m")
    table = f'[models."*"]\nmax_batch = {most}\nisolated = {str(isolated).lower()}\n'
    (tmp_path / "runtime.toml").write_text(table)
    x, z = np.ones((3, 4), np.float32), np.ones((1, 4), np.float32)
    with Runtime(tmp_path / "m" / "model.onnx", config=tmp_path / "runtime.toml") as runtime:
        stats = runtime.repository.find().stats
        for _ in range(2):
            with pytest.raises(BadRequest, match=r"inputs 'x' and 'z' must have as many rows .*got 3 and 1"):
                runtime.infer({"x": x, "z": z})
            (found,) = runtime.infer({"x": x, "z": x}).values()
            np.testing.assert_array_equal(found, 2 * x)
        assert stats.faults == {"bad_request": 2} and stats.requests == 2
