"""Measurement: latency, memory, size, accuracy and energy that one can trust."""
