"""What the routes of models take and tell."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints

from edgewright.hub.models.tables import Model, Version
from edgewright.hub.web.bodies import Answer, Beside, Body, Id, Moment, Name, Told, Words

Text = Annotated[Words, StringConstraints(max_length=2000)]
State = Literal["checking", "ready", "refused"]
Stage = Literal["registered", "validated", "optimized", "deployed", "monitored", "retired"]
_F = "9b74c9897bac770ffc029102a200c5de4a2a6c7a4d2f0f7b1a5a0d3f8e6c1b20"
_MOD, _VER, _DAT = "mod_01m80bnjzbrvns4jbpr1xhx2e6", "ver_01m80bnjzbrvns4jbpr1xhx2e7", "dat_01m80bnjzbrvns4jbpr1xhx2e8"
_UPL, _USR = "upl_01m80bnjzbrvns4jbpr1xhx2e9", "usr_01m80bnjzbrvns4jbpr1xhx2ea"
_WHEN = "2026-11-22T09:30:00.000Z"
_TENSOR: dict[str, Any] = {"name": "x", "dtype": "float32", "shape": ["n", 1, 8, 8]}


class NewModel(Body):
    """A model, before it has versions."""

    name: Name
    description: Text = ""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "digits", "description": "reads meters"}]})


class ModelChange(Body):
    """What is left out stays."""

    name: Name | None = None
    description: Text | None = None

    model_config = ConfigDict(json_schema_extra={"examples": [{"description": "reads gas meters"}]})


class VersionTold(Told):
    """A version. ``state``: ready, being checked, or refused for a ``reason``. ``file``: SHA-256 of the file as it was
    uploaded; ``digest``: of the model in it. ``facts``: what can be told without measuring. ``parent``, ``job``: what
    it was made of, and by which job."""

    id: str
    model: str
    number: int
    state: State
    reason: str
    stage: Stage
    note: str
    filename: str
    format: str
    digest: str
    file: str
    length: int
    signature: dict[str, Any]
    facts: dict[str, Any]
    parent: str | None
    job: str | None
    by: str
    made: Moment

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": _VER, "model": _MOD, "number": 1, "state": "ready", "reason": "", "stage": "validated",
                    "note": "", "filename": "digits.onnx", "format": "onnx", "digest": _F, "file": _F,
                    "length": 238_133, "signature": {"inputs": [_TENSOR], "outputs": [_TENSOR]},
                    "facts": {"parameters": 59_210, "macs": 1_204_000}, "parent": None, "job": None, "by": _USR,
                    "made": _WHEN,
                }
            ]
        }
    )  # fmt: skip

    ready = ("signature", "facts")

    @classmethod
    def adapt(cls, row: dict[str, Any]) -> dict[str, Any]:
        """None for "" where there is none."""
        row["parent"], row["job"] = row["parent"] or None, row["job"] or None
        return row


class VersionChange(Body):
    """What is left out stays. ``stage``: a later one; *retired* from any, and back from there."""

    stage: Stage | None = None
    note: Text | None = None

    model_config = ConfigDict(json_schema_extra={"examples": [{"stage": "retired", "note": "replaced by 3"}]})


class ModelTold(Told):
    """A model. ``versions``: how many there are; ``newest``: the latest of them."""

    id: str
    name: str
    description: str
    versions: int
    newest: VersionTold | None
    by: str
    made: Moment

    also = ("count",)
    beside = (Beside("newest", VersionTold, Version, Version.id == Model.newest),)

    @classmethod
    def adapt(cls, row: dict[str, Any], *newest: VersionTold | None) -> dict[str, Any]:
        """``newest``: of one that is told alone; a list has read it."""
        row["versions"], row["newest"] = row["count"], newest[0] if newest else row["newest"]
        return row


class Layers(Answer):
    """``layers``: in the order in which they run; ``inputs`` and ``outputs`` are names of tensors, ``shapes`` and
    ``dtypes`` those of the outputs at batch size 1."""

    layers: list[dict[str, Any]]


class Row(Answer):
    """One line of a comparison: ``values`` in the order of the versions."""

    what: str
    values: list[Any]
    same: bool


class Comparison(Answer):
    """Versions side by side; what differs comes first."""

    versions: list[VersionTold]
    rows: list[Row]


class Lineage(Answer):
    """``before``: what it was made of, nearest first; ``after``: what was made of it, newest first (200 at most)."""

    version: VersionTold
    before: list[VersionTold]
    after: list[VersionTold]


class Reading(Body):
    """How data are read: ``labels``: the array that holds them, false for none (models are then compared by their
    agreement with the original), null for an array named labels. ``missing``: whether NaN is an error. What
    ``preprocessing`` takes is told in docs/reference/data.md."""

    labels: Annotated[str, Field(min_length=1, max_length=200)] | Literal[False] | None = None
    missing: Literal["refuse", "keep"] = "refuse"
    preprocessing: dict[str, Any] | None = None


class DatasetTold(Told):
    """A data set. ``facts``: samples, inputs, labels; ``reading``: how it is read."""

    id: str
    name: str
    state: State
    reason: str
    filename: str
    file: str
    length: int
    reading: dict[str, Any]
    facts: dict[str, Any]
    by: str
    made: Moment

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": _DAT, "name": "digits", "state": "ready", "reason": "", "filename": "digits.npz", "file": _F,
                    "length": 460_021, "reading": {}, "by": _USR, "made": _WHEN,
                    "facts": {"samples": 1797, "labels": {"kind": "classes", "count": 1797, "classes": 10}},
                }
            ]
        }
    )  # fmt: skip

    ready = ("reading", "facts")


class DatasetChange(Body):
    """What is left out stays. Other ways to read it are for another upload: results depend on them."""

    name: Name

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "digits, March"}]})


class NewUpload(Body):
    """A file that will be uploaded: ``length`` bytes. ``model``: the id of the model it is a version of; or ``dataset``
    : the name of the data set it is. ``sha256``: what it must be in the end. ``parent``: the version it was made of."""

    filename: Annotated[Words, StringConstraints(min_length=1, max_length=300)]
    length: Annotated[int, Field(ge=0, le=2**50)]
    model: Id | None = None
    dataset: Name | None = None
    reading: Reading = Reading()
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = None
    parent: Id | None = None
    note: Text = ""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"filename": "digits.onnx", "length": 238_133, "model": _MOD},
                {"filename": "digits.npz", "length": 460_021, "dataset": "digits"},
            ]
        }
    )


class UploadTold(Told):
    """A file on its way: the next byte that is wanted is ``offset``. ``result``: the version or data set it has become,
    null before its last byte. ``until``: when it is given up unless bytes come."""

    id: str
    kind: Literal["model", "dataset"]
    filename: str
    length: int
    offset: int
    result: str | None
    by: str
    made: Moment
    until: Moment

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": _UPL, "kind": "model", "filename": "digits.onnx", "length": 238_133, "offset": 65_536,
                    "result": None, "by": _USR, "made": _WHEN, "until": _WHEN,
                }
            ]
        }
    )  # fmt: skip

    @classmethod
    def adapt(cls, row: dict[str, Any]) -> dict[str, Any]:
        """None for no result yet."""
        return {**row, "result": row["result"] or None}
