"""What an answer may be: a run of a row's passage, or one of some texts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fiat_jax.data.labels import encode_labels
from fiat_jax.data.tasks import Task
from fiat_jax.decoding.spans import Spans, spans_of
from fiat_jax.errors import ConfigError, DataError
from fiat_jax.records import template_fields


@dataclass(frozen=True)
class Bounds:
    """Answers are runs of the tokens of a passage, or whole labels; nothing else can be written.

    Attributes:
      passage: the field of the template's input that answers are taken from; '' for none.
      labels: what may be answered whatever the passage is, such as 'No Answer', as the rows have it.
    """

    passage: str = "context"
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.passage and not self.labels:
            raise ConfigError("Bounds: expected a passage, labels or both, found neither; name one.")


class Bounded:
    """Bounds for the rows of a task.

    Args:
      bounds: the settings.
      task: whose rows, vocabulary and lengths.

    Raises:
      ConfigError: the template's input has no such field, or the vocabulary cannot write a label.
      DataError: a label is too long.
    """

    def __init__(self, bounds: Bounds, task: Task) -> None:
        fields = template_fields(task.template.input)
        if bounds.passage and bounds.passage not in fields:
            raise ConfigError(
                f"Bounds.passage: expected a field of the template's input ({', '.join(fields)}), "
                f"found {bounds.passage!r}."
            )
        self._passage, self._task, self._tokens = bounds.passage, task, task.tokens()
        self._labels = [ids[:-1] for ids in encode_labels(task, bounds.labels, "Bounds.labels")]
        self._room = task.inputs_length - sum(len(ids) + 1 for ids in self._labels) - 1

    def spans(self, row: Mapping[str, Any]) -> Spans:
        """What the answer to a checked row may be: of a long passage, what is within the model's sight.

        Raises:
          DataError: there is nothing to choose from.
        """
        passage = self._task.input_fields(row)[self._passage] if self._passage else ""
        ids = self._tokens.encode(passage)[: self._room]
        if not ids and not self._labels:
            raise DataError(
                f"example {row['id']}: expected {self._passage} to have words that an answer could be taken "
                "from, found none; give Bounds.labels for such rows."
            )
        return spans_of([ids], self._labels)
