"""Flows: the only place where stages meet."""
