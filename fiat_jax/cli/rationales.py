"""`fiat rationales`: rationale stores merged, and carried as JSON lines."""

from fiat_jax.errors import ConfigError, DataError
from fiat_jax.paths import at
from fiat_jax.reasoning import Store
from fiat_jax.reasoning.exchange import absorb, rows_of, write_rows


def rationales(store: str, add: tuple[str, ...] = (), output: str | None = None) -> None:
    """Takes the answers of stores and JSON lines into a store, and writes what it then has as JSON lines.

    Args:
      store: the rationale store; made if it is absent and there is something to add.
      add: another store, or JSON lines that this command has written; may be several. What the store has
        already is kept.
      output: a JSON-lines file for all answers of the store.
    """
    if not add and output is None:
        raise ConfigError("rationales: expected something to add, or an output, found neither.")
    if not add and not at(store).exists():
        raise DataError(f"{store}: expected a rationale store, found none.")
    if add:
        with Store(store) as kept:
            for place in add:
                print(f"{store}: {absorb(kept, rows_of(place))}, of {place}")
    if output is not None:
        print(f"{output}: {write_rows(store, output)} rationales")
