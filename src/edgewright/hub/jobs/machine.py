"""Machine: how this one computes, asked for by whoever shares trials with others."""

from __future__ import annotations

import logging
import subprocess
import sys
from functools import cache

from edgewright.hub.ids import new_id

_MOST_S = 120
_LOG = logging.getLogger("edgewright.hub")


@cache
def machine() -> str:
    """As ``flows.answers.arithmetic`` names it. A process of its own says so, once: what it loads for that, a worker
    needs for nothing else, and one that is alone needs no word of it."""
    words = [sys.executable, "-c", "from edgewright.flows.answers import arithmetic; print(arithmetic())"]
    try:
        told = subprocess.run(words, capture_output=True, text=True, timeout=_MOST_S, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError) as error:
        _LOG.warning("this worker helps nobody and is not helped: how it computes cannot be told (%s)", error)
        told = ""
    return told or new_id("mac")
