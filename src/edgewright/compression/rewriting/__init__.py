"""Rewriting: what several passes need to see in a graph, and the exact rewritings that ``fuse`` is made of."""
