"""A run before it runs: its step or its decoding compiled for chips that may be elsewhere."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict, unflatten_dict
from jax.sharding import NamedSharding, PartitionSpec

from fiat_jax.adapters import Adapter, ProjectionAdapter
from fiat_jax.checkpoints.names import rows
from fiat_jax.decoding import generate
from fiat_jax.models import T5, T5Config
from fiat_jax.models.layout import unrolled
from fiat_jax.parallel import Mesh, batch_sharding, own_rows, replicated, shardings
from fiat_jax.parallel.plan import Estimate, estimate
from fiat_jax.study.experiment import Experiment, abstract_variables
from fiat_jax.study.tuning import Tuning
from fiat_jax.training import Adafactor, AdamW, TrainState, create_state, jit_step, state_shardings
from fiat_jax.typing import Variables


@dataclass(frozen=True)
class Work:
    """What is to be run.

    Attributes:
      config: of the model.
      adapter: what is learned on it; None learns the base itself.
      mesh: how devices are arranged.
      batch_size: rows a step, or answered at a time.
      inputs_length, targets_length: tokens of an example; of an answer, the most that are written.
      accumulation: parts of a batch.
      optimizer: how it learns; its state counts, its numbers do not.
    """

    config: T5Config
    adapter: Adapter | None
    mesh: Mesh
    batch_size: int
    inputs_length: int
    targets_length: int
    accumulation: int = 1
    optimizer: AdamW | Adafactor = field(default_factory=AdamW)


def work_of(experiment: Experiment, tuning: Tuning, training: bool = True) -> Work:
    """The work of a run: its training, or its answering.

    Raises:
      ConfigError: no config of the model.
    """
    task = experiment.task
    rows = tuning.batch_size * (2 if experiment.variant == "distillation" else 1)
    return Work(
        experiment.base.config(),
        experiment.adapter,
        experiment.mesh,
        rows if training else tuning.eval_batch_size,
        task.inputs_length,
        task.targets_length,
        tuning.accumulation,
        tuning.optimizer,
    )


def plan_step(work: Work, devices: Sequence[Any] | None = None) -> Estimate:
    """A training step.

    Args:
      work: what is to be run.
      devices: of a slice, as `chips.topology` gives them; by default those at hand.

    Raises:
      TooLarge: it does not fit the devices.
      ConfigError: the mesh does not fit them.
    """
    lowered, (state, base, batch, _), mesh = lower_step(work, devices)
    given: dict[str, Any] = {"base": base} if base else {}
    name = "base" if work.adapter is None else "adapter"
    return estimate(
        lowered, given | {name: state.learned, "optimizer": state.opt_state, "batch": batch}, mesh
    )


def lower_step(
    work: Work, devices: Sequence[Any] | None = None
) -> tuple[jax.stages.Lowered, tuple[TrainState, Variables, Any, Any], jax.sharding.Mesh]:
    """The program of a training step, the shapes of its arguments, and its mesh."""
    mesh = work.mesh.build(devices)
    model = T5(work.config, work.adapter)
    base, learned, placement = _variables(model, mesh)
    state = jax.eval_shape(
        lambda learned: create_state(
            model.clone(train=True), work.optimizer, learned, 100, work.accumulation
        ),
        learned,
    )
    places = state_shardings(state, placement, mesh)
    state = jax.tree.map(_placed, state, places)
    batch = {
        "inputs": _tokens(work, work.inputs_length, mesh),
        "targets": _tokens(work, work.targets_length, mesh),
        "weights": _tokens(work, work.targets_length, mesh, jnp.float32),
    }
    key = _placed(jax.eval_shape(lambda: jax.random.key(0)), replicated(mesh))
    with jax.set_mesh(mesh):
        return jit_step(places, mesh).lower(state, base, batch, key), (state, base, batch, key), mesh


def plan_decoding(work: Work, devices: Sequence[Any] | None = None) -> Estimate:
    """Greedy decoding of a batch to the last token. Arguments and errors as for `plan_step`."""
    mesh = work.mesh.build(devices)
    merged = work.config.quantise == "none" and isinstance(work.adapter, ProjectionAdapter)
    model = T5(work.config, None if merged else work.adapter)
    base, learned, _ = _variables(model, mesh)
    own_rows(work.batch_size, mesh)  # refuses rows that do not divide
    inputs = _tokens(work, work.inputs_length, mesh)
    variables = unrolled({**base, **learned}, work.config.num_decoder_layers, _layer)
    with jax.set_mesh(mesh):
        lowered = generate.lower(model.clone(unrolled=True), variables, inputs, work.targets_length)
    given: dict[str, Any] = {
        "base": variables["params"],
        "adapter": variables.get("adapter", {}),
        "batch": inputs,
    }
    return estimate(lowered, given, mesh, open_trips=work.targets_length - 1)


def useful_flops(work: Work) -> float:
    """FLOPs that a training step cannot do without, of all chips: two for each weight and token forward, two
    for what flows back, and two more where weights are learned (FLOPs of attention itself are left out)."""
    weights = {"inputs": 0, "targets": 0}
    for row in rows(work.config):
        if not row.transposed and not (row.path == "shared/embedding" and work.config.tied):
            continue
        of_inputs = row.path.startswith("encoder/") or "cross_attention/key" in row.path
        of_inputs = of_inputs or "cross_attention/value" in row.path
        weights["inputs" if of_inputs else "targets"] += math.prod(row.shape(work.config))
    tokens = weights["inputs"] * work.inputs_length + weights["targets"] * work.targets_length
    return (4 if work.adapter is not None else 6) * work.batch_size * tokens


def _variables(model: T5, mesh: jax.sharding.Mesh) -> tuple[Variables, Variables, Any]:
    """Frozen and learned collections, and the shardings of the latter; none of them is allocated."""
    boxed = abstract_variables(model)
    places = shardings(boxed, mesh)
    full = model.adapter is None
    flat = flatten_dict(nn.unbox(boxed)["params"], sep="/")
    for row in rows(model.config):
        if isinstance(flat[row.path], jax.ShapeDtypeStruct):  # else it is quantised
            flat[row.path] = flat[row.path].update(dtype=row.dtype(model.config, full))
    variables = {**nn.unbox(boxed), "params": unflatten_dict(flat, sep="/")}
    variables = {name: jax.tree.map(_placed, tree, places[name]) for name, tree in variables.items()}
    learned = "params" if full else "adapter"
    frozen = {name: tree for name, tree in variables.items() if name != learned}
    return frozen, {learned: variables[learned]}, {learned: places[learned]}


def _layer(leaf: jax.ShapeDtypeStruct, _: int) -> jax.ShapeDtypeStruct:
    """What one layer has of a stack."""
    sharding = leaf.sharding
    assert isinstance(sharding, NamedSharding)
    one = NamedSharding(sharding.mesh, PartitionSpec(*sharding.spec[1:]))
    return jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype, sharding=one)


def _placed(leaf: Any, sharding: NamedSharding) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)


def _tokens(work: Work, length: int, mesh: jax.sharding.Mesh, dtype: Any = jnp.int32) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((work.batch_size, length), dtype, sharding=batch_sharding(mesh))
