"""Pairs of bundles as updates really come: trained here, fine-tuned, quantized. Each is (old files, new files)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from onnxruntime import quantization
from PIL import Image
from torch import nn

from edgewright import formats

Files = dict[str, bytes]
CLASSES = ("Blowhole", "Break", "Crack", "Fray", "Uneven", "Free")
NAME = "models/onnxruntime/model.onnx"


def tiles(folder: Path, size: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    """Photographs of magnetic tiles (Huang, Qiu, Yuan, The Visual Computer, 2018), scaled down; class by folder."""
    images, labels = [], []
    for label, place in enumerate(sorted(p for p in folder.iterdir() if p.is_dir())):
        for path in sorted(place.glob("*.jpg")):
            with Image.open(path) as image:
                images.append(np.asarray(image.convert("L").resize((size, size)), np.float32) / 255 - 0.5)
            labels.append(label)
    return torch.tensor(np.array(images))[:, None], torch.tensor(labels)


class Block(nn.Module):
    """Two convolutions around a shortcut."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(before, after, 3, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU(),
            nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after),
        )  # fmt: skip
        self.short = nn.Conv2d(before, after, 1, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.body(x) + self.short(x))


def network(classes: int) -> nn.Sequential:
    blocks = [Block(b, a) for b, a in ((24, 48), (48, 96), (96, 192), (192, 256))]
    stem = nn.Sequential(nn.Conv2d(1, 24, 3, 1, 1), nn.ReLU())
    return nn.Sequential(stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(256, classes))


def train(net: nn.Module, x: torch.Tensor, y: torch.Tensor, epochs: int, rate: float, what: Any = None) -> None:
    net.train() if what is None else net.eval()
    adam = torch.optim.AdamW(net.parameters() if what is None else what, rate)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(32):
            adam.zero_grad()
            nn.functional.cross_entropy(net(x[rows]), y[rows]).backward()
            adam.step()
    net.eval()


def exported(net: nn.Module, x: torch.Tensor, folder: Path) -> bytes:
    path = folder / "model.onnx"
    torch.onnx.export(net, (x[:1],), path, dynamo=False, input_names=["x"], output_names=["y"], opset_version=17)
    return path.read_bytes()


class Reader(quantization.CalibrationDataReader):
    def __init__(self, x: torch.Tensor) -> None:
        self.rows = iter(x[:64].split(1))

    def get_next(self) -> dict[str, np.ndarray] | None:
        row = next(self.rows, None)
        return None if row is None else {"x": row.numpy()}


def int8(model: bytes, x: torch.Tensor, folder: Path) -> bytes:
    (folder / "fp32.onnx").write_bytes(model)
    quantization.quantize_static(
        folder / "fp32.onnx",
        folder / "int8.onnx",
        Reader(x),
        per_channel=True,
        quant_format=quantization.QuantFormat.QDQ,
    )
    return (folder / "int8.onnx").read_bytes()


def frozen(old: bytes, new: bytes) -> bytes:
    """The INT8 model ``old`` with the weights of the fp32 model ``new``, on the scales it has."""
    proto = onnx.load_from_string(old)
    fresh = {t.name: numpy_helper.to_array(t) for t in onnx.load_from_string(new).graph.initializer}
    held = {t.name: t for t in proto.graph.initializer}
    for name, values in fresh.items():
        scale, codes = held.get(f"{name}_scale"), held.get(f"{name}_quantized")
        if scale is None or codes is None:
            continue
        before = numpy_helper.to_array(codes)
        by_channel = numpy_helper.to_array(scale).reshape(-1, *[1] * (values.ndim - 1))
        limits = np.iinfo(before.dtype)
        after = np.clip(np.rint(values / by_channel), limits.min, limits.max).astype(before.dtype)
        codes.CopyFrom(numpy_helper.from_array(after, codes.name))
    return proto.SerializeToString()


def ort_format(model: bytes, folder: Path) -> bytes:
    path = folder / "for-ort.onnx"
    path.write_bytes(model)
    return formats.convert(formats.load(path), "ort").data


def forest(x: torch.Tensor, y: torch.Tensor, trees: int, rows: int) -> bytes:
    from skl2onnx import to_onnx
    from sklearn.ensemble import RandomForestClassifier

    flat = x[:, :, ::4, ::4].flatten(1).numpy()
    made = RandomForestClassifier(60, random_state=0, warm_start=True).fit(flat[:rows], y[:rows].numpy())
    if trees > 60:
        made.n_estimators = trees
        made.fit(flat[:rows], y[:rows].numpy())
    return to_onnx(made, flat[:1]).SerializeToString()


def pairs(data: Path, folder: Path, say: Callable[[str], None]) -> Iterator[tuple[str, Files, Files]]:
    """Every pair with its name. Some two minutes on one core, once; kept in ``folder``."""
    made = folder / "pairs"
    if not made.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _make(data, folder, say)
        made.mkdir()
        for path in folder.glob("*.bin"):
            path.rename(made / path.name)
    table = [
        ("fp32, fine-tuned, rate 1e-4", "fp32-a", "fp32-b"),
        ("fp32, fine-tuned, rate 1e-5", "fp32-a", "fp32-c"),
        ("fp32, head only", "fp32-a", "fp32-h"),
        ("fp32, trained anew", "fp32-a", "fp32-z"),
        ("int8, fine-tuned 1e-4, scales anew", "int8-a", "int8-b"),
        ("int8, fine-tuned 1e-4, scales kept", "int8-a", "int8-b-frozen"),
        ("int8, fine-tuned 1e-5, scales kept", "int8-a", "int8-c-frozen"),
        ("int8, head only, scales kept", "int8-a", "int8-h-frozen"),
        ("ORT format, fine-tuned, rate 1e-4", "ort-a", "ort-b"),
        ("ORT format, head only", "ort-a", "ort-h"),
        ("fp32 to int8", "fp32-a", "int8-a"),
        ("forest, 60 to 80 trees", "forest-a", "forest-b"),
    ]
    for title, old, new in table:
        yield title, *({NAME: (made / f"{name}.bin").read_bytes()} for name in (old, new))


def _make(data: Path, folder: Path, say: Callable[[str], None]) -> None:
    torch.manual_seed(0)
    x, y = tiles(data)
    order = torch.randperm(len(x))
    x, y = x[order], y[order]
    half = len(x) // 2
    first = network(int(y.max()) + 1)
    train(first, x[:half], y[:half], 8, 1e-3)
    nets = {"a": first}
    for name, rate in (("b", 1e-4), ("c", 1e-5)):
        nets[name] = copy.deepcopy(first)
        train(nets[name], x[half:], y[half:], 2, rate)
    nets["h"] = copy.deepcopy(first)
    train(nets["h"], x[half:], y[half:], 2, 1e-3, list(nets["h"][-1].parameters()))
    torch.manual_seed(1)
    nets["z"] = network(int(y.max()) + 1)
    train(nets["z"], x[:half], y[:half], 2, 1e-3)
    kept: Files = {}
    for name, net in nets.items():
        right = (net(x[half:]).argmax(1) == y[half:]).float().mean()
        say(f"network {name}: {100 * right:.1f}% right on the second half")
        kept[f"fp32-{name}"] = exported(net, x, folder)
        if name != "z":
            kept[f"int8-{name}"] = int8(kept[f"fp32-{name}"], x[:half], folder)
            kept[f"ort-{name}"] = ort_format(kept[f"fp32-{name}"], folder)
        if name in ("b", "c", "h"):
            kept[f"int8-{name}-frozen"] = frozen(kept["int8-a"], kept[f"fp32-{name}"])
    kept["forest-a"], kept["forest-b"] = forest(x, y, 60, half), forest(x, y, 80, half)
    for name, model in kept.items():
        (folder / f"{name}.bin").write_bytes(model)
