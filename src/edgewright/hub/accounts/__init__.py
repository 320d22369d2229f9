"""Accounts: who may do what in a tenant, and the log of who did.

Tables (``tables``), rules (``rules``, ``chain``: pure), deeds (``people``, ``signin``, ``audit``, ``heads``, ``oidc``),
routes (``routes_*``). What other slices use is ``access``: ``may("rollouts.write")`` in a route's signature gives a
``Caller``, whose ``read()`` and ``write()`` are transactions in its tenant, and ``audit.tell`` in the same transaction
says what was done.
"""
