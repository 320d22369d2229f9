"""PyTorch: exported programs and live modules become ONNX; what carries code is refused or read behind a wall."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from edgewright.core.digests import digest_bytes
from edgewright.core.errors import InputError
from edgewright.engines import open_session
from edgewright.formats import load
from edgewright.testing.formats import damages, one_line

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")


class Head(torch.nn.Module):  # type: ignore[misc]
    """Two named answers, and layers that behave otherwise while they train."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.drop, self.line = torch.nn.BatchNorm1d(4), torch.nn.Dropout(), torch.nn.Linear(4, 3)

    def forward(self, features: Any, scale: Any) -> dict[str, Any]:
        logits = self.line(self.drop(self.norm(features))) * scale
        return {"logits": logits, "mean": logits.mean(-1)}


class Fixed(torch.nn.Module):  # type: ignore[misc]
    def forward(self, x: Any) -> Any:
        return x.reshape(1, 2, 4).sum(1), x


def test_an_exported_program_is_read_behind_a_wall(program: Path) -> None:
    loaded = load(program)
    assert [str(s) for s in (*loaded.signature.inputs, *loaded.signature.outputs)] == [
        "input: float32[batch, 3, 6, 6]",
        "output: float32[batch, 5]",
    ]
    (step,) = loaded.lineage
    assert (step.name, step.parent) == ("export", digest_bytes(program.read_bytes()))
    assert step.options == {"from": "pt2", "dynamic_batch": True, "compared": True}
    assert str(program.parent).encode() not in loaded.data and b".py" not in loaded.data, "paths of this machine remain"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        original = torch.export.load(program).module()
    x = np.random.default_rng(0).standard_normal((3, 3, 6, 6)).astype(np.float32)
    with open_session(loaded) as session:
        got = session.infer({"input": x})["output"]
    np.testing.assert_allclose(got, original(torch.from_numpy(x)).detach().numpy(), atol=1e-5)


@pytest.fixture(scope="module")
def head() -> Any:
    torch.manual_seed(0)
    return Head().train()


def test_a_live_module_takes_any_batch_and_keeps_its_names(head: Any) -> None:
    example = {"features": torch.randn(1, 4), "scale": np.float32([[2.0]])}
    loaded = load(head, example=example)
    assert head.training and head.drop.training, "the module's modes were put back"
    assert [str(s) for s in (*loaded.signature.inputs, *loaded.signature.outputs)] == [
        "features: float32[batch, 4]",
        "scale: float32[batch, 1]",
        "logits: float32[batch, 3]",
        "mean: float32[batch]",
    ]
    x, scale = np.ones((5, 4), np.float32), np.full((5, 1), 2, np.float32)
    with open_session(loaded) as session:
        got = session.infer({"features": x, "scale": scale})
    want = head.eval()(torch.from_numpy(x), torch.from_numpy(scale))
    head.train()
    for name, values in want.items():
        np.testing.assert_allclose(got[name], values.detach().numpy(), atol=1e-5)
    onnx.checker.check_model(loaded.data, full_check=True)


def test_a_module_that_fixes_its_batch_keeps_the_examples() -> None:
    loaded = load(Fixed(), example=(torch.randn(1, 8),))
    assert [spec.shape for spec in loaded.signature.inputs] == [(1, 8)]
    assert [spec.name for spec in loaded.signature.outputs] == ["output_0", "output_1"]
    assert loaded.lineage[0].options["dynamic_batch"] is False


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "needs an example: load.module, example="),
        ({"example": 3}, "example holds no tensor"),
        ({"example": (torch.zeros(1, 9), torch.zeros(1, 1))}, "PyTorch cannot export the module"),
        ({"example": torch.zeros(1, 4), "batch": 3}, "takes example and dynamic_batch, not 'batch'"),
    ],
)
def test_a_live_module_without_a_usable_example(options: dict[str, Any], message: str, head: Any) -> None:
    with pytest.raises(InputError, match=message):
        raise InputError(one_line(lambda: load(head, **options), "no example"))
    assert head.training


def test_a_module_that_answers_by_chance_is_not_taken() -> None:
    class Chance(torch.nn.Module):  # type: ignore[misc]
        def forward(self, x: Any) -> Any:
            return x + torch.rand_like(x)

    with pytest.raises(InputError, match="answers otherwise than the module"):
        load(Chance(), example=(torch.zeros(2, 4),), dynamic_batch=False)


def test_pickles_and_scripts_are_refused_with_what_to_do(tmp_path: Path, head: Any) -> None:
    torch.save(head, tmp_path / "whole.pth")
    torch.save(head.state_dict(), tmp_path / "weights.pt")
    torch.save(head.state_dict(), tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    with zipfile.ZipFile(tmp_path / "script.pt", "w") as archive:
        archive.writestr("script/code/__torch__.py", "")
    with zipfile.ZipFile(tmp_path / "compiled.pt2", "w") as archive:
        archive.writestr("compiled/data/aotinductor/model/model.so", "")
    for name, message in {
        "whole.pth": "is a pickled module or state_dict",
        "weights.pt": "is a pickled module or state_dict",
        "old.pt": "is a pickle, which can run code",
        "script.pt": "is TorchScript",
        "compiled.pt2": "holds compiled code",
    }.items():
        with pytest.raises(InputError, match=rf"{message}.*torch\.export\.save"):
            raise InputError(one_line(lambda name=name: load(tmp_path / name), name, str(tmp_path / name)))


class _Evil:
    """Touches a file when it is unpickled, and would be told from an honest sample by nobody."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return eval, (f"open({str(self.path)!r}, 'w').write('owned')",)


def test_a_program_whose_samples_run_code_reaches_nothing(program: Path, tmp_path: Path) -> None:
    owned, sample, evil = tmp_path / "owned", tmp_path / "sample", tmp_path / "evil.pt2"
    torch.save(_Evil(owned), sample, pickle_module=pickle)
    with zipfile.ZipFile(program) as good, zipfile.ZipFile(evil, "w") as bad:
        for entry in good.infolist():
            data = sample.read_bytes() if "sample_inputs" in entry.filename else good.read(entry)
            bad.writestr(entry.filename, data)
    told = one_line(lambda: load(evil), "a hostile program", str(evil))
    assert "cannot read it" in told or "cannot be read safely" in told
    assert not owned.exists()


def test_damaged_archives_are_told_without_starting_a_child(program: Path, tmp_path: Path) -> None:
    for what, data in damages(program.read_bytes()):
        path = tmp_path / "net.pt2"
        path.write_bytes(data)
        one_line(lambda path=path: load(path), what, str(path))
    with pytest.raises(InputError, match="takes no option 'example'"):
        load(program, example=1)
