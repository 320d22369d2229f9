"""Compression: passes that rewrite a Model, recipes of passes, and the search over them."""
