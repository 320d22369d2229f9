"""Lanes: the ways in. Each reads requests, asks the scheduler, and writes answers; none knows another."""
