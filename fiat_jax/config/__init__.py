"""Gin at the edge: files and flags in, one command's checked arguments out.

`files` reads statements, `checks` holds them against the settings, `wiring` adds what is meant without being
said, `bindings` is gin, and `configuration` builds the arguments and writes them down as gin again. What a
gin file may name stands in `fiat_jax.configurables`.
"""

from fiat_jax.config.configuration import Configuration, parse

__all__ = ["Configuration", "parse"]
