"""A Swift package on ONNX Runtime, for iOS and macOS."""

from __future__ import annotations

from edgewright.core.digests import digest_bytes
from edgewright.exports import quoting
from edgewright.exports.contract import Limit, rendered
from edgewright.exports.golden import golden_index
from edgewright.exports.kinds import mobile
from edgewright.exports.names import SWIFT, camel, distinct
from edgewright.exports.quoting import Code
from edgewright.exports.subject import Subject, Tensor

# What ONNX Runtime's Objective-C interface has (ORTTensorElementDataType).
_TYPES = {
    "FP32": "Float", "INT8": "Int8", "UINT8": "UInt8", "INT32": "Int32", "UINT32": "UInt32", "INT64": "Int64",
    "UINT64": "UInt64", "BYTES": "String",
}  # fmt: skip
_KEPT = SWIFT | {"named", "sent", "found", "env", "session", "model"}
_WORDS = mobile.Words(lambda one: _TYPES.get(one.kind.wire, ""), lambda sizes: f"[{', '.join(map(str, sizes))}]")


class Ios:
    """The model is a resource; nothing is fetched."""

    title = "a Swift package (iOS and macOS, ONNX Runtime) with the model inside"
    needs = "Xcode 15 or newer; devices from iOS 15 on."
    tested = ""
    untested = mobile.UNVERIFIED
    limit: Limit | None = Limit(
        4 * 10**9, "an app in the App Store, uncompressed, with all that is in it",
        "https://developer.apple.com/help/app-store-connect/reference/maximum-build-file-sizes",
    )  # fmt: skip

    def files(self, subject: Subject) -> dict[str, bytes]:
        """Raises InputError for a model that is not one ONNX or ORT file, or has a dtype that the interface lacks."""
        file, data = mobile.one_file(subject, _WORDS, "iOS")
        module = f"{subject.pascal}Model"
        inputs = distinct([camel(one.name) for one in subject.inputs], _KEPT)
        outputs = distinct([camel(one.name) for one in subject.outputs], _KEPT)
        measured = subject.bundle.content.variants[0].options
        pairs = list(zip(inputs, subject.inputs, strict=True))
        values = {
            "module": Code(module),
            "tests": f"{module}Tests",
            "file": file,
            "suffix": file.rpartition(".")[2],
            "model_digest": digest_bytes(data),
            "threads": Code(str(measured.threads)),
            "spinning": "1" if measured.spinning else "0",
            "labels": Code(", ".join(quoting.swift(one) for one in subject.bundle.content.labels)),
            "inputs": Code(_ports(subject.inputs)),
            "output_names": Code(", ".join(quoting.swift(one.name) for one in subject.outputs)),
            "output_fields": Code(
                "\n".join(
                    f"    /// {quoting.comment(one.told)}\n    public let {name}: Tensor<{_WORDS.kind(one)}>"
                    for name, one in zip(outputs, subject.outputs, strict=True)
                )
            ),
            "parameters": Code(", ".join(f"{name}: Tensor<{_WORDS.kind(one)}>" for name, one in pairs)),
            "checks": Code(
                "\n".join(f"        try Model.inputs[{at}].check({name}, &named)" for at, name in enumerate(inputs))
            ),
            "sent": Code(
                "\n".join(f"            {quoting.swift(one.name)}: try given({name})," for name, one in pairs)
            ),
            "answered": Code(
                ",\n".join(
                    f"            {name}: try answered({quoting.swift(one.name)}, found)"
                    for name, one in zip(outputs, subject.outputs, strict=True)
                )
            ),
            "calls": Code(_calls(subject, inputs, outputs)),
            "example": Code(", ".join(f"{name}: {_example(one)}" for name, one in pairs)),
            "origin": Code(mobile.told_origin(subject)),
        }
        made = rendered(subject, self, "ios", values, {"module": module})
        _, golden = golden_index(subject)
        tests = {f"Tests/{module}Tests/golden/{name}": raw for name, raw in golden.items()}
        return {**made, f"Sources/{module}/{file}": data, **tests}


def _ports(tensors: tuple[Tensor, ...]) -> str:
    return "\n".join(
        f"        Port(name: {quoting.swift(one.name)}, shape: {one.sizes}, groups: {groups}),"
        for one, groups in zip(tensors, mobile.groups_of(tensors), strict=True)
    )


def _calls(subject: Subject, inputs: list[str], outputs: list[str]) -> str:
    lines = []
    for number, call in enumerate(subject.bundle.content.golden.calls):
        given = [
            f'{name}: try read("{number}-input-{at}.bin", {_WORDS.sizes(call.inputs[one.name].shape)})'
            for at, (name, one) in enumerate(zip(inputs, subject.inputs, strict=True))
        ]
        lines.append(f"        let got{number} = try model.infer({', '.join(given)})")
        for at, (name, one) in enumerate(zip(outputs, subject.outputs, strict=True)):
            sizes = _WORDS.sizes(call.outputs[one.name].shape)
            absolute, relative = mobile.tolerance(subject, one.name)
            read = f'try read("{number}-output-{at}.bin", {sizes})'
            lines.append(f"        near(got{number}.{name}, {read}, {absolute!r}, {relative!r})")
    return "\n".join(lines)


def _example(one: Tensor) -> str:
    empty = '""' if one.kind.wire == "BYTES" else "0"
    return (
        f"Tensor(Array(repeating: {empty}, count: {mobile.elements(one)}), shape: {_WORDS.sizes(mobile.closed(one))})"
    )
