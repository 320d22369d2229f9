"""What the library's routes take and tell."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field, StringConstraints

from edgewright.core.digests import digest_bytes
from edgewright.hub.web.bodies import Answer, Body, Moment, Told

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
_D = "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
_F = "9b74c9897bac770ffc029102a200c5de4a2a6c7a4d2f0f7b1a5a0d3f8e6c1b20"
_K = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
_ID = "39f713d0a644253f04529421b9f51b9b08979d08295959c4f3990ee617f5139f"
_WHEN = "2026-11-21T09:30:00.000Z"
_TARGETS = '{"signatures": [], "signed": {"_type": "targets", "version": 2}}'
_ROOT = '{"signatures": [], "signed": {"_type": "root", "version": 1}}'


class BundleTold(Told):
    """A bundle: ``digest`` of its manifest, ``file`` of its single file, ``source`` of the model it was made of.
    ``signer``: the public key that its signature was verified with, ``signed_by``: that key's id, as commands tell it.
    ``released``: devices may run it. ``evidence`` is what it promises and what was measured when it was sealed."""

    digest: str
    file: str
    length: int
    name: str
    version: str
    source: str
    hardware: list[str]
    engines: list[str]
    signer: str
    signed_by: str
    released: bool
    evidence: dict[str, Any]
    made: Moment

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "digest": _D, "file": _F, "length": 5_242_880, "name": "digits", "version": "1.2.0",
                    "source": _F, "hardware": ["raspberry-pi-4"], "engines": ["onnxruntime"], "signer": _K,
                    "signed_by": _ID, "released": False, "evidence": {"target": "raspberry-pi-4", "measured": {}},
                    "made": _WHEN,
                }
            ]
        }
    )  # fmt: skip

    ready = ("evidence",)

    @classmethod
    def adapt(cls, row: dict[str, Any]) -> dict[str, Any]:
        """With its signer's id."""
        row["signed_by"] = digest_bytes(bytes.fromhex(row["signer"]))
        return row


class Waiting(Answer):
    """A bundle that waits for the release key. ``release``: the rollout that asked for it."""

    digest: str
    name: str
    version: str
    release: str
    asked: Moment


class RoleTold(Answer):
    """``threshold`` of ``keys`` (ids, as in their ``.pub`` files) sign for the role. ``version`` and ``expires`` of its
    newest metadata; ``due``: it wants to be renewed."""

    threshold: int
    keys: list[str]
    version: int
    expires: Moment
    due: bool


class UpdatesTold(Answer):
    """The tenant's update metadata. ``development``: its release key lies on the hub. ``roles`` is empty before the
    first root. ``online``: the hub's own public key (the text of its file), which the root names for snapshot and
    timestamp. ``todo``: what a person has to do."""

    development: bool
    roles: dict[str, RoleTold]
    online: str
    waiting: list[Waiting]
    todo: list[str]


class ProposalTold(Answer):
    """What the key-holder looks at and signs: ``targets``, under ``root`` (null before the first). ``published``: the
    targets that hold now. ``missing``: how many more release keys must sign, null without a root."""

    development: bool
    targets: str
    root: str | None
    published: str | None
    missing: int | None


class SignedTargets(Body):
    """Targets metadata as its key-holder signed it."""

    targets: Annotated[str, Field(min_length=2, max_length=2**23)]

    model_config = ConfigDict(json_schema_extra={"examples": [{"targets": _TARGETS}]})


class SignedRoot(Body):
    """Root metadata, signed by enough keys of the root before it and of its own. ``targets``: for the first root, and
    where the release keys change."""

    root: Annotated[str, Field(min_length=2, max_length=2**16)]
    targets: Annotated[str, Field(min_length=2, max_length=2**23)] | None = None

    model_config = ConfigDict(json_schema_extra={"examples": [{"root": _ROOT, "targets": _TARGETS}, {"root": _ROOT}]})


class Submitted(Answer):
    """What came of it. ``missing``: so many more signatures are needed, and until then nothing is published;
    ``released`` and ``withdrawn``: digests of bundles."""

    development: bool
    missing: int
    released: list[str]
    withdrawn: list[str]
