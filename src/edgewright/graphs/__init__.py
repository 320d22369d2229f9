"""ONNX graphs as something to read and rewrite: opening, closing, shapes, costs.

Passes, inspection and pruning all stand on this; onnx-ir holds the graph.
"""
