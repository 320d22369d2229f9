"""The servers that are measured: an environment, a requirements file and a small program each."""
