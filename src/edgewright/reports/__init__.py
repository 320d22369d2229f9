"""Reports: one self-contained page and its JSON."""
