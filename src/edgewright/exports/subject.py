"""Subject: a verified bundle as exports see it, with every name in the forms that they need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from edgewright.bundles import Bundle
from edgewright.core.digests import canonical_json
from edgewright.core.errors import InputError
from edgewright.core.model import Dimension, Model, TensorSpec
from edgewright.exports.dtypes import Dtype, dtype
from edgewright.exports.names import label, pascal, snake


@dataclass(frozen=True)
class Tensor:
    """One input or output, and its dtype as others name it."""

    name: str
    dtype: str
    shape: tuple[Dimension, ...]
    kind: Dtype

    @property
    def sizes(self) -> list[int]:
        """The shape with -1 for an open size, as the protocol has it."""
        return [size if isinstance(size, int) else -1 for size in self.shape]

    @property
    def told(self) -> str:
        """Dtype and shape for people: ``float32 (batch, 3, 32, 32)``; sizes are named as the bundle has them."""
        sizes = ["any" if size is None else str(size) for size in self.shape]
        return f"{self.dtype} ({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"


@dataclass(frozen=True, eq=False)
class Subject:
    """``bundle``: verified. Raises InputError, in ``of``, for one that nothing can be written for."""

    bundle: Bundle
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    @classmethod
    def of(cls, bundle: Bundle) -> Subject:
        """Raises InputError for a dtype or a name that no client could write."""
        signature = bundle.content.signature
        texts = [
            *bundle.content.labels,
            *(spec.name for side in (signature.inputs, signature.outputs) for spec in side),
        ]
        for text in texts:
            try:
                text.encode()
            except UnicodeEncodeError as error:
                raise InputError(f"the bundle holds the name {ascii(text)[:60]}, which is no Unicode text") from error
        return cls(bundle, _tensors(signature.inputs), _tensors(signature.outputs))

    @property
    def name(self) -> str:
        """As the bundle has it: 1 to 64 letters, digits, ``.``, ``_``, ``+``, ``-``."""
        return self.bundle.content.name

    @property
    def version(self) -> str:
        """As the bundle has it, of the same letters."""
        return self.bundle.content.version

    @property
    def label(self) -> str:
        """The name as a DNS label."""
        return label(self.name)

    @property
    def snake(self) -> str:
        """The name as a module's."""
        return snake(self.name)

    @property
    def pascal(self) -> str:
        """The name as a type's."""
        return pascal(self.name)

    @property
    def image(self) -> Tensor | None:
        """The input that takes image files and gives named classes: the only one, where the bundle declares both."""
        content = self.bundle.content
        whole = content.preprocessing is not None and content.postprocessing is not None
        return self.inputs[0] if whole and len(self.inputs) == 1 else None

    @cached_property
    def identity(self) -> dict[str, str]:
        """What names the bundle, for every export: texts by key."""
        content = self.bundle.content
        return {
            "name": content.name, "version": content.version, "digest": self.bundle.digest,
            "signer": self.bundle.signer.id, "source": content.source,
        }  # fmt: skip

    @property
    def extras(self) -> str:
        """What the device install needs besides to serve it: ``""``, ``[images]``, ``[images,openvino]``."""
        needed = ["images"] if self.bundle.content.preprocessing is not None else []
        needed += ["openvino"] if self.bundle.content.variants[0].engine == "openvino" else []
        return f"[{','.join(needed)}]" if needed else ""

    def declared(self) -> dict[str, Any]:
        """Preprocessing and postprocessing as declared, and the labels: JSON values."""
        content = self.bundle.content
        return {
            "preprocessing": _plain(content.preprocessing), "postprocessing": _plain(content.postprocessing),
            "labels": list(content.labels),
        }  # fmt: skip

    def model_for(self, engine: str, formats: Iterable[str]) -> Model:
        """The model of the variant for ``engine`` if it is in one of ``formats``, else of the first that is.

        Raises InputError when none is, and where ``engine`` ran it on an accelerator."""
        wanted = tuple(formats)
        there = [v for v in self.bundle.content.variants if v.model.format in wanted]
        if not there:
            held = ", ".join(sorted({v.model.format for v in self.bundle.content.variants}))
            raise InputError(f"this export needs the model as {' or '.join(wanted)}; the bundle holds it as {held}")
        chosen = min(there, key=lambda v: v.engine != engine)
        if chosen.engine == engine and chosen.options.provider not in ("", "cpu"):
            raise InputError(
                f"the bundle's model was measured on {chosen.options.provider}; this export runs it on the CPU alone"
            )
        return chosen.model


def _tensors(specs: Iterable[TensorSpec]) -> tuple[Tensor, ...]:
    return tuple(Tensor(spec.name, spec.dtype, spec.shape, dtype(spec.dtype)) for spec in specs)


def _plain(value: Mapping[str, Any] | None) -> Any:
    import json

    return None if value is None else json.loads(canonical_json(dict(value)))
