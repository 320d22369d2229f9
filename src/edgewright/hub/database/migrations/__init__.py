"""Alembic's folder: ``env`` runs what ``versions`` holds. Each slice has a branch of its own, so two can grow at
once."""
