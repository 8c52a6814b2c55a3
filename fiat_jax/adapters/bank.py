"""Many LoRA adapters on one base, and for each row of a batch one of them.

The matrices of all adapters that change a layer are laid side by side, every column of A with the number of
the adapter that owns it. A row keeps the columns of its own adapter, so that rows of different adapters are
one product (as in Punica, Chen et al. 2023, but with no kernel of its own):

    h = x W + (own * (x A)) B        A [in, R], B [R, out] with the scales in it, own = owner == rows [B, R]

That costs in * R and R * out for each token, R the sum of the ranks: little, while R is below in and out.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from fiat_jax.adapters.lora import LoRA
from fiat_jax.adapters.merge import by_place
from fiat_jax.adapters.projection import ProjectionAdapter, Weight
from fiat_jax.errors import ConfigError
from fiat_jax.typing import Array, Params

BASE = -1
"""The number of a row that no adapter changes."""


@dataclass(frozen=True)
class LoRABank(ProjectionAdapter):
    """What is compiled of a bank: the same for other adapters with as many columns in the same places.

    It is made by `bank` and never trained; without `for_rows` its weights are not complete.

    Attributes:
      targets: made of `ranks`.
      size: how many adapters there are; their numbers are 0 .. size - 1.
      ranks: module paths, and the columns of all adapters there.
    """

    targets: tuple[str, ...] = field(init=False)
    size: int
    ranks: tuple[tuple[str, int], ...]

    name: ClassVar[str] = "bank"

    def __post_init__(self) -> None:
        object.__setattr__(self, "targets", tuple(re.escape(path) for path, _ in self.ranks))
        super().__post_init__()

    def check(self, rows: Any) -> None:
        """Makes sure that every row has an adapter of this bank, or BASE.

        A compiled program cannot say so: there, a number that no adapter has is as BASE. Whoever takes
        requests calls this with the numbers on the host.

        Args:
          rows: [B] integers, not traced.

        Raises:
          ConfigError: a row has another number.
        """
        for row, number in enumerate(np.asarray(rows).tolist()):
            if number not in range(BASE, self.size):
                raise ConfigError(
                    f"row {row}: expected the number of an adapter, 0 to {self.size - 1}, or {BASE} for the "
                    f"bare base, found {number}."
                )

    def weights(self, path: str, kernel: Array, axes: tuple[str, str]) -> dict[str, Weight]:
        """See `ProjectionAdapter`: A, B, and whose the columns and the rows are; a start changes nothing.

        The rows are those of the batch that is computed; as declared, one stands for all.
        """
        inputs, features = kernel.shape
        rank, zeros = dict(self.ranks)[path], jax.nn.initializers.zeros
        return {
            "a": Weight((inputs, rank), (axes[0], "rank"), zeros),
            "b": Weight((rank, features), ("rank", axes[1]), zeros),
            "owner": Weight((rank,), ("rank",), lambda key, shape: jnp.zeros(shape, jnp.int32)),
            "rows": Weight((1,), (None,), lambda key, shape: jnp.full(shape, BASE, jnp.int32)),
        }

    def project(
        self,
        path: str,
        x: Array,
        kernel: Array,
        weights: Mapping[str, Array],
        dropped: Array | None = None,
        out_dtype: jnp.dtype | None = None,
    ) -> Array:
        """See `ProjectionAdapter`; x is [B, T, in]."""
        y = jnp.matmul(x, kernel, preferred_element_type=out_dtype)
        return y + bank_delta(x, *(weights[name] for name in ("a", "b", "owner", "rows")))

    def merged(self, path: str, kernel: Array, weights: Mapping[str, Array]) -> Array:
        """Not possible: each row has a kernel of its own.

        Raises:
          ConfigError: always.
        """
        raise ConfigError(f"{path}: expected one adapter to merge, found a bank of {self.size}; merge one.")

    def unmerged(self, path: str, kernel: Array, weights: Mapping[str, Array]) -> Array:
        """Not possible, as `merged`."""
        return self.merged(path, kernel, weights)


def bank_delta(x: Array, a: Array, b: Array, owner: Array, rows: Array) -> Array:
    """What is added to a projection's output, for each row by its own adapter.

    Args:
      x: [B, T, in], input of the projection.
      a: [in, R]; b: [R, out], the scales in it; both finite, or no row is.
      owner: [R] int32, the adapter of each column.
      rows: [B] int32, the adapter of each row; or [1], of all.

    Returns:
      [B, T, out] in x's dtype.
    """
    own = (owner == rows[:, None])[:, None]
    thin = x @ a.astype(x.dtype)
    return jnp.where(own, thin, jnp.zeros_like(thin)) @ b.astype(x.dtype)


def bank(adapters: Sequence[tuple[LoRA, Params]]) -> tuple[LoRABank, Params]:
    """Puts adapters for one base into a bank; their numbers are their order.

    Args:
      adapters: settings, and the collection 'adapter', of each. They may differ in all settings.

    Returns:
      The settings of the bank and its collection 'adapter', float32, to which `for_rows` adds the rows.

    Raises:
      ConfigError: there is no adapter, one is not LoRA, or they do not fit the same base.
    """
    places: dict[str, list[_Part]] = {}
    for number, (adapter, weights) in enumerate(adapters):
        check_kind(adapter, f"adapter {number}")
        for path, arrays in by_place(weights, adapter.name):
            part = _Part(number, arrays["a"], arrays["b"], adapter.scale(path))
            places.setdefault(path, []).append(part)
            _check_shapes(path, part, places[path][0], adapter.rank_of(path))
    if not places:
        raise ConfigError("bank: expected at least one adapter that changes something, found none.")
    flat = {f"{path}/{LoRABank.name}": _side_by_side(parts) for path, parts in sorted(places.items())}
    ranks = tuple((path, sum(part.a.shape[-1] for part in parts)) for path, parts in sorted(places.items()))
    return LoRABank(len(adapters), ranks), unflatten_dict(flat, sep="/")


def for_rows(weights: Params, rows: Array) -> Params:
    """The weights of a bank for one batch. Pure, and made to be called inside a compiled program.

    Args:
      weights: of a bank.
      rows: [B] int32, the number of each row's adapter, or BASE; see `LoRABank.check`.

    Returns:
      The collection 'adapter' of a model whose adapter is the bank.
    """
    flat = flatten_dict(weights)
    rows = jnp.asarray(rows, jnp.int32)
    added = {
        (*path[:-1], "rows"): jnp.broadcast_to(rows, (*owner.shape[:-1], *rows.shape))
        for path, owner in flat.items()
        if path[-1] == "owner"
    }
    return unflatten_dict(flat | added)


def check_kind(adapter: object, whose: str) -> None:
    """Makes sure that an adapter can be in a bank.

    Args:
      adapter: settings; None where a run has learned the base itself.
      whose: the start of the sentence that says why it cannot.

    Raises:
      ConfigError: it is not LoRA.
    """
    if type(adapter) is not LoRA:
        found = "a base whose own weights were learned" if adapter is None else type(adapter).__name__
        raise ConfigError(
            f"{whose}: expected LoRA, as all adapters of a bank must be, found {found}; answer with it "
            "alone, or with the model that `fiat merge` makes of it."
        )


class _Part(NamedTuple):
    """The columns of one adapter in one place, with any axis of layers before."""

    number: int
    a: Array  # [..., in, r]
    b: Array  # [..., r, out]
    scale: float


def _side_by_side(parts: Sequence[_Part]) -> dict[str, Array]:
    """a, b and owner of one place."""
    a = jnp.concatenate([jnp.asarray(part.a, jnp.float32) for part in parts], axis=-1)
    b = jnp.concatenate([part.scale * jnp.asarray(part.b, jnp.float32) for part in parts], axis=-2)
    owner = np.repeat([part.number for part in parts], [part.a.shape[-1] for part in parts])
    return {"a": a, "b": b, "owner": jnp.broadcast_to(owner.astype(np.int32), (*a.shape[:-2], a.shape[-1]))}


def _check_shapes(path: str, part: _Part, first: _Part, rank: int) -> None:
    """Compares an adapter's matrices in one place with those of the first there, and with its own rank."""
    expected = (*first.a.shape[:-1], rank), (*first.b.shape[:-2], rank, first.b.shape[-1])
    found = part.a.shape, part.b.shape
    if found != expected:
        raise ConfigError(
            f"adapter {part.number}: expected a {list(expected[0])} and b {list(expected[1])} in {path}, as "
            f"its rank and the base of adapter {first.number} have it, found {list(found[0])} and "
            f"{list(found[1])}; give adapters for one base."
        )
