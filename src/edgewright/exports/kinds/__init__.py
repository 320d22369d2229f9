"""The kinds of exports, one file each."""
