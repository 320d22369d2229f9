"""A TypeScript client of the bundle's model."""

from __future__ import annotations

import json
from collections.abc import Sequence

from edgewright.exports import quoting
from edgewright.exports.contract import Limit, rendered
from edgewright.exports.golden import golden_files
from edgewright.exports.names import TYPESCRIPT, camel, distinct
from edgewright.exports.quoting import Code
from edgewright.exports.subject import Subject, Tensor


class TypeScript:
    """Typed by the signature; the protocol itself is a file that no bundle changes."""

    title = "a TypeScript client of this model, over the Open Inference Protocol v2"
    needs = "Node.js 20 or a browser, TypeScript 5.9 to build it; a server of the bundle."
    tested = (
        "our tests make it and run its golden calls and its errors in Node.js against `edgewright serve`; they "
        "type-check it where TypeScript is there."
    )
    untested = "browsers, Deno and Bun, other servers of the protocol."
    limit: Limit | None = None

    def files(self, subject: Subject) -> dict[str, bytes]:
        """Raises InputError for no bundle."""
        inputs = distinct([camel(one.name) for one in subject.inputs], TYPESCRIPT)
        outputs = distinct([camel(one.name) for one in subject.outputs], TYPESCRIPT | {"failSafe", "failsafe"})
        image, declared = subject.image is not None, subject.declared()
        received = [
            f"    {name}: named<{one.kind.typescript}>(found, {quoting.javascript(one.name)}),"
            for name, one in zip(outputs, subject.outputs, strict=True)
        ]
        values = {
            "package": f"{subject.snake.replace('_', '-')}-client",
            "description": f"Client of the model {subject.name} {subject.version}",
            "inputs": Code(_tensors(subject.inputs)),
            "outputs": Code(_tensors(subject.outputs)),
            "labels": Code(json.dumps(declared["labels"])),
            "preprocessing": Code(json.dumps(declared["preprocessing"])),
            "input_fields": Code(_fields(inputs, subject.inputs)),
            "output_fields": Code(_fields(outputs, subject.outputs)),
            "sent": Code(", ".join(f"inputs.{name}" for name in inputs)),
            "fields": Code(", ".join(f"{name}: arrays[{at}]" for at, name in enumerate(inputs))),
            "received": Code("\n".join(received)),
            "example": Code(", ".join(_example(*pair) for pair in zip(inputs, subject.inputs, strict=True))),
            "decisions": Code(_DECISIONS if image else ""),
            "image_method": Code(_METHOD.replace("IMAGE", quoting.javascript(subject.inputs[0].name)) if image else ""),
        }
        return {**rendered(subject, self, "typescript", values), **golden_files(subject)}


def _tensors(tensors: Sequence[Tensor]) -> str:
    shown = [{"name": one.name, "datatype": one.kind.wire, "shape": list(one.shape)} for one in tensors]
    return "\n".join(f"  {json.dumps(one)}," for one in shown)


def _fields(names: Sequence[str], tensors: Sequence[Tensor]) -> str:
    return "\n".join(
        f"  /** {quoting.comment(one.told)} */\n  readonly {name}: NdArray<{one.kind.typescript}>;"
        for name, one in zip(names, tensors, strict=True)
    )


def _example(name: str, one: Tensor) -> str:
    sizes = [size if isinstance(size, int) else 1 for size in one.shape]
    count = 1
    for size in sizes:
        count *= size
    data = '[""]' if one.kind.wire == "BYTES" else f"new {one.kind.typescript}({count})"
    return f"{name}: {{ data: {data}, shape: {sizes} }}"


_DECISIONS = """
/** Named classes of each image, best first; an index of -1, and an empty name, where no class is answered. */
export interface Decisions {
  readonly labels: readonly (readonly string[])[];
  readonly scores: NdArray<Float32Array>;
  readonly indices: NdArray<BigInt64Array>;
  readonly outputs: Outputs;
}
"""
_METHOD = """
  /** Ask about JPEG, PNG or BMP files: the server prepares them as the bundle declares. Throws as `infer`. */
  async inferImages(files: readonly Uint8Array[], asked: Asked = {}): Promise<Decisions> {
    await this.#checkOnce();
    const tensor: Tensor = { name: IMAGE, datatype: "BYTES", shape: [null] };
    const sent: NdArray = { data: [...files], shape: [files.length] };
    const found = await this.#protocol.infer([tensor], [sent], asked);
    const scores = named<Float32Array>(found.outputs, "top_scores");
    const texts = named<readonly string[]>(found.outputs, "top_labels").data;
    const wide = scores.shape[1] ?? 0;
    return {
      labels: files.map((_, row) => texts.slice(row * wide, (row + 1) * wide)),
      scores,
      indices: named<BigInt64Array>(found.outputs, "top_indices"),
      outputs: outputs(found.outputs, found.failSafe),
    };
  }
"""
