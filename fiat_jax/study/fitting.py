"""Whether a run fits, and the smallest change with which it does, found by trying."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from fiat_jax.models.config import Quantise, Remat
from fiat_jax.parallel import Mesh
from fiat_jax.parallel.chips import chip_of
from fiat_jax.parallel.plan import Estimate, TooLarge
from fiat_jax.study.planning import Work, plan_decoding, plan_step


class Change(NamedTuple):
    """A setting that makes a run smaller, as gin has it, and what it does."""

    text: str
    apply: Callable[[Work], Work]


class Trial(NamedTuple):
    """A plan that was tried.

    Attributes:
      changes: settings that differ from the run's; none for the run as it is.
      work: the run with them.
      estimate: None where the compiler refused.
      needed: bytes a chip; None where the compiler refused and does not say.
      fits: whether those are there.
    """

    changes: tuple[str, ...]
    work: Work
    estimate: Estimate | None
    needed: float | None
    fits: bool


def trials(work: Work, devices: Sequence[Any], training: bool = True, search: bool = True) -> Iterator[Trial]:
    """The run as it is; then, until one fits, with ever larger changes.

    Args:
      work: what is to be run.
      devices: where.
      training: whether a step is planned, or else decoding.
      search: whether changes are tried.
    """
    for changes in [(), *(smaller(work, len(devices), training) if search else ())]:
        changed = work
        for change in changes:
            changed = change.apply(changed)
        trial = _try(changed, tuple(change.text for change in changes), devices, training)
        yield trial
        if trial.fits:
            return


def smaller(work: Work, devices: int, training: bool = True) -> list[tuple[Change, ...]]:
    """Sets of changes that save memory: each alone, by what it costs, and then several together."""
    shard, store = _shard(work, devices), _store(work)
    remat, accumulate = (_remat(work), _accumulate(work, devices)) if training else ([], [])
    together = [remat[-1:] + shard, remat[-1:] + shard + accumulate[-1:]]
    together += [together[-1] + [change] for change in store]
    alone = [[change] for change in remat + accumulate + shard + store]
    return [tuple(changes) for changes in alone + [several for several in together if len(several) > 1]]


def _remat(work: Work) -> list[Change]:
    order: tuple[Remat, ...] = ("none", "dots", "attention", "full")

    def change(remat: Remat) -> Change:
        return Change(
            f"Base.remat = {remat!r}", lambda work: replace(work, config=replace(work.config, remat=remat))
        )

    return [change(remat) for remat in order[order.index(work.config.remat) + 1 :]]


def _accumulate(work: Work, devices: int) -> list[Change]:
    rows = devices // max(work.mesh.tensor, 1)

    def change(parts: int) -> Change:
        return Change(f"Tuning.accumulation = {parts}", lambda work: replace(work, accumulation=parts))

    more = (work.accumulation * 2**power for power in (1, 2, 3))
    return [change(parts) for parts in more if work.batch_size % (parts * rows) == 0]


def _shard(work: Work, devices: int) -> list[Change]:
    tensor = max(work.mesh.tensor, 1)
    mesh = Mesh(data=1, fsdp=devices // tensor, tensor=tensor)
    if work.mesh.fsdp in (mesh.fsdp, -1):
        return []
    return [Change(f"Mesh.fsdp = {mesh.fsdp}", lambda work: replace(work, mesh=mesh))]


def _store(work: Work) -> list[Change]:
    if work.adapter is None or work.config.quantise != "none":
        return []

    def change(how: Quantise) -> Change:
        return Change(
            f"Base.quantise = {how!r}", lambda work: replace(work, config=replace(work.config, quantise=how))
        )

    return [change("int8"), change("nf4")]


def _try(work: Work, changes: tuple[str, ...], devices: Sequence[Any], training: bool) -> Trial:
    try:
        estimate = (plan_step if training else plan_decoding)(work, devices)
    except TooLarge as error:
        return Trial(changes, work, None, error.needed, False)
    return Trial(changes, work, estimate, estimate.bytes, estimate.bytes <= memory_of(devices))


def memory_of(devices: Sequence[Any]) -> float:
    """Bytes that a device has: as it says, as its kind has, or its share of the host's."""
    chip, stats = chip_of(devices[0]), None
    if devices[0].platform != "tpu" or chip is None:
        stats = devices[0].memory_stats()
    if stats:
        return stats["bytes_limit"]
    if chip:
        return chip.memory
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / len(devices)
