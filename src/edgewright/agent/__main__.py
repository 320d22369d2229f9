"""``python -m edgewright.agent``: the agent, on a device with only the core install."""

from __future__ import annotations

import sys

from edgewright.agent.net.command import main

sys.exit(main())
