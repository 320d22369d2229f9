"""Client: the hub's API for people and programs, over the standard library alone.

    with Hub.known() as hub:                                  # as `edgewright login` left it, or EDGEWRIGHT_HUB, _TOKEN
        hub.get("/rollouts/rol_...")                          # JSON; paths below /api/edge
        hub.post("/rollouts", {...})                          # once, however often the network makes it try
        for device in hub.every("/devices", group="line-3"):  # all pages
            ...
        hub.upload("/bundles", path, signer="...")            # a file, with constant memory
        upload(hub, Path("digits.onnx"), model="mod_...")     # a model or data, part by part; what became of it
        wait(hub, "/optimization-jobs/job_...", print)        # a job once it is over, hearing of it meanwhile
        for event in events(hub):                             # what happens, as it happens
            ...

What the hub refuses is a ``Refusal``: its sentence says what to do, ``status`` is HTTP's.
"""

from __future__ import annotations

from edgewright.client.hub import Hub, Refusal, Unreachable
from edgewright.client.profile import Profile
from edgewright.client.uploads import upload
from edgewright.client.watching import events, wait

__all__ = ["Hub", "Profile", "Refusal", "Unreachable", "events", "upload", "wait"]
