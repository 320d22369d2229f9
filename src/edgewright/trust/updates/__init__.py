"""Which bundles devices may run, and how they know: The Update Framework (specification 1.0.31), by python-tuf.

Once, on the key-holders' machines (keys are ``trust.SigningKey``, ``trust.named_key(path)``)::

    keys = Keys(root=RoleKeys((a, b, c), 2), release=RoleKeys((r,)), snapshot=s, timestamp=t)     # PublicKeys
    root = sign_root(sign_root(propose_root(keys, now), key_a, now), key_b, now)
    targets = sign_release(propose_release(None, now), key_r, now)                  # nothing may run yet

The hub, which never holds those keys::

    repository = publish(None, OnlineKeys(key_s, key_t), now, root, targets)
    store, in this order: repository.files()                      # name -> bytes; timestamp.json last
    proposed = propose_release(repository.targets, now, add=[Release(sha256, length, "r42", "digits", "1.2", ("pi4",))])
    repository = publish(repository, online, now, targets=signed) # after missing_signatures(root, signed) == 0
    join_signatures(root, first, second)                          # of several key-holders, who sign the same proposal
    repository = publish(repository, online, now)                 # when repository.due(now) names snapshot or timestamp

The key-holder, for each release::

    review_release(proposed, last, [key_r.public]).text()         # show it; last: what was signed here before
    signed = sign_release(proposed, key_r, now)                   # keep it as the next last

A device (``folder`` of its own, mode 0700)::

    begin(folder, root)                                           # at enrolment
    releases = refresh(folder, fetch, now)                        # fetch(name, limit) -> bytes, FileNotFoundError
    release = releases.find(sha256)                               # TrustError: must not run
    fetch_bundle(release, part, read)                             # read(start, length) -> bytes
    verify_bundle(release, path)                                  # however the file came about (deltas)

Errors are TrustError (``Expired`` where only time is the matter), InputError, StorageError. Times are aware datetimes.
"""

import edgewright.trust.updates.signers  # noqa: F401 - before whatever imports python-tuf
from edgewright.trust.updates.ceremony import Keys, RoleKeys, propose_root, review_root, sign_root
from edgewright.trust.updates.client import Fetch, Releases, begin, begun, clock_floor, refresh
from edgewright.trust.updates.download import Read, fetch_bundle, verify_bundle
from edgewright.trust.updates.joining import join_signatures, named_releases, proposed_at, targets_version
from edgewright.trust.updates.metadata import Expired
from edgewright.trust.updates.releases import Release, Review, propose_release, review_release, sign_release
from edgewright.trust.updates.repository import OnlineKeys, Repository, missing_signatures, publish

__all__ = [
    "Expired",
    "Fetch",
    "Keys",
    "OnlineKeys",
    "Read",
    "Release",
    "Releases",
    "Repository",
    "Review",
    "RoleKeys",
    "begin",
    "begun",
    "clock_floor",
    "fetch_bundle",
    "join_signatures",
    "missing_signatures",
    "named_releases",
    "propose_release",
    "propose_root",
    "proposed_at",
    "publish",
    "refresh",
    "review_release",
    "review_root",
    "sign_release",
    "sign_root",
    "targets_version",
    "verify_bundle",
]
