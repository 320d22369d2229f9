"""Hub: the control plane. Slices of tables, rules and routes on one base.

- ``database``: tables, transactions, every query inside one tenant, migrations.
- ``web``: problems, the shell around the app, pages by cursor, strict bodies, rates, idempotency keys, the OpenAPI
  document.
- ``accounts``: tenants, users, roles, logins, tokens, OpenID Connect, the audit log. Its ``access.may`` is how routes
  of all slices know who calls; its ``audit.tell`` is how they say what was done.
- ``library``: bundles and what devices may run of them. ``fleet``: devices, what they should be, what they told.
  ``listener``: where they connect. ``rollouts``: releases on their way. ``alerts``: what needs somebody.
- ``secrets``: passwords, credentials, the safe. ``state``: what stands behind the routes of one process
  (``open_state``).
- ``app``: ``make_app(state)``, all routes. ``serving``: ``serve(...)``, the process; ``workers``: several
  of them at the same sockets. ``soundness``: what must hold before it starts. ``certificates``: TLS for people.
  ``unit``: the hub as a service of systemd.

A new slice adds: tables to ``tables.SLICES``, a router to ``app.ROUTERS``, permissions to ``accounts.rules``,
migrations with a branch label of its own to ``database/migrations/versions``. It imports neither ``agent`` nor
``runtime``.
"""
