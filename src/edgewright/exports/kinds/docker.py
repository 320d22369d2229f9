"""A Dockerfile and a compose file that serve the bundle."""

from __future__ import annotations

from edgewright import __version__
from edgewright.exports.contract import Limit, rendered
from edgewright.exports.deploying import memory_mib
from edgewright.exports.quoting import Code
from edgewright.exports.subject import Subject


class Docker:
    """The bundle is part of the image."""

    title = "a Dockerfile and a compose file that serve the bundle"
    needs = "Docker with Compose, and Edgewright's wheel or an index that has it."
    tested = (
        "our tests hold the compose file against its specification's schema, check the Dockerfile instruction by "
        "instruction, and run its entry point and its health check on a copy of the image's files."
    )
    untested = "no image was built and no container run: there is no container engine where the tests run."
    limit: Limit | None = None

    def files(self, subject: Subject) -> dict[str, bytes]:
        """Raises InputError for no bundle."""
        values = {
            "release": Code(__version__), "extras": Code(subject.extras), "memory": f"{memory_mib(subject)}m",
        }  # fmt: skip
        bundle = {f"bundle/{name}": data for name, data in subject.bundle.files.items()}
        return {**rendered(subject, self, "docker", values), **bundle}
