"""Requests answered as they come: some rows decoded together, a new one wherever one is done."""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fiat_jax.adapters import LoRABank
from fiat_jax.decoding.generate import begin, decode
from fiat_jax.decoding.rows import DEAD, Rows
from fiat_jax.decoding.search import GREEDY, Search
from fiat_jax.decoding.spans import NONE, Spans, stack
from fiat_jax.models import T5, laid_out
from fiat_jax.parallel import batch_rows, fetch, own_rows, put_batch
from fiat_jax.typing import Array, Variables

WIDTHS = (64, 128, 256, 384, 512, 768, 1024)
"""Lengths that inputs are padded to; each is compiled."""

SEGMENT = 8
"""Steps between two looks at what is done and what has come."""

PATIENCE = 3
"""Looks after which a row is begun though less than a quarter of the rows is free."""


class Request(NamedTuple):
    """What is to be answered.

    Attributes:
      inputs: int32 [S] token ids with the end, without padding.
      seed: which of the random answers to give, where a search draws.
      spans: what the answer must be a run of, as `spans_of` makes it; None for any answer.
      adapter: the number of an adapter of a bank; -1 for the bare base.
    """

    inputs: np.ndarray
    seed: int = 0
    spans: Spans | None = None
    adapter: int = -1


class Answer(NamedTuple):
    """What was written for a request.

    Attributes:
      tokens: int32 ids of each of the answers, the best first, without end and padding.
      scores: of each: its log-probability with the end, or for beams their score.
    """

    tokens: tuple[np.ndarray, ...]
    scores: tuple[float, ...]


Take = Callable[[int, bool], Sequence[tuple[Any, Request]] | None]
"""Gives up to so many requests, each with a key of the caller's. None says that no more will come, an empty
list that there is none yet. It may wait only if the second argument, whether nothing is being decoded, is
True."""


class _Programs(NamedTuple):
    """What a decoder runs, each compiled once for every shape and mesh that it meets."""

    begin: Any
    decode: Any
    insert: Any
    take_out: Any

    @property
    def compiled(self) -> int:
        """How many there are by now."""
        return sum(program._cache_size() for program in self)


@lru_cache(maxsize=8)
def _programs(model: T5, search: Search, max_length: int) -> _Programs:
    """The programs of all decoders that have these in common; those longest not asked for are let go."""
    return _Programs(
        begin=jax.jit(partial(begin, model, search, max_length)),
        decode=jax.jit(partial(decode, model, search, SEGMENT), donate_argnums=(1,)),
        insert=jax.jit(partial(_inserted), donate_argnums=(0,)),
        take_out=jax.jit(partial(_taken_out), static_argnums=(2,)),
    )


class Decoder:
    """A model that answers requests, with compiled programs that it shares with others like it.

    Rows that are done make room for others every few steps. How many rows there are, and how wide their
    inputs, is as little as those that are left allow, of a few sizes each: every pair is compiled once.
    """

    def __init__(
        self,
        model: T5,
        variables: Variables,
        mesh: jax.sharding.Mesh,
        max_length: int,
        search: Search = GREEDY,
        batch_size: int = 32,
        constrained: bool = False,
        buckets: tuple[int, ...] = WIDTHS,
    ) -> None:
        """Lays the weights out for decoding.

        Args:
          model: with dropout off.
          variables: 'params', and 'adapter' where the model has one.
          mesh: where the variables lie.
          max_length: T, the most tokens of an answer.
          search: how tokens are chosen.
          batch_size: the most rows that are decoded together; changes no answer.
          constrained: whether requests may have spans, which needs other programs.
          buckets: widths that inputs are padded to, ascending; what is longer is padded to its own length.

        Raises:
          ConfigError: the rows do not divide among the devices that share a batch.
        """
        self.mesh, self.constrained, self.buckets = mesh, constrained, buckets
        own_rows(batch_size, mesh)  # refuses rows that do not divide
        self.model, self.variables = laid_out(model, variables)
        self.sizes = _sizes(batch_size, batch_rows(mesh))
        self._run = _programs(self.model, search, max_length)
        self._found = self._run.compiled

    @property
    def programs(self) -> int:
        """How many programs have been compiled since there is this decoder; it found the others."""
        return self._run.compiled - self._found

    def run(self, take: Take) -> Iterator[tuple[Any, Answer]]:
        """Answers requests until there are no more, each as soon as it is done, with the caller's key."""
        pool, more, waited = _Pool(self), True, 0
        while more or pool.live:
            free, waited = self.sizes[-1] - len(pool.live), waited + 1
            given: Sequence[tuple[Any, Request]] | None = []
            # Encoding one row costs more than its share of some: wait a little for others to be done.
            if more and free and (4 * free >= self.sizes[-1] or waited >= PATIENCE):
                given, waited = take(free, not pool.live), 0
            more = more and given is not None
            with jax.set_mesh(self.mesh):
                pool.add(list(given or ()))
                yield from pool.go_on(more)

    def width(self, request: Request) -> int:
        """To how many tokens a request is padded."""
        longest = max(len(request.inputs), 0 if request.spans is None else len(request.spans.tokens))
        return bucket(longest, self.buckets)

    def begun(self, requests: Sequence[Request], rows: int, width: int) -> Rows:
        """Rows for requests, and empty ones to the number of rows."""
        own = own_rows(rows, self.mesh)
        requests = [*requests, *[Request(np.zeros(0, np.int32))] * (rows - len(requests))]
        inputs = padded(requests, rows, width, self.model.config.pad_id)
        batch = {"inputs": inputs[own], "seed": np.array([one.seed for one in requests], np.int32)[own]}
        if isinstance(self.model.adapter, LoRABank):
            numbers = np.array([one.adapter for one in requests], np.int32)
            self.model.adapter.check(numbers)
            batch["adapter"] = numbers[own]
        held = None
        if self.constrained:
            held = stack([one.spans for one in requests], width)
            held = Spans(*put_batch([part[own] for part in held], self.mesh))
        placed = put_batch(batch, self.mesh)
        return self._run.begin(self.variables, placed["inputs"], placed["seed"], placed.get("adapter"), held)

    def answer(self, tokens: np.ndarray, scores: np.ndarray) -> Answer:
        """An answer of the tokens [n, T] and scores [n] of a row."""
        found = [at for at, score in enumerate(scores) if score > DEAD] or [0]
        eos_id = self.model.config.eos_id
        return Answer(
            tuple(until_end(tokens[at], eos_id) for at in found), tuple(float(scores[at]) for at in found)
        )


class _Pool:
    """The rows that are being decoded, and whose they are."""

    def __init__(self, decoder: Decoder) -> None:
        self.decoder, self.width = decoder, 0
        self.rows: Rows | None = None
        self.step = np.int32(0)
        self.owners: list[tuple[Any, Request] | None] = []

    @property
    def live(self) -> list[int]:
        """The rows that are taken."""
        return [at for at, owner in enumerate(self.owners) if owner is not None]

    def add(self, given: list[tuple[Any, Request]]) -> None:
        """Takes in requests, for which there is room, and fits the pool to what it then holds."""
        decoder, held = self.decoder, [owner for owner in self.owners if owner is not None]
        size = next(size for size in decoder.sizes if size >= len(held) + len(given))
        width = max((decoder.width(one) for _, one in [*held, *given]), default=0)
        if not held:
            self.owners, self.width = [*given, *[None] * (size - len(given))], width
            self.rows = decoder.begun([one for _, one in given], size, width) if given else None
            return
        if size > len(self.owners) or width > self.width or not given:
            self._fit(size, width)
        free = [at for at, owner in enumerate(self.owners) if owner is None]
        while given:
            count = _chunk(decoder.sizes, len(given))
            chunk, given = given[:count], given[count:]
            places, free = free[: len(chunk)], free[len(chunk) :]
            own_width = max(decoder.width(one) for _, one in chunk)
            new = decoder.begun([one for _, one in chunk], count, own_width)
            if own_width < self.width:
                new = decoder._run.take_out(new, np.arange(count, dtype=np.int32), self.width - own_width)
            index = np.array([*places, *[len(self.owners)] * (count - len(places))], np.int32)
            self.rows = decoder._run.insert(self.rows, new, index)
            for at, owner in zip(places, chunk, strict=True):
                self.owners[at] = owner

    def go_on(self, more: bool) -> Iterator[tuple[Any, Answer]]:
        """Decodes some steps, and gives what is done by then.

        Args:
          more: whether others may wait for room.
        """
        live, decoder = self.live, self.decoder
        if not live:
            return
        smaller = max((size for size in decoder.sizes if size < len(live)), default=0)
        done = max(1, len(live) // 4) if more else len(live) - smaller
        enough = np.int32(len(self.owners) - len(live) + done)
        self.rows, step, written = decoder._run.decode(decoder.variables, self.rows, self.step, enough)
        step, written = fetch((step, written))
        self.step = np.int32(step)
        for at in live:
            owner = self.owners[at]
            if owner is not None and written.done[at]:
                self.owners[at] = None
                yield owner[0], decoder.answer(written.tokens[at], written.scores[at])

    def _fit(self, size: int, width: int) -> None:
        """Moves the live rows to a pool of another size and width."""
        live = self.live
        if (size, width) != (len(self.owners), self.width):
            index = np.array([*live, *[-1] * (size - len(live))], np.int32)
            self.rows = self.decoder._run.take_out(self.rows, index, width - self.width)
            self.owners = [*(self.owners[at] for at in live), *[None] * (size - len(live))]
            self.width = width


def bucket(length: int, buckets: tuple[int, ...]) -> int:
    """The width that a length is padded to."""
    return next((size for size in buckets if size >= length), length)


def padded(requests: Sequence[Request], rows: int, width: int, pad_id: int) -> np.ndarray:
    """The inputs of requests, int32 [rows, width]; rows that are left over are padding alone."""
    inputs = np.full((rows, width), pad_id, np.int32)
    for row, one in zip(inputs, requests, strict=False):
        row[: len(one.inputs)] = one.inputs
    return inputs


def until_end(ids: np.ndarray, eos_id: int) -> np.ndarray:
    """Token ids [T] without the end and what is after it."""
    ends = np.flatnonzero(ids == eos_id)
    return ids[: ends[0]] if len(ends) else ids


def _sizes(most: int, least: int) -> tuple[int, ...]:
    """Numbers of rows, ascending: the most, a quarter of it, and so on."""
    sizes = [most]
    while sizes[-1] > least:
        sizes.append(max(least, sizes[-1] // 4 // least * least))
    return tuple(reversed(sizes))


def _chunk(sizes: tuple[int, ...], count: int) -> int:
    """How many rows to begin at once, of so many: at most a quarter of them are empty, if sizes allow it."""
    above = next(size for size in sizes if size >= count)
    below = [size for size in sizes if size <= count]
    return above if 3 * above <= 4 * count or not below else below[-1]


def _inserted(rows: Rows, new: Rows, index: Array) -> Rows:
    """Rows with new ones in their places; an index out of range is dropped."""
    return jax.tree.map(lambda old, one: old.at[index].set(one, mode="drop"), rows, new)


def _taken_out(rows: Rows, index: Array, wider: int) -> Rows:
    """The rows of an index, -1 for an empty one, with so many more places for inputs, or fewer."""
    rows = jax.tree.map(lambda x: jnp.take(x, jnp.maximum(index, 0), axis=0), rows)

    def fit(x: Any, axis: int, value: Any = 0) -> Array:
        if wider <= 0:
            return jax.lax.slice_in_dim(x, 0, x.shape[axis] + wider, axis=axis)
        padding = [(0, wider if at == axis else 0) for at in range(x.ndim)]
        return jnp.pad(x, padding, constant_values=value)

    cache = tuple(
        layer._replace(
            cross=layer.cross._replace(key=fit(layer.cross.key, 3), value=fit(layer.cross.value, 2))
        )
        for layer in rows.cache
    )
    if rows.spans is not None and rows.at is not None:
        held = Spans(fit(rows.spans.tokens, 1, NONE), fit(rows.spans.starts, 1), fit(rows.spans.ends, 1))
        rows = rows._replace(spans=held, at=fit(rows.at, 2))
    return rows._replace(
        cache=cache, source_mask=fit(rows.source_mask, 3, False), done=rows.done | (index < 0)
    )
