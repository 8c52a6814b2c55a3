"""How it answers: token ids from inputs."""

from fiat_jax.decoding.generate import greedy

__all__ = ["greedy"]
