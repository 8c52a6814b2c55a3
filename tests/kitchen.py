"""Settings and commands of a kitchen, for tests that must not depend on the real ones."""

from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from fiat_jax.errors import ConfigError

SERVED: list[dict[str, Any]] = []


@dataclass(frozen=True)
class Spice:
    name: str = "pepper"
    grams: float = 1.0


@dataclass(frozen=True)
class Oven:
    degrees: int = 180
    fan: bool = False


@dataclass(frozen=True)
class Whisk:
    wires: int = 9


@dataclass(frozen=True)
class Stove:
    flames: int = 4


class Heat(Protocol):
    """What an oven and a stove keep."""

    def warm(self, minutes: float) -> None: ...


@dataclass(frozen=True)
class Recipe:
    title: str
    steps: tuple[str, ...] = ()
    heat: Literal["low", "high"] = "low"
    minutes: float = 30.0
    yields: int | None = None
    notes: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.minutes < 0:
            raise ConfigError(f"Recipe.minutes: expected 0 or more, found {self.minutes}.")


@dataclass(frozen=True)
class Kitchen:
    recipe: Recipe
    place: Oven | Stove = Oven()
    spice: Spice | None = None
    rack: tuple[Spice, ...] = ()
    whisk: Whisk | None = field(default_factory=Whisk)


def cook(kitchen: Kitchen, run_dir: str = "runs/meal", plates: int = 2, taste: float = 0.5) -> dict[str, Any]:
    """Cooks.

    Args:
      kitchen: where.
      run_dir: the run folder.
      plates: how many are served.
      taste: from 0
        to 1.
    """
    return {"kitchen": kitchen, "run_dir": run_dir, "plates": plates, "taste": taste}


def dine(kitchen: Kitchen, run_dir: str = "", tables: int = 1) -> None:
    """Dines, and keeps what it was called with in SERVED."""
    SERVED.append({"kitchen": kitchen, "run_dir": run_dir, "tables": tables})


def order(
    dishes: tuple[str, ...] = (),
    table: str = "",
    most_cost: float | None = None,
    hurry: bool = False,
    dry_run: bool = False,
) -> None:
    """Orders dishes, and keeps what it was called with in SERVED.

    Args:
      dishes: what to eat.
      table: where.
      most_cost: at the most.
      hurry: at once.
      dry_run: only say what it would be.
    """
    SERVED.append(
        {"dishes": dishes, "table": table, "most_cost": most_cost, "hurry": hurry, "dry_run": dry_run}
    )


def bake(oven: Oven, plates: int = 1) -> None:
    """Bakes."""


def roast(heat: Heat, spare: Heat | None = None) -> dict[str, Any]:
    """Roasts.

    Args:
      heat: what is hot.
      spare: what is hot next.
    """
    return {"heat": heat, "spare": spare}
