"""Structured pruning: which channels hang together, which to drop, how to shrink the graph, how to repair the rest.

The idea: without training, what makes a pruned network work again is one sequential least-squares refit of every layer
towards what the dense network computed. So channels are chosen by what that refit cannot repair.
"""
