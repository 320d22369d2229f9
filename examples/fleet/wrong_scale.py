"""A release that is quietly worse: the demo's classifier as somebody would ship it who trained on pixels from 0 to 255.

    python examples/fleet/wrong_scale.py out/demo/bundle out/worse

It answers its own golden calls, is as fast and as small, and signed like any other. But the line's cameras give pixels
from 0 to 1, on which it is as good as blind. Nothing at installation can know that.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from edgewright import bundles
from edgewright.bundles import Bundle, Variant
from edgewright.trust import own_key


def wrong_scale(good: Bundle, folder: Path, factor: float = 255.0) -> Bundle:
    """The bundle ``good``, taking its inputs to be ``factor`` times as large, sealed in ``folder`` with our key."""
    content = good.content
    variants = tuple(_scaled(variant, factor) for variant in content.variants if variant.engine == "onnxruntime")
    calls = [{name: (array * np.float32(factor)).astype(array.dtype) for name, array in call.inputs.items()}
             for call in content.golden.calls]  # fmt: skip
    golden = bundles.record_golden(variants, calls, count=len(calls))
    made = replace(content, version=f"{content.version}-255", variants=variants, golden=golden)
    return bundles.seal(made, folder)


def _scaled(variant: Variant, factor: float) -> Variant:
    model = onnx.load_model_from_string(variant.model.data)
    name = model.graph.input[0].name
    for node in model.graph.node:
        node.input[:] = ["scaled_pixels" if given == name else given for given in node.input]
    model.graph.initializer.append(numpy_helper.from_array(np.float32(factor), "pixel_scale"))
    model.graph.node.insert(0, helper.make_node("Div", [name, "pixel_scale"], ["scaled_pixels"]))
    files = {**variant.model.files, variant.model.main: model.SerializeToString()}
    return replace(variant, model=replace(variant.model, files=files))


if __name__ == "__main__":
    source, place = map(Path, sys.argv[1:3])
    print(wrong_scale(bundles.verify(source, [own_key().public]), place))
