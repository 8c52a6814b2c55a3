"""A small T5 that runs ahead of a tuned one."""

from dataclasses import dataclass

from fiat_jax.checkpoints import Base
from fiat_jax.data.tasks import Task
from fiat_jax.decoding.speculative import Speaker, SpeculativeDecoder
from fiat_jax.errors import ConfigError
from fiat_jax.models import T5
from fiat_jax.models.config import Dtype
from fiat_jax.parallel import shardings
from fiat_jax.study.answering import buckets_of
from fiat_jax.study.experiment import Network, abstract_variables
from fiat_jax.typing import Variables


@dataclass(frozen=True)
class Draft:
    """The small T5 and how far it runs ahead; what is answered is the same, greedily, without it.

    Attributes:
      path: its folder or hub id; of the vocabulary of the tuned model, and best tuned on the same task: see
        `fiat merge`.
      ahead: how many tokens it writes before the tuned model reads them.
      dtype: of its products.
    """

    path: str
    ahead: int = 4
    dtype: Dtype = "bfloat16"

    def __post_init__(self) -> None:
        if self.ahead < 1:
            raise ConfigError(f"Draft.ahead: expected 1 or more, found {self.ahead}.")


def drafted(
    network: Network, weights: Variables, task: Task, draft: Draft, batch_size: int
) -> SpeculativeDecoder:
    """What answers the inputs of a task with a draft running ahead.

    Args:
      network: the model and its mesh.
      weights: for `network.answering`, as `Network.merged` gives them.
      task: the most tokens of an answer.
      draft: the small model, which is loaded here.
      batch_size: rows that go on together.

    Raises:
      ConfigError: the two do not have one vocabulary.
      ConfigError, DataError: as `Base.open`.
    """
    pretrained = Base(draft.path, dtype=draft.dtype).open()
    model = T5(pretrained.config)
    params = pretrained.params(shardings(abstract_variables(model), network.mesh)["params"])
    return SpeculativeDecoder(
        Speaker(network.answering, weights),
        Speaker(model, {"params": params}),
        network.mesh,
        task.targets_length,
        draft.ahead,
        batch_size,
        buckets_of(task),
    )
