"""Plots: pure functions from values to SVG, with widths as shares of the room: one drawing fits every screen."""
