"""Bundles: what ships, sealed, verified and opened without executing anything in it."""
