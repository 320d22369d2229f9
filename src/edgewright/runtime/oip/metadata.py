"""What the protocol tells of a model: its tensors, its configuration in Triton's shape, its statistics."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from edgewright.core.model import Signature, TensorSpec
from edgewright.runtime.oip.types import datatype
from edgewright.runtime.providers import provider_parameters
from edgewright.runtime.served import Served


def metadata(name: str, versions: Sequence[str], platform: str, signature: Signature) -> dict[str, Any]:
    """What the protocol has of ``GET /v2/models/NAME``; open sizes are -1."""

    def told(spec: TensorSpec) -> dict[str, Any]:
        return {"name": spec.name, "datatype": datatype(spec.dtype), "shape": _shape(spec)}

    return {
        "name": name, "versions": list(versions), "platform": platform,
        "inputs": [told(spec) for spec in signature.inputs], "outputs": [told(spec) for spec in signature.outputs],
    }  # fmt: skip


def parameters(served: Served) -> dict[str, Any]:
    """What the metadata tell besides: which version this is and of which files, what runs it, and what a bundle
    declares of images and classes."""
    told = {"version": served.source.version, **_own(served)}
    return told if served.pipeline is None else {**told, **served.pipeline.told()}


def config_parameters(served: Served) -> dict[str, str]:
    """What Triton's ModelConfig has room for under ``parameters``."""
    return {**_own(served), "threads": str(served.source.options.threads)}


def _own(served: Served) -> dict[str, str]:
    return {"digest": served.source.digest, **provider_parameters(served.session)}


def config(served: Served) -> dict[str, Any]:
    """What ``GET /v2/models/NAME/config`` answers: those fields of Triton's ModelConfig that mean something here.

    As there, ``dims`` leave the batch out where ``max_batch_size`` is not 0.
    """
    source, most = served.source, served.most_rows if served.most_rows > 1 else 0

    def told(spec: TensorSpec, **more: Any) -> dict[str, Any]:
        kind = datatype(spec.dtype)
        name = "TYPE_STRING" if kind == "BYTES" else f"TYPE_{kind}"
        return {"name": spec.name, "data_type": name, "dims": _shape(spec)[1 if most else 0 :], **more}

    made: dict[str, Any] = {
        "name": source.name,
        "platform": platform(served),
        "backend": source.engine,
        "version_policy": {"latest": {"num_versions": 1}},
        "max_batch_size": most,
        "input": [told(s, format="FORMAT_NONE", optional=False) for s in served.session.signature.inputs],
        "output": [told(s, label_filename="") for s in served.session.signature.outputs],
        "instance_group": [{"name": source.name, "kind": "KIND_CPU", "count": 1, "gpus": []}],
        "default_model_filename": source.model.main,
        "parameters": {key: {"string_value": value} for key, value in config_parameters(served).items()},
    }
    if most:
        made["dynamic_batching"] = {
            "preferred_batch_size": list(served.preferred),
            "max_queue_delay_microseconds": round(1e6 * served.delay_s),
        }
    return made


def platform(served: Served) -> str:
    """Engine and format, as Triton and KServe spell them: ``onnxruntime_onnx``."""
    return f"{served.source.engine}_{served.source.model.format}"


def statistics(served: Served) -> dict[str, Any]:
    """What ``GET /v2/models/NAME/stats`` tells of one version.

    ``compute_infer`` holds the whole run: reading inputs and writing outputs are not timed apart, and so their counts
    are 0. A batch size's time is its share of all by the times last seen. ``last_inference`` is 0 before the first.
    """
    stats, times = served.stats, served.times
    compute, queue = stats.compute, stats.queue
    failed = sum(stats.faults.values())
    batches = sorted(stats.batches.items())
    expected = sum(times.mean(size) * count for size, count in batches) or 1.0
    none = _told(0, 0.0)
    return {
        "name": served.source.name,
        "version": served.source.version,
        "last_inference": round(1e3 * (time.time() - time.perf_counter() + stats.last)) if stats.last else 0,
        "inference_count": stats.rows,
        "execution_count": compute.count,
        "inference_stats": {
            "success": _told(stats.requests, compute.total + queue.total),
            "fail": _told(failed, 0.0),
            "queue": _told(queue.count, queue.total),
            "compute_input": none,
            "compute_infer": _told(compute.count, compute.total),
            "compute_output": none,
            "cache_hit": _told(stats.hits, 0.0),
            "cache_miss": _told(stats.misses, 0.0),
        },
        "latency_trend": compute.trend().to_json(),
        "batch_stats": [
            {
                "batch_size": size,
                "compute_input": none,
                "compute_infer": _told(count, compute.total * times.mean(size) * count / expected),
                "compute_output": none,
            }
            for size, count in batches
        ],
        "memory_usage": [],
        "response_stats": {},
    }


def _told(count: int, seconds: float) -> dict[str, int]:
    return {"count": count, "ns": int(seconds * 1e9)}


def _shape(spec: TensorSpec) -> list[int]:
    return [size if isinstance(size, int) else -1 for size in spec.shape]
