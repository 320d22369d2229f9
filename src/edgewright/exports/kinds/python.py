"""A Python client of the bundle's model."""

from __future__ import annotations

from collections.abc import Sequence

from edgewright.exports import quoting
from edgewright.exports.contract import Limit, rendered
from edgewright.exports.golden import golden_files
from edgewright.exports.names import PYTHON, distinct, snake
from edgewright.exports.quoting import Code
from edgewright.exports.subject import Subject, Tensor

_KEPT = {"deadline_ms", "priority", "request_id", "inputs", "found", "fail_safe", "Any", "NDArray"}


class Python:
    """Typed by the signature; the protocol itself is a file that no bundle changes."""

    title = "a Python client of this model, over the Open Inference Protocol v2"
    needs = "Python 3.10, NumPy; a server of the bundle."
    tested = (
        "our tests make it, type-check it and run its golden calls and its errors against `edgewright serve` (Linux, "
        "Python 3.11), over TCP, TLS with a token, and a Unix socket."
    )
    untested = "other servers of the protocol, other systems."
    limit: Limit | None = Limit(
        100 * 10**6, "a file on the Python Package Index", "https://docs.pypi.org/project-management/storage-limits/"
    )

    def files(self, subject: Subject) -> dict[str, bytes]:
        """Raises InputError for no bundle."""
        package = f"{subject.snake}_client"
        inputs = distinct([snake(one.name) for one in subject.inputs], PYTHON | _KEPT)
        outputs = distinct([snake(one.name) for one in subject.outputs], PYTHON | _KEPT)
        image, declared = subject.image is not None, subject.declared()
        # Names as the contract has them: sorted as ruff sorts __all__, classes behind constants.
        exports = ["Decisions", "Outputs"] if image else ["Outputs"]
        values = {
            "package": Code(package),
            "distribution": package.replace("_", "-"),
            "description": f"Client of the model {subject.name} {subject.version}",
            "exports": Code(", ".join(exports)),
            "exports_listed": Code("\n".join(f'    "{name}",' for name in exports)),
            "inputs": Code(_tensors(subject.inputs)),
            "outputs": Code(_tensors(subject.outputs)),
            "labels": Code("".join(f"{quoting.python(one)}, " for one in declared["labels"]).rstrip(" ")),
            "preprocessing": Code(repr(declared["preprocessing"])),
            "output_fields": Code("\n".join(_field(*pair) for pair in zip(outputs, subject.outputs, strict=True))),
            "parameters": Code(
                "\n".join(
                    f"        {name}: NDArray[{one.kind.numpy}],"
                    for name, one in zip(inputs, subject.inputs, strict=True)
                )
            ),
            "sent": Code(
                ", ".join(f"{quoting.python(t.name)}: {n}" for n, t in zip(inputs, subject.inputs, strict=True))
            ),
            "received": Code(", ".join(f"found[{quoting.python(one.name)}]" for one in subject.outputs)),
            "example": Code(", ".join(_example(one) for one in subject.inputs)),
            "image_imports": Code(", Sequence" if image else ""),
            "decisions": Code(_DECISIONS if image else ""),
            "image_method": Code(_METHOD.replace("IMAGE", quoting.python(subject.inputs[0].name)) if image else ""),
        }
        made = rendered(subject, self, "python", values, {"package": package})
        return {**made, **golden_files(subject)}


def _tensors(tensors: Sequence[Tensor]) -> str:
    lines = []
    for one in tensors:
        sizes = [ascii(size) for size in one.shape]
        shape = f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"
        lines.append(f"    Tensor({quoting.python(one.name)}, {quoting.python(one.kind.wire)}, {shape}),")
    return "\n".join(lines)


def _field(name: str, one: Tensor) -> str:
    return f'    {name}: NDArray[{one.kind.numpy}]\n    """{quoting.comment(one.told)}"""'


def _example(one: Tensor) -> str:
    sizes = [str(size if isinstance(size, int) else 1) for size in one.shape]
    shape = f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"
    return f'np.full({shape}, b"", object)' if one.kind.wire == "BYTES" else f"np.zeros({shape}, {one.kind.numpy})"


_DECISIONS = '''

@dataclass(frozen=True)
class Decisions:
    """Named classes of each image, best first; an index of -1, and an empty name, where no class is answered."""

    labels: list[list[str]]
    scores: NDArray[np.float32]
    indices: NDArray[np.int64]
    outputs: Outputs
'''
_METHOD = '''
    def infer_images(
        self, files: Sequence[bytes], *, deadline_ms: float | None = None, priority: int = 0, request_id: str = ""
    ) -> Decisions:
        """Ask about JPEG, PNG or BMP files, as bytes: the server decodes and prepares them as the bundle declares.

        Raises as ``infer``.
        """
        raws = np.empty(len(files), object)
        raws[:] = files
        self._check_once()
        found = self._protocol.infer(
            (Tensor(IMAGE, "BYTES", (None,)),), {IMAGE: raws},
            deadline_ms=deadline_ms, priority=priority, request_id=request_id,
        )  # fmt: skip
        given = found.outputs
        if "top_labels" not in given:
            raise WrongModelError("the server's answer has no classes: the bundle declares no postprocessing")
        labels = [[str(one, "utf-8") for one in row] for row in given["top_labels"].tolist()]
        return Decisions(labels, given["top_scores"], given["top_indices"], _outputs(given, found.fail_safe))
'''
