"""C++ projects that run the bundle's model file: on OpenVINO, whose wheel carries headers, and on ONNX Runtime."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from edgewright.core.digests import digest_bytes
from edgewright.core.errors import InputError
from edgewright.exports import quoting
from edgewright.exports.contract import Export, Limit, rendered
from edgewright.exports.golden import golden_files
from edgewright.exports.names import CPP, distinct, snake
from edgewright.exports.quoting import Code
from edgewright.exports.subject import Subject, Tensor

_LOOSE = (
    " One thing is otherwise: the number of rows stays open here, where Edgewright compiles the model for single rows "
    "as well; those may take up to a fifth longer than was measured."
)
_KEPT = CPP | {"inputs", "outputs", "model", "tensor", "labels", "options"}


class Cpp:
    """On OpenVINO."""

    title = "a C++17 project that runs the model with OpenVINO, without a server"
    needs = "CMake 3.18, a C++17 compiler, OpenVINO 2024 or newer (`pip install openvino` carries its headers)."
    tested = (
        "where CMake and a compiler are there our tests build it against OpenVINO's wheel, warnings as errors, and run "
        "the golden calls, altered files and unfit inputs (Linux on x86-64, GCC)."
    )
    untested = (
        "other compilers, systems and processors; a model that the bundle holds for another engine alone may differ."
    )
    limit: Limit | None = None

    def files(self, subject: Subject) -> dict[str, bytes]:
        """Raises InputError for a bundle whose model is neither ONNX nor OpenVINO's IR."""
        return cpp_files(subject, self, "openvino", ("openvino", "onnx"))


def cpp_files(subject: Subject, export: Export, engine: str, formats: Iterable[str]) -> dict[str, bytes]:
    """The project for one engine, of the variant that fits best. Raises InputError."""
    model = subject.model_for(engine, formats)
    package = _package(subject)
    inputs = distinct([snake(one.name) for one in subject.inputs], _KEPT)
    outputs = distinct([snake(one.name) for one in subject.outputs], _KEPT)
    groups: dict[str, int] = {}
    options = next((v.options for v in subject.bundle.content.variants if v.engine == engine), None)
    if options is not None and options.precision not in ("f32", "auto"):
        raise InputError(
            f"the bundle's model runs in {options.precision}; this export runs models in f32 alone: choose one of the "
            "other kinds, or optimize for another engine"
        )
    digests = [
        f"    {{{quoting.cpp(name)}, {quoting.cpp(digest_bytes(data))}}}," for name, data in sorted(model.files.items())
    ]
    measured = subject.bundle.content.variants[0].options
    values = {
        "package": Code(package),
        "main": model.main,
        "files": Code("\n".join(digests)),
        "threads": Code(str(measured.threads)),
        "spinning": Code("true" if measured.spinning else "false"),
        "input_fields": Code(_fields(inputs, subject.inputs)),
        "output_fields": Code(_fields(outputs, subject.outputs)),
        "inputs": Code(_ports(subject.inputs, groups)),
        "outputs": Code(_ports(subject.outputs, groups)),
        "given": Code(
            "\n".join(f"  raws.push_back(given(in[{at}], inputs.{name}, named));" for at, name in enumerate(inputs))
        ),
        "answered": Code(
            "\n".join(
                f"  outputs.{name} = answered<{one.kind.cpp}>(out[{at}], found.at({at}));"
                for at, (name, one) in enumerate(zip(outputs, subject.outputs, strict=True))
            )
        ),
        "labels": Code(", ".join(quoting.cpp(one) for one in subject.bundle.content.labels)),
        "calls": Code(_calls(subject, outputs)),
        "example": Code(", ".join(_example(one) for one in subject.inputs)),
        "origin": Code(origin(subject, engine)),
    }
    names = {"package": package}
    made = {
        **rendered(subject, export, "cpp", values, names),
        **rendered(subject, export, f"cpp_{engine}", values, names),
    }
    return {**made, **{f"model/{name}": data for name, data in model.files.items()}, **golden_files(subject)}


def _package(subject: Subject) -> str:
    return f"{subject.snake}_model"


def _fields(names: Sequence[str], tensors: Sequence[Tensor]) -> str:
    return "\n".join(
        f"  // {quoting.comment(one.told)}\n  Tensor<{one.kind.cpp}> {name};"
        for name, one in zip(names, tensors, strict=True)
    )


def _ports(tensors: Sequence[Tensor], groups: dict[str, int]) -> str:
    """``groups`` numbers the names of sizes, from 1 on, and is added to."""
    lines = []
    for one in tensors:
        same = [str(groups.setdefault(size, len(groups) + 1) if isinstance(size, str) else 0) for size in one.shape]
        sizes = ", ".join(map(str, one.sizes))
        name, kind = quoting.cpp(one.name), quoting.cpp(one.kind.wire)
        lines.append(f"      {{{name}, {kind}, {{{sizes}}}, {{{', '.join(same)}}}}},")
    return "\n".join(lines)


def _calls(subject: Subject, outputs: Sequence[str]) -> str:
    golden, lines = subject.bundle.content.golden, []
    for number, call in enumerate(golden.calls):
        reads = [
            f'read<{one.kind.cpp}>(folder / "golden/{number}-input-{at}.bin", {_sizes(call.inputs[one.name].shape)})'
            for at, one in enumerate(subject.inputs)
        ]
        lines += ["    {", f"      const Outputs got = model.infer({{{', '.join(reads)}}});"]
        for at, (name, one) in enumerate(zip(outputs, subject.outputs, strict=True)):
            tolerance = golden.tolerances.get(one.name)
            near = (0.0, 0.0) if tolerance is None else (tolerance.absolute, tolerance.relative)
            file = f'folder / "golden/{number}-output-{at}.bin"'
            read = f"read<{one.kind.cpp}>({file}, {_sizes(call.outputs[one.name].shape)})"
            lines.append(f"      near({quoting.cpp(one.name)}, got.{name}, {read}, {near[0]!r}, {near[1]!r});")
        lines.append("    }")
    return "\n".join(lines)


def _sizes(shape: Sequence[int]) -> str:
    return "{" + ", ".join(map(str, shape)) + "}"


def _example(one: Tensor) -> str:
    sizes = [size if isinstance(size, int) else 1 for size in one.shape]
    count = 1
    for size in sizes:
        count *= size
    return f"{{{_sizes(sizes)}, std::vector<{one.kind.cpp}>({count})}}"


def origin(subject: Subject, engine: str) -> str:
    """Which variant it is, for the README."""
    if any(variant.engine == engine for variant in subject.bundle.content.variants):
        told = "The bundle was measured with this engine: it runs the very files, with the same threads and types."
        loose = engine == "openvino" and any(one.shape and one.sizes[0] < 0 for one in subject.inputs)
        return told + (_LOOSE if loose else "")
    there = ", ".join(sorted(variant.engine for variant in subject.bundle.content.variants))
    return (
        f"The bundle was measured with {there}, not with this engine, which opens the same file: it may round "
        "otherwise. The golden calls tell whether it stays within the bundle's tolerance on your machine."
    )
