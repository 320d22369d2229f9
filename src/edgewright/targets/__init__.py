"""Targets: device classes as data, every figure with its unit and source; this machine detected; latency predicted."""
