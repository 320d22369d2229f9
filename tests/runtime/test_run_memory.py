"""A request whose run needs more memory than it may is told so, and nobody else pays for it."""

import numpy as np
import pytest

from edgewright.formats import save
from edgewright.runtime import Runtime
from edgewright.runtime.faults import TooLarge
from edgewright.runtime.memory import anonymous_bytes
from edgewright.testing.build import Build


def spread(wide=4096):
    """``wide`` floats for each that is given."""
    build = Build()
    wider = build.node("Mul", build.input("x", ["n", 1]), build.constant(np.ones((1, wide), np.float32)))
    build.output(build.node("ReduceSum", wider, build.constant(np.array([1])), keepdims=1), ["n", 1])
    return build.model()


@pytest.mark.parametrize("isolated", [False, True])
def test_a_request_of_too_many_rows_is_refused(tmp_path, isolated):
    save(spread(), tmp_path / "m")
    table = f'[models."*"]\nmax_batch = 8\nrun_mb = 64\nisolated = {str(isolated).lower()}\n'
    (tmp_path / "runtime.toml").write_text(table)
    with Runtime(tmp_path / "m" / "model.onnx", config=tmp_path / "runtime.toml") as runtime:
        stats, before = runtime.repository.find().stats, anonymous_bytes()
        many, few = {"x": np.ones((100_000, 1), np.float32)}, {"x": np.ones((3, 1), np.float32)}
        for _ in range(2):
            with pytest.raises(TooLarge, match="more memory than the 64 MB it may take; ask for fewer rows") as caught:
                runtime.infer(many)
            assert caught.value.status == 413
            (found,) = runtime.infer(few).values()
            np.testing.assert_array_equal(found, np.full((3, 1), 4096))
        assert stats.faults == {"bad_request": 2} and stats.requests == 2
        assert anonymous_bytes() - before < 256e6, "1.6 GB without a bound"


def test_there_is_a_bound_by_default(tmp_path):
    save(spread(), tmp_path / "m")
    with Runtime(tmp_path / "m" / "model.onnx") as runtime, pytest.raises(TooLarge, match="the 1,024 MB it may take"):
        runtime.infer({"x": np.ones((2**20, 1), np.float32)})  # 16 GB
