"""Mixed precision: INT8 static with the layers that mind most left in float."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edgewright.compression.contract import Context, Pass, PassResult
from edgewright.compression.passes.int8_static import Int8Static, refuse_quantized
from edgewright.compression.quantization.calibration import Method
from edgewright.compression.quantization.scheme import Activations
from edgewright.compression.quantization.sensitivity import sensitivities
from edgewright.core.errors import Refused
from edgewright.core.model import Model
from edgewright.graphs.graph import open_graph


@dataclass(frozen=True)
class MixedPrecision(Pass):
    """The ``float_layers`` layers with the lowest measured SQNR stay float, the others become INT8."""

    name: ClassVar[str] = "mixed_precision"
    tolerance_db: ClassVar[float] = 6.0
    needs_data: ClassVar[bool] = True

    float_layers: int = 2
    activations: Activations = "u8"
    calibration: Method = "minmax"

    def rewrite(self, model: Model, context: Context) -> PassResult | None:
        """The partly quantized model; refused when every layer would stay float."""
        if self.float_layers < 0:
            raise Refused("float_layers must not be negative")
        refuse_quantized(open_graph(model).graph)
        scheme = Int8Static(activations=self.activations, calibration=self.calibration)
        ranked = sensitivities(model, scheme, context)
        if len(ranked) <= self.float_layers:
            raise Refused(f"the model has {len(ranked)} layers to quantize, and {self.float_layers} were to stay float")
        skipped = tuple(s.layer for s in ranked[: self.float_layers])
        result = Int8Static(activations=self.activations, calibration=self.calibration, skip=skipped)(model, context)
        if result.status != "applied":
            raise Refused(result.reason or "nothing was left to quantize")
        return PassResult("applied", result.model, facts={**result.facts, "float_layers": list(skipped)})
