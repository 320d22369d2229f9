"""Ground floor: frozen values, errors, digests, statistics and the Session protocol.

Imports the standard library and numpy only; every other package may import from here.
"""
