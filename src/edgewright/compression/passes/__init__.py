"""Passes: one rewriting a file; the table below is the whole registration."""
