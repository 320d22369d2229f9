"""Words in paths, queries and bodies of the fleet's routes."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import Field, StringConstraints

from edgewright.hub.web.bodies import Words

DeviceName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
GROUP = r"^[A-Za-z0-9][A-Za-z0-9._+:/-]{0,63}$"
Group = Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9][A-Za-z0-9._+:/-]{0,63})?$")]
"""A group's name; "" for none."""
Label = Annotated[str, StringConstraints(pattern=GROUP)]
Labels = Annotated[dict[Label, Annotated[Words, Field(max_length=256)]], Field(max_length=32)]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
EnrolmentId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]{8,40}$")]
Word = Annotated[str, Query(max_length=64, pattern=r"^[A-Za-z0-9._+:/-]*$")]
"""A filter; "" for any."""
