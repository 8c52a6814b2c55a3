"""The base of a run: where its weights come from, and how it is computed."""

from dataclasses import dataclass
from typing import Any

from fiat_jax.checkpoints import huggingface
from fiat_jax.checkpoints.huggingface import Pretrained
from fiat_jax.models.config import Dtype, Quantise, Remat, T5Config


@dataclass(frozen=True)
class Base:
    """A pretrained T5.

    Attributes:
      path: a Hugging Face folder or hub id.
      dtype: dtype of the matrix products, 'bfloat16' or 'float32'; on a CPU float32 is usually the faster.
      remat: what the backward pass computes again to save memory, from little to much: 'none', 'dots',
        'attention' or 'full'.
      attention_parts: in how many parts an attention is computed, one after another; more need less memory.
      quantise: how the kernels inside the blocks are kept under an adapter: 'none' in the dtype, or in fewer
        bits as 'int8' or 'nf4'.
      answer_in_int8: whether answers are decoded in products of int8, after the adapter is merged: faster on
        a CPU, and a little less exact.
      dropout: rate while training; None takes the one of config.json.
    """

    path: str
    dtype: Dtype = "bfloat16"
    remat: Remat = "none"
    attention_parts: int = 1
    quantise: Quantise = "none"
    answer_in_int8: bool = False
    dropout: float | None = None

    def open(self) -> Pretrained:
        """The config and the weights, these not read yet.

        Raises:
          ConfigError, DataError: as `huggingface.open_model`.
        """
        return huggingface.open_model(self.path, **self._settings())

    def config(self) -> T5Config:
        """The config alone; of the model, config.json is enough.

        Raises:
          ConfigError, DataError: as `open`.
        """
        return huggingface.plan_config(self.path, **self._settings())

    def _settings(self) -> dict[str, Any]:
        names = ("dtype", "remat", "attention_parts", "quantise", "answer_in_int8", "dropout")
        settings = {name: getattr(self, name) for name in names}
        return {name: value for name, value in settings.items() if value is not None}
