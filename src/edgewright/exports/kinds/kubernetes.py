"""Manifests for Kubernetes."""

from __future__ import annotations

from edgewright.exports.contract import Limit, rendered
from edgewright.exports.deploying import cores, memory_mib, served
from edgewright.exports.subject import Subject


class Kubernetes:
    """Of the image that the docker export makes."""

    title = "Deployment, Service, ConfigMap and NetworkPolicy for Kubernetes"
    needs = "Kubernetes 1.25 or newer, the image of the docker export, a certificate and a token."
    tested = (
        "our tests hold every manifest against Kubernetes' own schema, put them together with `kubectl kustomize` "
        "where it is there, and run the container's command with its configuration, TLS and tokens."
    )
    untested = "no cluster ran them."
    limit: Limit | None = Limit(
        2**20, "a ConfigMap, which holds no model", "https://kubernetes.io/docs/concepts/configuration/configmap/"
    )

    def files(self, subject: Subject) -> dict[str, bytes]:
        """Raises InputError for no bundle."""
        values = {
            "image_name": subject.label, "served": served(subject), "cpu": cores(subject),
            "memory": f"{memory_mib(subject)}Mi", "tls": f"{subject.label}-tls", "tokens": f"{subject.label}-tokens",
        }  # fmt: skip
        return rendered(subject, self, "kubernetes", values)
