"""Objects: bytes that slices keep outside the database, in a folder of the hub's or in an S3-compatible store.

- ``store``: ``objects(state)`` gives and takes them; ``work_folder(state)`` is where files lie on their way there.
- ``keeping``: ``expect`` an object before it is stored, so that a row can name it; ``sweep`` removes what no row names.
- ``tables``: what is expected.
"""

from edgewright.hub.objects.keeping import Named, expect, sweep
from edgewright.hub.objects.store import PIECE_BYTES, Objects, object_name, objects, work_folder

__all__ = ["PIECE_BYTES", "Named", "Objects", "expect", "object_name", "objects", "sweep", "work_folder"]
