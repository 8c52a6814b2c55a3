"""Which projections an adapter's patterns matched, checked and shown before anything is learned."""

import re
from collections.abc import Iterable, Mapping

from fiat_jax.errors import ConfigError


def check_targets(targets: Iterable[str], projections: Iterable[str]) -> None:
    """Makes sure that every pattern matches at least one projection.

    Args:
      targets: regular expressions for whole module paths.
      projections: the module paths of the model's projections.

    Raises:
      ConfigError: a pattern that matches nothing, with the paths there are.
    """
    projections = sorted(projections)
    for pattern in targets:
        if not any(re.fullmatch(pattern, path) for path in projections):
            raise ConfigError(
                f"LoRA.targets: the pattern {pattern!r} matches none of the model's projections; "
                f"expected a regular expression for a whole path among {', '.join(projections)}."
            )


def target_table(adapted: Mapping[str, tuple[int, ...]], trainable: int, frozen: int) -> str:
    """A table of what an adapter matched.

    Args:
      adapted: kernel shape by module path, of the adapted projections.
      trainable: parameters that are learned.
      frozen: parameters of the base.

    Returns:
      Lines of text; the last gives the trainable share.
    """
    width = max(map(len, adapted), default=0)
    rows = [f"  {path:<{width}}  {' x '.join(map(str, shape))}" for path, shape in sorted(adapted.items())]
    share = 100.0 * trainable / (trainable + frozen)
    total = f"{trainable:,} trainable of {trainable + frozen:,} parameters ({share:.2f} %)"
    return "\n".join([f"adapter on {len(adapted)} projections:", *rows, total])
