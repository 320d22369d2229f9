"""Trusted: the keys that bundles must be signed with; a folder's are read anew whenever a bundle is looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import overload

from edgewright.trust import PublicKey, load_public_key


class Trusted(Sequence[PublicKey]):
    """``paths``: files, which are read once, and folders of ``*.pub``, whose keys come and go while this serves. Raises
    InputError, then and whenever a folder holds a file that is no key."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._folders = [path for path in paths if path.is_dir()]
        self._keys = [load_public_key(path) for path in paths if path not in self._folders]
        self._now()

    def _now(self) -> list[PublicKey]:
        found = [load_public_key(path) for folder in self._folders for path in sorted(folder.glob("*.pub"))]
        return [*self._keys, *found]

    def __iter__(self) -> Iterator[PublicKey]:
        return iter(self._now())

    def __len__(self) -> int:
        return len(self._now())

    @overload
    def __getitem__(self, index: int) -> PublicKey: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[PublicKey]: ...
    def __getitem__(self, index: int | slice) -> PublicKey | Sequence[PublicKey]:
        return self._now()[index]
