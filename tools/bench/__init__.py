"""Figures of the running system, next to what they are compared with: `make bench`, or `python -m tools.bench`."""
