"""Monitoring: observations rolled up with age. Rules from values to values; whoever stores them is above."""
