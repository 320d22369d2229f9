"""An InferenceService for KServe."""

from __future__ import annotations

from edgewright.exports.contract import Limit, rendered
from edgewright.exports.deploying import cores, memory_mib
from edgewright.exports.subject import Subject


class KServe:
    """Of the image that the docker export makes."""

    title = "an InferenceService for KServe"
    needs = "KServe 0.11 or newer, the image of the docker export."
    tested = (
        "our tests hold it against a schema that we wrote from KServe's documented API, its containers and volumes "
        "against Kubernetes' own, and run the container's command."
    )
    untested = "no cluster ran it; we held it once, by hand, against KServe's own resource definition."
    limit: Limit | None = None

    def files(self, subject: Subject) -> dict[str, bytes]:
        """Raises InputError for no bundle."""
        values = {
            "cpu": cores(subject),
            "memory": f"{memory_mib(subject)}Mi",
        }
        return rendered(subject, self, "kserve", values)
