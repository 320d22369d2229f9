"""``python -m edgewright.runtime``: serve, on a device with only the core install."""

from __future__ import annotations

import sys

from edgewright.runtime.serving import main

sys.exit(main())
