"""Words: recipes, engines, metrics and limits in plain sentences. Pure functions of what the report says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from edgewright.core.candidate import Clause, Constraint
from edgewright.reports.figures import SPACE, plain, scale_for
from edgewright.reports.reading import Metric, clip, items, number, text

Step = Mapping[str, Any]

ENGINES = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}
METRICS = {
    "latency_ms": "Latency, p50",
    "latency_p95_ms": "Latency, p95",
    "latency_p99_ms": "Latency, p99",
    "latency_sustained_ms": "Latency, sustained load",
    "throughput_per_s": "Throughput",
    "cold_start_ms": "Cold start",
    "size_bytes": "Size on disk",
    "download_bytes": "Download size",
    "ram_bytes": "Peak memory",
    "energy_mj": "Energy per call",
    "accuracy": "Accuracy",
    "accuracy_drop": "Accuracy lost",
    "worst_class_drop": "Lost by the worst class",
    "agreement": "Agreement with the original",
    "sqnr_db": "Signal to noise (SQNR)",
}
PASSES = {
    "simplify": "Simplify",
    "fuse": "Fuse",
    "strip": "Strip",
    "int8_static": "INT8, static",
    "int8_dynamic": "INT8, dynamic",
    "int4_weights": "INT4 weights",
    "fp16": "FP16",
    "mixed_precision": "Mixed precision",
    "qdq_repair": "Repair of quantization",
    "prune_channels": "Remove channels",
    "low_rank": "Low rank",
}
DOES = {
    "simplify": "computes ahead what never changes and leaves out what has no effect",
    "fuse": "joins operators that the engine runs as one",
    "strip": "takes names, stale shapes and duplicate constants off the file",
    "int8_static": "turns weights and activations into 8-bit integers, with ranges seen on calibration samples",
    "int8_dynamic": "turns weights into 8-bit integers and activations while they are computed",
    "int4_weights": "stores weights in 4 bits, block by block",
    "fp16": "stores and computes in 16-bit floating point",
    "mixed_precision": "leaves the most sensitive layers in float and makes the others 8-bit integers",
    "qdq_repair": "rewrites how another tool quantized the model, so that the engine can use its integer kernels",
    "prune_channels": "takes whole channels out of the network and refits what is left on calibration samples",
    "low_rank": "splits large matrices into the product of two thin ones",
}
_EXACT = {"simplify", "fuse", "strip"}
_CALIBRATION = {"minmax": "min-max", "mse": "MSE", "percentile": "percentile", "entropy": "entropy"}
_NUMBERS = {"u8": "U8S8", "s8": "S8S8", "s8_symmetric": "S8S8, symmetric"}
_LIMITS = {
    "latency_ms": "latency", "size_bytes": "size", "ram_bytes": "peak memory", "energy_mj": "energy per call",
    "accuracy_drop": "accuracy lost",
}  # fmt: skip
"""What a limit is called within a sentence."""


def brief(recipe: Sequence[Step], engine: str = "") -> str:
    """A recipe in a few words, for a row of a table: ``42% of the multiplies, INT8 static, MSE calibration``."""
    parts = [_brief(step) for step in recipe if text(step.get("pass")) not in _EXACT]
    said = ", ".join(part for part in parts if part)
    if not said:
        said = "exact rewritings only" if recipe else "the original"
    return said if not engine else f"{said} on {engine_name(engine)}"


def _brief(step: Step) -> str:
    name = text(step.get("pass"))
    if name == "prune_channels":
        return f"{percent(step.get('keep', 0.5))} of the multiplies kept"
    if name == "mixed_precision":
        return f"INT8 with {count(step.get('float_layers', 2), 'layer')} in float"
    said = {
        "int8_static": "INT8 static", "int8_dynamic": "INT8 dynamic", "fp16": "FP16", "low_rank": "low rank",
        "int4_weights": f"INT{text(step.get('bits', 4))} weights", "qdq_repair": "quantization repaired",
    }.get(name, humanized(name))  # fmt: skip
    if step.get("weight_bits") == 7:
        said += ", 7-bit weights"
    if step.get("activations") in ("s8", "s8_symmetric"):
        said += f", {_NUMBERS[step['activations']]}"
    method = text(step.get("calibration"))
    return said if method in ("", "minmax") else f"{said}, {_CALIBRATION.get(method, method)} calibration"


def sentence(recipe: Sequence[Step], engine: str, options: Mapping[str, Any]) -> str:
    """A candidate in one sentence, everything that differs from a plain run named."""
    parts = [_SAID.get(text(step.get("pass")), _other)(step) for step in recipe]
    told = [part for part in parts if part]
    if not recipe:
        told = ["as it came"]
    elif all(text(step.get("pass")) in _EXACT for step in recipe):
        told = ["folded, fused and stripped, with the same answers up to rounding"]
    return f"{capital(', '.join(told))}; {runs_on(engine, options)}."


def runs_on(engine: str, options: Mapping[str, Any]) -> str:
    """``runs on ONNX Runtime with 1 thread``, and whatever options are not the usual ones."""
    told = []
    threads = number(options.get("threads"))
    if threads is not None:
        told.append(count(threads, "thread"))
    if options.get("spinning") is True:
        told.append("spinning while it waits")
    level = text(options.get("graph_level"))
    if level not in ("", "all"):
        told.append(f"graph level {level}")
    precision = text(options.get("precision"))
    if precision not in ("", "f32"):
        told.append(f"{precision} precision")
    provider = text(options.get("provider"))
    if provider:
        told.append(f"provider {provider}")
    return f"runs on {engine_name(engine)}" + (f" with {', '.join(told)}" if told else "")


def _pruned(step: Step) -> str:
    aligned = text(step.get("align", 16))
    return f"{percent(step.get('keep', 0.5))} of the multiplies kept by removing channels in steps of {aligned}"


def _int8_static(step: Step) -> str:
    numbers = _NUMBERS.get(text(step.get("activations", "u8")), text(step.get("activations")))
    grain = "per tensor" if step.get("per_channel") is False else "per channel"
    method = text(step.get("calibration", "minmax"))
    told = f"INT8 static {numbers} {grain}, {_CALIBRATION.get(method, method)} calibration"
    if step.get("weight_bits", 8) != 8:
        told += f", {text(step['weight_bits'])}-bit weights"
    if step.get("bias_correction") is False:
        told += ", biases as they were"
    return told + _skipped(step)


def _int8_dynamic(step: Step) -> str:
    bits = "" if step.get("weight_bits", 8) == 8 else f" with {text(step['weight_bits'])}-bit weights"
    return f"INT8 dynamic{bits}{', convolutions too' if step.get('conv') is True else ''}{_skipped(step)}"


def _int4(step: Step) -> str:
    return f"INT{text(step.get('bits', 4))} weights in blocks of {text(step.get('block', 32))}{_skipped(step)}"


def _mixed(step: Step) -> str:
    method = text(step.get("calibration", "minmax"))
    layers = count(step.get("float_layers", 2), "most sensitive layer", "most sensitive layers")
    numbers = _NUMBERS.get(text(step.get("activations", "u8")), text(step.get("activations")))
    return f"INT8 static {numbers} with the {layers} in float, {_CALIBRATION.get(method, method)} calibration"


def _low_rank(step: Step) -> str:
    asked = percent(step.get("energy", 0.995), 1)
    share = number(step.get("macs"))
    most = "" if share is None else f", at most {percent(share)} of the multiplies"
    return f"large matrices split into thin ones that keep {asked} of their outputs' energy{most}{_skipped(step)}"


def _repaired(step: Step) -> str:
    numbers = "unsigned" if step.get("unsigned", True) is True else "signed"
    return f"quantization by another tool mended, activations {numbers}"


def _skipped(step: Step) -> str:
    skipped = items(step.get("skip"))
    return f", {count(len(skipped), 'layer')} left in float" if skipped else ""


def _other(step: Step) -> str:
    options = ", ".join(
        f"{humanized(key)} {clip(text(value), 40)}" for key, value in step.items() if key != "pass" and text(value)
    )
    name = PASSES.get(text(step.get("pass")), humanized(text(step.get("pass"))))
    return f"{name.lower() if name in PASSES.values() else name}{f' ({options})' if options else ''}"


_SAID: Mapping[str, Callable[[Step], str]] = {
    "simplify": lambda _: "",
    "fuse": lambda _: "",
    "strip": lambda _: "",
    "prune_channels": _pruned,
    "int8_static": _int8_static,
    "int8_dynamic": _int8_dynamic,
    "int4_weights": _int4,
    "mixed_precision": _mixed,
    "low_rank": _low_rank,
    "qdq_repair": _repaired,
    "fp16": lambda _: "FP16",
}


def engine_name(engine: str) -> str:
    """An engine as its makers write it."""
    return ENGINES.get(engine, clip(engine, 40) or "an unnamed engine")


def metric_name(metric: str, judged: Metric | None = None) -> str:
    """A metric's title; accuracy bears the name of what it was judged by."""
    if judged is not None and metric == "accuracy":
        return capital(judged.title)
    if judged is not None and metric == "accuracy_drop":
        return f"{capital(judged.title)} lost" if judged.higher_is_better else f"{capital(judged.title)} added"
    return METRICS.get(metric, capital(humanized(metric)))


def limit_name(metric: str, judged: Metric) -> str:
    """What a limit is on, within a sentence."""
    if metric == "accuracy_drop":
        return f"{judged.title} lost" if judged.higher_is_better else f"{judged.title} added"
    return _LIMITS.get(metric, humanized(metric))


def limit(constraint: Constraint) -> str:
    """``at most 0.5 points``."""
    scale = scale_for(constraint.unit, [constraint.limit])
    told = f"{scale.tick(constraint.limit)}{SPACE}{scale.unit}".rstrip(SPACE)
    return f"at {'least' if constraint.sense == 'min' else 'most'} {told}"


def told_against(clause: Clause) -> str:
    """What was found beside what was asked: ``0.562 points against a limit of 0.5 points``."""
    scale = scale_for(clause.constraint.unit, [clause.constraint.limit])
    asked = f"{scale.tick(clause.constraint.limit)}{SPACE}{scale.unit}".rstrip(SPACE)
    asked = f"a {'floor' if clause.constraint.sense == 'min' else 'limit'} of {asked}"
    return f"not known, against {asked}" if clause.value is None else f"{scale.told(clause.value)} against {asked}"


def title_of(a_pass: str) -> str:
    """A pass's title."""
    return PASSES.get(a_pass, capital(humanized(a_pass)))


def humanized(name: str) -> str:
    """``layers_refitted`` as ``layers refitted``."""
    return clip(" ".join(name.replace("_", " ").split())) or "unnamed"


def capital(words: str) -> str:
    """With its first letter large, the others as they were."""
    return words[:1].upper() + words[1:]


def percent(share: Any, digits: int = 0) -> str:
    """A share as a percentage; a dash where it is no number."""
    value = number(share)
    if value is None:
        return "an unknown share"
    return f"{plain(100 * value, digits)}%" if digits or value == 0 or value >= 0.005 else "under 1%"


def count(value: Any, one: str, many: str = "") -> str:
    """``1 layer``, ``2 layers``."""
    found = number(value)
    if found is None:
        return f"some {many or one + 's'}"
    return f"{plain(found, 0)}{SPACE}{one if found == 1 else many or one + 's'}"


def listed(parts: Sequence[str]) -> str:
    """``a, b and c``."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""
