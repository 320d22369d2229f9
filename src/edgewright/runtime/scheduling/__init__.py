"""Scheduling: who runs next, who is let in, and who is told at once that it will not make it.

Rules are values in, values out (``line``, ``times``, ``batches``); ``scheduler`` holds the lock, the threads and the
clock.
"""
