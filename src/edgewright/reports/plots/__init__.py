"""Plots: pure functions from values to SVG. Widths are shares of the room there is, so one drawing fits every screen."""
