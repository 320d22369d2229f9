"""The package build makes the studio's pages first: see ``studio/build_pages.py``."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class StudioHook(BuildHookInterface):
    """Before a wheel is put together, an editable one too."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the pages. A failure ends the package build with what to do."""
        sys.path.insert(0, str(Path(self.root) / "studio"))
        maker = importlib.import_module("build_pages")
        try:
            maker.build()
        except maker.Unbuilt as error:
            raise SystemExit(f"the studio's pages cannot be built: {error}") from error
