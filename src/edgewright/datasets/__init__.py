"""Datasets: samples with names, shapes, labels, a declared preprocessing and disjoint seeded splits."""
