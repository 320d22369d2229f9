"""Trust: keys, signatures and whom to believe."""
