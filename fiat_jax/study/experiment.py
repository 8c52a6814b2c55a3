"""An experiment: task, base and adapter together, and the arrays they become on a mesh."""

from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict

from fiat_jax.adapters import (
    IA3,
    DoRA,
    LoRA,
    PrefixTuning,
    ProjectionAdapter,
    SoftPrompt,
    by_place,
    check_targets,
    merge,
    target_table,
)
from fiat_jax.checkpoints import Base
from fiat_jax.data.tasks import Task
from fiat_jax.data.templates import Variant
from fiat_jax.data.vocabularies import Tokens
from fiat_jax.errors import ConfigError
from fiat_jax.models import T5, T5Config
from fiat_jax.models.quantised import is_quantised
from fiat_jax.parallel import Mesh, shardings
from fiat_jax.parallel.hosts import check_same
from fiat_jax.study.bases import Bases
from fiat_jax.typing import Array, Params, Variables


@dataclass(frozen=True)
class Experiment:
    """What a run is about; training, evaluation and prediction share it.

    Attributes:
      task: the examples and what is read of them.
      base: the pretrained T5.
      variant: 'plain' (the input alone), 'instruction' (tuning instruction first), 'fiat' (and the
        reasoner's rationale) or 'distillation' (as instruction, but rationales are learned too).
      adapter: what is learned on the frozen base; None learns the base itself.
      mesh: how devices are arranged.
    """

    task: Task
    base: Base
    variant: Variant = "fiat"
    adapter: LoRA | DoRA | IA3 | PrefixTuning | SoftPrompt | None = field(default_factory=LoRA)
    mesh: Mesh = field(default_factory=Mesh)

    def __post_init__(self) -> None:
        if self.adapter is None and self.base.quantise != "none":
            raise ConfigError(
                f"Experiment.adapter: expected an adapter on a base in {self.base.quantise}, whose weights "
                "cannot be learned, found None; set an adapter, or Base.quantise = 'none'."
            )


@dataclass(frozen=True)
class Network:
    """A base and what is learned of it or on it, placed on a mesh.

    Attributes:
      model: with its adapter and without dropout.
      mesh: where the arrays lie.
      base: frozen collections: {'params'}, or nothing when the base itself is learned.
      learned: collections at their start: {'adapter'} or {'params'}.
      placement: shardings of `learned`.
      fingerprint: of the base as it was read.
    """

    model: T5
    mesh: jax.sharding.Mesh
    base: Variables
    learned: Variables
    placement: Any
    fingerprint: str

    @property
    def answering(self) -> T5:
        """The model that answers: without its adapter where that is merged."""
        return self.model.clone(adapter=None) if self._mergeable else self.model

    @property
    def _mergeable(self) -> ProjectionAdapter | None:
        """The adapter, where it is merged; on a quantised base that would cost the memory of a float one."""
        adapter = self.model.adapter
        if isinstance(adapter, ProjectionAdapter) and self.model.config.quantise == "none":
            return adapter
        return None

    def merged(self, learned: Variables) -> Variables:
        """Weights for `answering`."""
        adapter = self._mergeable
        if adapter is None:
            return {**self.base, **learned}
        merging = _program(_merged, adapter, _placements(self.base["params"]))
        return {"params": merging(self.base["params"], learned["adapter"])}

    def summary(self) -> str:
        """What is learned, as a table."""
        trainable, frozen = _count(self.learned), _count(self.base)
        if self.model.adapter is None:
            return f"full fine-tuning: {trainable:,} trainable parameters"
        shapes = {
            place: {name: array.shape for name, array in arrays.items()}
            for place, arrays in by_place(self.learned["adapter"], self.model.adapter.name)
        }
        return target_table(shapes, trainable, frozen)


def assemble(experiment: Experiment, seed: int, bases: Bases | None = None) -> Network:
    """Loads the base and starts what is learned, sharded from the beginning.

    Args:
      experiment: what to build.
      seed: of the adapter's random start.
      bases: what this run shares with others, and the devices it lies on; None for nothing, and all.

    Raises:
      ConfigError: a target pattern that matches nothing, or a vocabulary that is not the model's.
      ConfigError, DataError: as `Base.open`.
    """
    bases = bases or Bases()
    mesh, adapter = experiment.mesh.build(bases.devices), experiment.adapter
    pretrained, fingerprint = bases.open(experiment.base)
    config = pretrained.config
    check_vocabulary(experiment.task.vocabulary, experiment.task.tokens(), experiment.base.path, config)
    model = T5(config, adapter)
    key = jax.random.key(seed)
    placement = shardings(abstract_variables(model), mesh)
    if adapter is not None:
        check_targets(adapter.patterns(), adapter.places(_projections(placement["params"])))
    check_same("base", fingerprint)
    if adapter is None:
        learned = {"params": pretrained.params(placement["params"], learned=True)}
        return Network(model, mesh, {}, learned, {"params": placement["params"]}, fingerprint)
    base = {"params": bases.frozen(experiment.base, placement["params"], mesh)}
    placement = {"adapter": placement["adapter"]}
    start = _program(_start, model, placement)
    learned = _labelled(start(key, base), base, model, experiment.task)
    return Network(model, mesh, base, learned, placement, fingerprint)


def _start(model: T5, key: Array, base: Variables) -> Variables:
    """What an adapter learns, at its start on a base."""
    tokens = jnp.ones((1, 1), jnp.int32)
    _, started = model.apply(base, tokens, tokens, rngs={"adapter": key}, mutable="adapter")
    return {"adapter": nn.unbox(started["adapter"])}


def _merged(adapter: ProjectionAdapter, base: Params, weights: Params) -> Params:
    return merge(base, weights, adapter)


def _program(function: Any, of: Any, placement: Any) -> Any:
    """A function of a model or an adapter and of arrays, as a program of the arrays; made once for all runs.

    Args:
      function: takes the two.
      of: its first argument.
      placement: shardings of what it gives.
    """
    leaves, structure = jax.tree.flatten(placement)
    return _jitted(function, of, tuple(leaves), structure)


@lru_cache(maxsize=16)
def _jitted(function: Any, of: Any, leaves: tuple[Any, ...], structure: Any) -> Any:
    return jax.jit(partial(function, of), out_shardings=jax.tree.unflatten(structure, leaves))


def _labelled(learned: Variables, base: Variables, model: T5, task: Task) -> Variables:
    """The start of a soft prompt with the embeddings of its label texts, where it asks for them."""
    adapter = model.adapter
    if not isinstance(adapter, SoftPrompt) or not adapter.labels:
        return learned
    ids = [task.tokens().encode(task.template.write(label)) for label in adapter.labels]
    prompt, embedding = learned["adapter"][adapter.name]["prompt"], base["params"]["shared"]["embedding"]
    started = jax.device_put(adapter.with_labels(prompt, embedding, ids), prompt.sharding)
    return {"adapter": {adapter.name: {"prompt": started}}}


def check_vocabulary(vocabulary: str, tokens: Tokens, base: str, config: T5Config) -> None:
    """Makes sure that a vocabulary can be that of a base.

    Raises:
      ConfigError: it has too many ids, or its special ones are others.
    """
    whose = f"{vocabulary}: expected the vocabulary of {base}, with"
    if tokens.size > config.vocab_size:
        raise ConfigError(
            f"{whose} at most {config.vocab_size} ids, as its embedding has, found {tokens.size}; "
            "use the model's own."
        )
    if (tokens.pad_id, tokens.eos_id) != (config.pad_id, config.eos_id):
        raise ConfigError(
            f"{whose} pad id {config.pad_id} and end id {config.eos_id}, found {tokens.pad_id} and "
            f"{tokens.eos_id}; use the model's own."
        )


@lru_cache(maxsize=16)  # tracing takes a second, and the runs of a sweep have few models
def abstract_variables(model: T5) -> Variables:
    """The shapes of a model's collections, each array boxed with its logical axes."""
    key, tokens = jax.random.key(0), jnp.ones((1, 1), jnp.int32)
    return jax.eval_shape(model.init, {"params": key, "adapter": key}, tokens, tokens)


def _projections(params: Any) -> list[str]:
    """Module paths of the linear layers inside the blocks."""
    paths = flatten_dict(params, sep="/")
    return [p.removesuffix("/kernel") for p in paths if "/layers/" in p and p.endswith("/kernel")]


def _placements(tree: Any) -> Any:
    return jax.tree.map(lambda x: x.sharding, tree)


def _count(tree: Any) -> int:
    return sum(x.size for x in jax.tree.leaves(tree, is_leaf=is_quantised))
