export const recipes = {
  original: "as it came",
  on: (recipe: string, engine: string) => `${recipe} on ${engine}`,
  engines: { onnxruntime: "ONNX Runtime", openvino: "OpenVINO" } as Record<string, string>,
  passes: {
    simplify: "Simplify", fuse: "Fuse", strip: "Strip", int8_static: "INT8, static", int8_dynamic: "INT8, dynamic", int4_weights: "INT4 weights",
    fp16: "FP16", mixed_precision: "Mixed precision", qdq_repair: "Repair of quantization", prune_channels: "Remove channels", low_rank: "Low rank",
  } as Record<string, string>,
  does: {
    simplify: "computes ahead what never changes",
    fuse: "joins operators that the engine runs as one",
    strip: "takes names and duplicates off the file",
    int8_static: "weights and activations as 8-bit integers, with ranges seen on calibration samples",
    int8_dynamic: "weights as 8-bit integers, activations while they are computed",
    int4_weights: "weights in 4 bits, block by block",
    fp16: "stores and computes in 16-bit floating point",
    mixed_precision: "the most sensitive layers stay in float, the others become 8-bit integers",
    qdq_repair: "rewrites how another tool quantized the model",
    prune_channels: "takes whole channels out and refits what is left",
    low_rank: "splits large matrices into two thin ones",
  } as Record<string, string>,
  metrics: {
    latency_ms: "Latency, p50", latency_p95_ms: "Latency, p95", latency_p99_ms: "Latency, p99", size_bytes: "Size on disk", download_bytes: "Download",
    ram_bytes: "Peak memory", energy_mj: "Energy per call", accuracy: "Accuracy", accuracy_drop: "Accuracy lost", agreement: "Agreement with the original",
    throughput_per_s: "Throughput", cold_start_ms: "Cold start", latency_sustained_ms: "Latency, sustained", worst_class_drop: "Lost by the worst class", sqnr_db: "Signal to noise",
  } as Record<string, string>,
} as const;
