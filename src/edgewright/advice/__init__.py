"""Advice: what a model is, what each engine would cover, and which recipe to try first, with reasons."""
