"""Advice: what a model is, what engines would make of it, and what to try first on a target. Nothing is measured."""
