"""One run: tuned from a base to an adapter, resumable at any step, in a folder of its own."""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax

from fiat_jax.adapters import Learnable, SoftPrompt
from fiat_jax.checkpoints import CheckpointStore, abstract_like, read_weights, write_adapter
from fiat_jax.data.batches import BUCKETS, TrainBatches
from fiat_jax.data.distillation import DistillationBatches
from fiat_jax.data.given_labels import label_given
from fiat_jax.data.metrics import load_metrics
from fiat_jax.data.mixing import MixedBatches, RationaleMix, Shown, check_mixed
from fiat_jax.data.pipeline import Examples, load_examples
from fiat_jax.errors import ConfigError, DataError
from fiat_jax.parallel import batch_rows, fetch, own_rows, put_batch
from fiat_jax.parallel.hosts import check_same, is_first
from fiat_jax.paths import at
from fiat_jax.reasoning.calls import GIVEN_LABEL
from fiat_jax.study.answering import Graded, answer
from fiat_jax.study.bases import Bases
from fiat_jax.study.experiment import Experiment, Network, assemble
from fiat_jax.training import (
    Adafactor,
    AdamW,
    MetricsLog,
    Plan,
    Silence,
    TrainState,
    create_state,
    fit,
    jit_step,
    show,
    state_shardings,
)
from fiat_jax.typing import Batch, Params, Variables

HEADLINE = "headline"
"""Where a checkpoint notes the validation score by which the best one is chosen."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tuning:
    """How a run learns.

    Attributes:
      optimizer: with its learning rate.
      batch_size: examples a step.
      epochs: passes over the training examples. Where `Task.mixing` gives languages rates of their own, a
        pass is as many examples as there are: small languages come more often in it, and large ones less.
      steps: updates in all, instead of epochs.
      accumulation: parts that a batch is computed in, one after another, to save memory.
      eval_every: steps between validations; 0 for the end only.
      save_every: steps between checkpoints; 0 for those at validations only.
      eval_batch_size: examples at a time in validation.
      seed: of the adapter's start, the order of examples and dropout.
      start: a PEFT folder with an adapter of the same settings, whose weights are the start; None for a
        start of its own.
      rationale_mix: what share of the examples the fiat variant shows without rationale, or with a wrong one;
        None for neither.
      packing: whether short examples share rows, kept apart in every attention; a step learns from as many
        examples as without it.
      label_share: what the loss of the answers weighs in distillation; that of the rationales weighs the
        rest.
    """

    optimizer: AdamW | Adafactor
    batch_size: int = 16
    epochs: float = 3.0
    steps: int | None = None
    accumulation: int = 1
    eval_every: int = 0
    save_every: int = 50
    eval_batch_size: int = 32
    seed: int = 0
    start: str | None = None
    rationale_mix: RationaleMix | None = None
    label_share: float = 0.5
    packing: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.label_share <= 1:
            raise ConfigError(f"Tuning.label_share: expected a share from 0 to 1, found {self.label_share}.")
        if self.accumulation < 1 or self.batch_size % self.accumulation:
            raise ConfigError(
                f"train.accumulation: expected a divisor of the batch size {self.batch_size}, "
                f"found {self.accumulation}."
            )

    def total(self, batches: TrainBatches) -> int:
        """Updates in all."""
        return self.steps or max(round(self.epochs * batches.steps_per_epoch), 1)


def tune(
    run_dir: Path,
    experiment: Experiment,
    tuning: Tuning,
    bases: Bases | None = None,
    quiet: bool = False,
) -> dict[str, float] | None:
    """Tunes to the end, from the last checkpoint where there is one.

    With rationales that were written from the label nothing is validated: the last checkpoint counts.

    Args:
      run_dir: the run folder; gets metrics.jsonl, tensorboard/, checkpoints/ and adapter/.
      experiment: what is tuned on what.
      tuning: how.
      bases: as in `assemble`.
      quiet: whether its steps are not shown.

    Returns:
      Validation metrics of the best checkpoint, or None without validation.

    Raises:
      DataError: the folder's checkpoint was made from other examples, or on another base.
      ConfigError, DataError: `Tuning.start` holds no such adapter; see `read_weights`.
      NonFiniteError, InterruptedRun: as `fiat_jax.training.fit`.
    """
    task = experiment.task
    load_metrics(task.metrics)
    bases = bases or Bases()
    batches = train_batches(experiment, tuning, bases.devices)
    check_same("training examples", fingerprint(*batches.read))
    validation, given = None, label_given(task, experiment.variant)
    if given:
        _log.warning(
            "rationales written from the label (%s): nothing is validated, and eval will refuse", given
        )
    elif "validation" in task.splits():
        validation = load_examples(task, experiment.variant, "validation")
    note = ({HEADLINE: task.headline} if validation else {}) | ({GIVEN_LABEL: given} if given else {})
    plan = Plan(tuning.total(batches), tuning.eval_every, tuning.save_every)
    network = assemble(experiment, tuning.seed, bases)
    _log.info("%s", network.summary())
    store = CheckpointStore(run_dir / "checkpoints", best=task.headline if validation else None)

    def evaluate(learned: Variables) -> dict[str, float]:
        assert validation is not None
        weights = network.merged(learned)
        texts, means = answer(network, weights, validation, task, tuning.eval_batch_size)
        return means | Graded(task, validation, texts).scores()

    try:
        if tuning.start is not None and store.latest() is None:
            network = _started(network, experiment.adapter, at(tuning.start))
        with jax.set_mesh(network.mesh):
            _fit(
                run_dir, network, tuning, plan, batches, store, evaluate if validation else None, note, quiet
            )
        best = store.best()
        assert best is not None
        if experiment.adapter is not None:
            save_adapter(run_dir / "adapter", experiment, network, restore_learned(store, best, network))
        metrics = store.metrics(best)
        _log.info(
            "best checkpoint: step %d  %s",
            best,
            show(metrics) if metrics else "(the last; not validated)",
        )
        return metrics
    finally:
        store.close()


def train_batches(
    experiment: Experiment, tuning: Tuning, devices: Sequence[Any] | None = None
) -> TrainBatches:
    """The batches that a run learns from.

    Args:
      experiment: what is tuned on what.
      tuning: how.
      devices: those that share a batch; None for all there are.

    Raises:
      ConfigError: rationales are mixed where the variant reads none, or examples packed that cannot be.
      ConfigError, DataError: as `load_examples`.
    """
    task, variant, mix = experiment.task, experiment.variant, tuning.rationale_mix
    size, seed, buckets, mixing = tuning.batch_size, tuning.seed, task.buckets or BUCKETS, task.mixing
    check_mixed(mix, variant, "Tuning.rationale_mix")
    packed_in = _packed_in(experiment, tuning, devices) if tuning.packing else None
    examples = load_examples(task, variant, "train")
    if variant == "distillation":
        explanations = load_examples(task, "explanation", "train")
        return DistillationBatches(examples, explanations, size, seed, tuning.label_share, buckets, mixing)
    if mix is not None:
        bare = load_examples(task, "instruction", "train")
        shown, longest = Shown(task, "train"), task.inputs_length
        return MixedBatches(examples, bare, shown, mix, size, seed, longest, buckets, mixing, packed_in)
    return TrainBatches(examples, size, seed, buckets, mixing, packed_in)


def _packed_in(experiment: Experiment, tuning: Tuning, devices: Sequence[Any] | None) -> int:
    """What the rows of packed batches are a multiple of, so that parts and devices have as many each.

    Raises:
      ConfigError: examples cannot share rows.
    """
    kind = f"the variant {experiment.variant!r}"
    if isinstance(experiment.adapter, SoftPrompt):
        kind = "a SoftPrompt, which stands before a row and would be shared,"
    if experiment.variant == "distillation" or isinstance(experiment.adapter, SoftPrompt):
        raise ConfigError(f"Tuning.packing: expected False with {kind} found True; leave one of them out.")
    return tuning.accumulation * batch_rows(experiment.mesh.build(devices))


def _fit(
    run_dir: Path,
    network: Network,
    tuning: Tuning,
    plan: Plan,
    batches: TrainBatches,
    store: CheckpointStore,
    evaluate: Any,
    note: dict[str, str],
    quiet: bool,
) -> None:
    model = network.model.clone(train=True)
    state = create_state(model, tuning.optimizer, network.learned, plan.steps, tuning.accumulation)
    places = state_shardings(state, network.placement, network.mesh)
    state = jax.device_put(state, places)
    note = {"examples": fingerprint(*batches.read), "base": network.fingerprint, **note}
    start = store.latest()
    if start is not None:
        _check_examples(store.note(start), note, run_dir)
        check_base(store, start, network.fingerprint if network.base else None)
        state = _restored(store, start, state, places)
        _log.info("resuming from step %d", start)
        if given := store.note(start).get(GIVEN_LABEL):
            note.setdefault(GIVEN_LABEL, given)

    def save(state: TrainState, metrics: dict[str, float] | None) -> None:
        log.flush()  # before there is a checkpoint of these steps
        store.save(int(state.step), _parts(state), metrics, note)

    def batch_at(step: int) -> Batch:
        own = own_rows(batches.rows_of(step), network.mesh)
        return put_batch(batches.batch(step, own), network.mesh)

    log = MetricsLog(run_dir, int(state.step), plan.steps, quiet) if is_first() else Silence()
    try:
        fit(
            state,
            network.base,
            jax.random.key(tuning.seed),
            plan=plan,
            step_fn=jit_step(places, network.mesh),
            batch_at=batch_at,
            tokens_at=batches.tokens,
            learning_rate=tuning.optimizer.pace(plan.steps).rate,
            log=log,
            evaluate=evaluate,
            save=save,
        )
    finally:
        log.close()


def restore_learned(store: CheckpointStore, step: int, network: Network) -> Variables:
    """The learned collections of a checkpoint, placed as a network wants them; nothing else is read.

    Raises:
      DataError: the checkpoint holds an adapter for another base, or something else.
    """
    check_base(store, step, network.fingerprint if network.base else None)
    abstract = abstract_like(network.learned, network.placement)
    return store.restore(step, {"learned": abstract})["learned"]


def check_base(store: CheckpointStore, step: int, fingerprint: str | None) -> None:
    """Makes sure that a checkpoint's adapter was learned on a base, if the checkpoint says on which.

    Args:
      store: the checkpoints of a run.
      step: one of theirs.
      fingerprint: of the base; None where all weights are learned, and the base is of no account.

    Raises:
      DataError: it was learned on another.
    """
    learned_on = store.note(step).get("base")
    if fingerprint is not None and learned_on not in (None, fingerprint):
        raise DataError(
            f"{store.folder / str(step)}: expected an adapter for the base with the fingerprint "
            f"{fingerprint}, found one that was made for the base with {learned_on}; give that as Base.path."
        )


def place_adapter(network: Network, weights: Params) -> Variables:
    """What an adapter has learned elsewhere, placed as a network wants it."""
    return {"adapter": jax.device_put(weights, network.placement["adapter"])}


def save_adapter(folder: Path, experiment: Experiment, network: Network, learned: Variables) -> None:
    """Writes what was learned on a network as a PEFT folder; the experiment has an adapter."""
    adapter, config = experiment.adapter, network.model.config
    assert adapter is not None
    weights = fetch(learned["adapter"])
    if is_first():
        write_adapter(folder, adapter, weights, config, experiment.base.path, network.fingerprint)


def fingerprint(*read: Examples) -> str:
    """A hash of the token ids and their order, by which a resumed run knows its data again."""
    digest = hashlib.sha256()
    for examples in read:
        for inputs, targets in zip(examples.inputs, examples.targets, strict=True):
            digest.update(inputs.tobytes() + b"|" + targets.tobytes() + b"\n")
    return digest.hexdigest()


def _parts(state: TrainState) -> dict[str, Any]:
    return {"learned": state.learned, "progress": {"step": state.step, "opt_state": state.opt_state}}


def _restored(store: CheckpointStore, step: int, state: TrainState, places: TrainState) -> TrainState:
    parts = store.restore(step, abstract_like(_parts(state), _parts(places)))
    return state.replace(learned=parts["learned"], **parts["progress"])


def _started(network: Network, adapter: Learnable | None, folder: Path) -> Network:
    if adapter is None:
        raise ConfigError(
            f"Tuning.start: expected an adapter to start from {folder}, found full fine-tuning; "
            "merge the adapter with `fiat merge`, and give the merged model as Base.path."
        )
    weights = read_weights(folder, adapter, network.model.config, network.fingerprint)
    return replace(network, learned=place_adapter(network, weights))


def _check_examples(found: dict[str, Any], expected: dict[str, str], run_dir: Path) -> None:
    if found.get("examples") != expected["examples"]:
        raise DataError(
            f"{run_dir}: expected the training examples that this run began with, but data, rationales or "
            "templates have changed since; restore them, or start in a new run folder."
        )
