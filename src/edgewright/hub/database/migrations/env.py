"""Run by Alembic: on the connection it was given, or none at all."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
