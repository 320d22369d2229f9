"""Pipelines for GitHub Actions and GitLab CI that run the bundle's gates."""

from __future__ import annotations

from edgewright import __version__
from edgewright.exports.contract import Limit, rendered
from edgewright.exports.quoting import Code
from edgewright.exports.subject import Subject

_REPORT = "report.json"
_AGAIN = f"""echo "2. the model made again: the same bytes"
edgewright reproduce bundle/evidence/{_REPORT} --model "$MODEL" --data "$DATA" -o "$out/again"
"""
_NOT = """echo "2. not made again: the bundle holds no report of how it was made"
"""


class Ci:
    """One script does it; the pipelines call it."""

    title = "pipelines for GitHub Actions and GitLab CI that run the bundle's gates"
    needs = (
        "a repository; Edgewright on an index that the pipeline reaches; for all gates the original model and its data."
    )
    tested = (
        "our tests hold both pipelines against their published schemas and run the script on a bundle that `edgewright "
        "optimize` made, with gates that pass and gates that fail."
    )
    untested = "neither GitHub nor GitLab ran them."
    limit: Limit | None = Limit(
        100 * 2**20, "a file in a repository on GitHub without Git LFS",
        "https://docs.github.com/repositories/working-with-files/managing-large-files/about-large-files-on-github",
    )  # fmt: skip

    def files(self, subject: Subject) -> dict[str, bytes]:
        """Raises InputError for no bundle."""
        extras = ["compile", *subject.extras.strip("[]").split(",")]
        values = {
            "requirement": f"edgewright[{','.join(extra for extra in extras if extra)}]=={__version__}",
            "reproduce": Code((_AGAIN if _REPORT in subject.bundle.content.evidence else _NOT).rstrip()),
        }
        bundle = {f"bundle/{name}": data for name, data in subject.bundle.files.items()}
        return {**rendered(subject, self, "ci", values), **bundle}
