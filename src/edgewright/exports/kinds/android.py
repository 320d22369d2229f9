"""An Android library module in Kotlin, on ONNX Runtime Mobile."""

from __future__ import annotations

from edgewright.core.digests import digest_bytes
from edgewright.exports import quoting
from edgewright.exports.contract import Limit, rendered
from edgewright.exports.golden import golden_index
from edgewright.exports.kinds import mobile
from edgewright.exports.names import KOTLIN, camel, distinct
from edgewright.exports.quoting import Code
from edgewright.exports.subject import Subject, Tensor

_TYPES = {
    "BOOL": "BooleanArray", "UINT8": "ByteArray", "INT8": "ByteArray", "INT16": "ShortArray", "INT32": "IntArray",
    "INT64": "LongArray", "FP16": "ShortArray", "BF16": "ShortArray", "FP32": "FloatArray", "FP64": "DoubleArray",
    "BYTES": "Array<String>",
}  # fmt: skip
_JAVA = {"FP16": "FLOAT16", "BF16": "BFLOAT16", "FP32": "FLOAT", "FP64": "DOUBLE", "BYTES": "STRING"}
_KEPT = KOTLIN | {"named", "tensors", "inputs", "found", "env", "session"}
_WORDS = mobile.Words(lambda one: _TYPES.get(one.kind.wire, ""), lambda sizes: ", ".join(f"{size}L" for size in sizes))


class Android:
    """The model is an asset; nothing is fetched."""

    title = "an Android library module (Kotlin, ONNX Runtime Mobile) with the model inside"
    needs = "Android Studio or Gradle 8.10 with JDK 17 and SDK 35; devices from Android 7 on."
    tested = ""
    untested = mobile.UNVERIFIED
    limit: Limit | None = Limit(
        200 * 10**6, "a base module on Google Play, compressed, with the app and ONNX Runtime in it",
        "https://support.google.com/googleplay/android-developer/answer/9859372",
    )  # fmt: skip

    def files(self, subject: Subject) -> dict[str, bytes]:
        """Raises InputError for a model that is not one ONNX or ORT file, or has a dtype that Java has none for."""
        file, data = mobile.one_file(subject, _WORDS, "Android")
        package, asset = f"{subject.snake}_model", f"edgewright/{subject.snake}/{file}"
        inputs = distinct([camel(one.name) for one in subject.inputs], _KEPT)
        outputs = distinct([camel(one.name) for one in subject.outputs], _KEPT)
        measured = subject.bundle.content.variants[0].options
        values = {
            "asset": asset,
            "project": f"{subject.name}-model",
            "package": Code(package),
            "model_digest": digest_bytes(data),
            "threads": Code(str(measured.threads)),
            "spinning": Code("true" if measured.spinning else "false"),
            "labels": Code(", ".join(quoting.kotlin(one) for one in subject.bundle.content.labels)),
            "inputs": Code(_ports(subject.inputs)),
            "outputs": Code(_ports(subject.outputs)),
            "output_fields": Code(
                "\n".join(
                    f"    /** {quoting.comment(one.told)} */\n    val {name}: Tensor<{_WORDS.kind(one)}>,"
                    for name, one in zip(outputs, subject.outputs, strict=True)
                )
            ),
            "parameters": Code(
                "\n".join(
                    f"        {name}: Tensor<{_WORDS.kind(one)}>,"
                    for name, one in zip(inputs, subject.inputs, strict=True)
                )
            ),
            "sent": Code(", ".join(inputs)),
            "answered": Code(
                "\n".join(f"                    answered(OUTPUTS[{at}], output({at}))," for at in range(len(outputs)))
            ),
            "calls": Code(_calls(subject, outputs)),
            "example": Code(", ".join(_example(one) for one in subject.inputs)),
            "origin": Code(mobile.told_origin(subject)),
        }
        made = rendered(subject, self, "android", values, {"package": package})
        _, golden = golden_index(subject)
        tests = {f"model/src/androidTest/assets/golden/{name}": raw for name, raw in golden.items()}
        return {**made, f"model/src/main/assets/{asset}": data, **tests}


def _ports(tensors: tuple[Tensor, ...]) -> str:
    lines = []
    for one, groups in zip(tensors, mobile.groups_of(tensors), strict=True):
        java = _JAVA.get(one.kind.wire, one.kind.wire)
        sizes, same = _WORDS.sizes(one.sizes), ", ".join(map(str, groups))
        arrays = f"longArrayOf({sizes}), intArrayOf({same})"
        lines.append(f"            Port({quoting.kotlin(one.name)}, OnnxJavaType.{java}, {arrays}),")
    return "\n".join(lines)


def _calls(subject: Subject, outputs: list[str]) -> str:
    lines = []
    for number, call in enumerate(subject.bundle.content.golden.calls):
        lines.append(f"            val got{number} = model.infer(")
        for at, one in enumerate(subject.inputs):
            sizes = _WORDS.sizes(call.inputs[one.name].shape)
            lines.append(f'                read(Model.INPUTS[{at}], "{number}-input-{at}.bin", {sizes}),')
        lines.append("            )")
        for at, (name, one) in enumerate(zip(outputs, subject.outputs, strict=True)):
            sizes = _WORDS.sizes(call.outputs[one.name].shape)
            absolute, relative = mobile.tolerance(subject, one.name)
            read = f'read<{_WORDS.kind(one)}>(Model.OUTPUTS[{at}], "{number}-output-{at}.bin", {sizes})'
            lines.append(f"            near(got{number}.{name}, {read}, {absolute!r}, {relative!r})")
    return "\n".join(lines)


def _example(one: Tensor) -> str:
    count, kind = mobile.elements(one), _WORDS.kind(one)
    data = f'Array({count}) {{ "" }}' if one.kind.wire == "BYTES" else f"{kind}({count})"
    return f"Tensor({data}, {_WORDS.sizes(mobile.closed(one))})"
