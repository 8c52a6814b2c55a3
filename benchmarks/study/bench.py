"""The model, the tokens and the compiled programs of `run.py`, on one device."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import flax
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.traverse_util import unflatten_dict

from benchmarks.packing import load_base, padded
from fiat_jax.adapters import LoRA, merge
from fiat_jax.data.metrics import METRICS
from fiat_jax.data.metrics.places import OVERALL, Places
from fiat_jax.data.vocabularies import JsonTokens
from fiat_jax.decoding.generate import generate
from fiat_jax.models import T5
from fiat_jax.parallel import RULES, Mesh, replicated
from fiat_jax.training import AdamW, TrainState, create_state, train_step


@dataclass(frozen=True)
class Learned:
    """A run at one learning rate.

    Attributes:
      params: merged weights after each of its validations.
      scores: of validation.
      steps: when it was.
      finite: whether losses and gradients were.
      loss: the mean of the last steps.
      weights: how many were learned.
      tokens: read and learned in all steps.
      seconds: of learning alone.
    """

    params: list[Any]
    scores: list[float]
    steps: list[int]
    finite: bool
    loss: float
    weights: int
    tokens: int
    seconds: float

    @property
    def best(self) -> tuple[float, int]:
        """The best score and where it was; of equal ones the last, as checkpoints are chosen."""
        return max(zip(self.scores, range(len(self.scores)), strict=True))


class Bench:
    """What runs are made with; all programs are compiled side by side from the start.

    Args:
      folder: what prepare.py wrote.
      about: its about.json.
      piece: steps between validations, in the place of its own.
      rows: how many examples of a split to answer; None for all.

    Attributes:
      device: what it is.
      versions: of the packages that compute.
      first_seed: the one that chooses learning rates.
    """

    versions: ClassVar[dict[str, str]] = {one.__name__: one.__version__ for one in (jax, flax, optax, np)}

    def __init__(self, folder: Path, about: dict[str, Any], piece: int | None, rows: int | None) -> None:
        config, flat = load_base(folder)
        self.device, self._mesh = jax.devices()[0].device_kind, Mesh().build(jax.devices()[:1])
        self._whole = replicated(self._mesh)
        with np.load(folder / "data.npz") as data:
            self._data = {name: data[name] for name in data.files}
        self._about, self._piece, self._most = about, piece or about["piece"], rows
        self._pieces = about["steps"] // about["piece"]
        self.first_seed = min(run["seed"] for run in about["runs"] if "learns" in run)
        self._tokens = JsonTokens(folder / "tokenizer.json")
        self._optimizer = AdamW(**about["optimizer"])
        self._tables = self._put({name: padded(self._data, name) for name in ("inputs", "targets")})
        whole = {path: self._put(array) for path, array in flat.items()}
        narrow = {path: whole[path].astype(config.dtype) for path in about["frozen"]}
        learned = {"params": unflatten_dict(whole, sep="/")}
        frozen = {"params": unflatten_dict(self._put({**whole, **narrow}), sep="/")}
        adapter = LoRA(**_tuples(about["adapter"]))
        self._kinds = {
            "adapter": (T5(config, adapter), frozen, frozen),
            "base": (T5(config), learned, {}),
        }
        sizes = [len(split["ids"][:rows]) for split in about["splits"].values()]
        self._places = np.full(max(sizes), -1, np.int32)
        self._programs = self._compiled(config, adapter)

    def _put(self, tree: Any) -> Any:
        return jax.device_put(tree, self._whole)

    def _compiled(self, config: Any, adapter: LoRA) -> dict[str, Future[Any]]:
        """All programs, being compiled."""
        pool, key = ThreadPoolExecutor(8), self._put(jax.random.key(0))
        programs: dict[str, Future[Any]] = {}

        def add(name: str, function: Callable[..., Any], *given: Any) -> Any:
            """Begins to compile; gives the shapes of what comes out."""
            jitted = jax.jit(function, out_shardings=self._whole)
            with jax.set_mesh(self._mesh):
                shapes = jax.eval_shape(jitted, *given)
            programs[name] = pool.submit(self._compile, jitted, given)
            return self._shaped(shapes)

        some = next(name for name in self._data if name.startswith("train/")).rpartition("/")[0]
        batches = self._batches(some, slice(self._piece))
        for kind, (model, start, base) in self._kinds.items():
            state = add(
                f"begin {kind}", partial(_begin, model, self._optimizer, self._about["steps"]), start, key
            )
            add(f"learn {kind}", _learn, state, base, self._tables, batches, key)
            if kind == "adapter":
                params = add("merge", partial(_merged, adapter), base["params"], state.learned["adapter"])
        places = self._put(self._places)
        answering = partial(_answer, T5(config), self._about["answer"])
        add("answer", answering, params, self._tables["inputs"], places)
        pool.shutdown(wait=False)
        return programs

    def _batches(self, name: str, steps: slice) -> Any:
        return self._put(
            {kind: self._data[f"{name}/{kind}"][steps] for kind in ("inputs", "targets", "weights")}
        )

    def _compile(self, jitted: Any, given: Any) -> tuple[Any, float]:
        began = time.monotonic()
        with jax.set_mesh(self._mesh):
            return jitted.lower(*given).compile(), time.monotonic() - began

    def ready(self) -> dict[str, float]:
        """Waits until all programs are compiled; the seconds that each took."""
        return {name: program.result()[1] for name, program in self._programs.items()}

    def _shaped(self, tree: Any) -> Any:
        return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=self._whole), tree)

    def _call(self, name: str, *given: Any) -> Any:
        return self._programs[name].result()[0](*given)

    def untuned(self) -> Any:
        """The weights of a base that has learned nothing, as they answer."""
        return self._params("adapter", self._begun("adapter", 0))

    def _begun(self, kind: str, seed: int) -> TrainState:
        return self._call(f"begin {kind}", self._kinds[kind][1], self._put(jax.random.key(seed)))

    def _params(self, kind: str, state: TrainState) -> Any:
        """The weights that answer, float32 for both kinds, so that one program answers."""
        if kind == "base":
            return state.learned["params"]
        return self._call("merge", self._kinds[kind][2]["params"], state.learned["adapter"])

    def learn(self, run: dict[str, Any], rate: float) -> Learned:
        """Tunes at a learning rate, and validates after every piece."""
        kind, name, steps = run["learns"], run["batches"], self._pieces * self._piece
        _, _, base = self._kinds[kind]
        parts = [
            self._batches(f"train/{name}", slice(at, at + self._piece)) for at in range(0, steps, self._piece)
        ]
        began, key = time.monotonic(), self._put(jax.random.key(run["seed"]))
        pace = self._put(replace(self._optimizer, learning_rate=rate).pace(steps))
        state = self._begun(kind, run["seed"]).replace(pace=pace)
        params, metrics = [], []
        for part in parts:
            state, its = self._call(f"learn {kind}", state, base, self._tables, part, key)
            params.append(self._params(kind, state))
            metrics.append(its)
        jax.block_until_ready(params)
        seconds = time.monotonic() - began
        losses, norms = (
            np.concatenate([np.asarray(its[one]) for its in metrics]) for one in ("loss", "grad_norm")
        )
        answers = [self._begin_answer(one, run["validation"]) for one in params]
        return Learned(
            params=params,
            scores=[self._score(self._ids(one, "validation")) for one in answers],
            steps=[self._piece * (at + 1) for at in range(self._pieces)],
            finite=bool(np.isfinite(losses).all() and np.isfinite(norms).all()),
            loss=float(losses[-10:].mean()),
            weights=sum(leaf.size for leaf in jax.tree.leaves(state.learned)),
            tokens=sum(self._about["tokens"][name][:steps]),
            seconds=seconds,
        )

    def answer(self, params: Any, name: str) -> list[list[int]]:
        """Token ids of the answers to the inputs of a name."""
        return self._ids(self._begin_answer(params, name), name.partition("/")[0])

    def _begin_answer(self, params: Any, name: str) -> Any:
        places, its = self._places.copy(), self._data[name][: self._most]
        places[: len(its)] = its
        return self._call("answer", params, self._tables["inputs"], self._put(places))

    def _ids(self, tokens: Any, split: str) -> list[list[int]]:
        ends = (self._tokens.pad_id, self._tokens.eos_id)
        written = np.asarray(tokens)[: len(self._about["splits"][split]["ids"][: self._most])]
        return [[int(one) for one in row if one not in ends] for row in written]

    def _score(self, ids: list[list[int]]) -> float:
        """The headline score of answers to the validation examples, as the task has it."""
        about, its = self._about, self._about["splits"]["validation"]
        metric, texts = METRICS[about["metric"]], [self._tokens.decode(row) for row in ids]
        places = Places(its["languages"][: len(ids)], {OVERALL: about["mean_of"]})
        prepared = {
            language: metric.prepare(
                [its["answers"][at] for at in rows], [texts[at] for at in rows], language
            )
            for language, rows in places.rows.items()
        }
        return places.scores([*metric.labels], prepared)[about["headline"]]


def _tuples(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings that were JSON: lists as the tuples they were."""
    return {
        name: tuple(tuple(one) if isinstance(one, list) else one for one in value)
        if isinstance(value, list)
        else value
        for name, value in settings.items()
    }


def _begin(model: T5, optimizer: AdamW, steps: int, base: Any, key: Any) -> TrainState:
    """The state before the first step, as `fiat train` starts it."""
    learned = base
    if model.adapter is not None:
        tokens = jnp.ones((1, 1), jnp.int32)
        _, started = model.apply(base, tokens, tokens, rngs={"adapter": key}, mutable="adapter")
        learned = {"adapter": nn.unbox(started["adapter"])}
    return create_state(model.clone(train=True), optimizer, learned, steps)


def _learn(state: TrainState, base: Any, tables: Any, batches: Any, key: Any) -> tuple[TrainState, Any]:
    """Some steps; the rows of each batch are looked up where they lie."""

    def step(state: TrainState, batch: Any) -> tuple[TrainState, Any]:
        written = tables["targets"][batch["targets"]]
        weights = (written != state.model.config.pad_id) * batch["weights"][:, None]
        looked_up = {"inputs": tables["inputs"][batch["inputs"]], "targets": written, "weights": weights}
        return train_step(state, base, looked_up, key)

    with nn.logical_axis_rules(RULES):
        return jax.lax.scan(step, state, batches)


def _merged(adapter: LoRA, base: Any, learned: Any) -> Any:
    return jax.tree.map(lambda x: x.astype(jnp.float32), merge(base, learned, adapter))


def _answer(model: T5, length: int, params: Any, inputs: Any, places: Any) -> Any:
    """Greedy answers to rows of a table; a place of -1 is a row that is done before it starts."""
    read = jnp.where(places[:, None] >= 0, inputs[places], model.config.pad_id)
    return generate(model, {"params": params}, read, length)
