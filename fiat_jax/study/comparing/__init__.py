"""Paradigms compared: which to use, with how much data.

- `paradigms`: what is compared. `results`: what was found, as small JSON files.
"""
