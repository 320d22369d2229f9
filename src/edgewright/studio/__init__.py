"""Studio: the web pages, served. Their source is ``studio/`` at the root of the repository; ``studio/build_pages.py``
makes ``pages/`` of it when the package is built. Nothing here knows the hub: the pages speak to its API like
anybody."""

from edgewright.studio.serving import ROOT, Pages

__all__ = ["ROOT", "Pages"]
