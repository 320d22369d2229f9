"""INT8 with scales chosen from data: the arithmetic, the calibration, where to place it, and how to write it."""
