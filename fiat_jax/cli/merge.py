"""`fiat merge`: an adapter and its base become one model."""

from fiat_jax.checkpoints import Base
from fiat_jax.errors import ConfigError
from fiat_jax.models.config import Dtype
from fiat_jax.paths import at
from fiat_jax.study.merging import merge_folder


def merge(
    base: Base,
    output: str,
    run_dir: str | None = None,
    adapter: str | None = None,
    dtype: Dtype = "float32",
    undo: bool = False,
) -> None:
    """Merges an adapter into its base in float32 and writes a Hugging Face folder, or takes it out again.

    Args:
      base: the model that the adapter was tuned on; to undo, the merged one. Its path and quantise
        are read: on a quantised base, the adapter is merged into the floats that this stands for.
      output: a new folder for the result.
      run_dir: the run whose adapter/ is merged.
      adapter: a PEFT folder to merge instead.
      dtype: of the weights that are written.
      undo: take the adapter out of a merged base.
    """
    if adapter is None and run_dir is None:
        raise ConfigError("merge.adapter: expected a PEFT folder, or --run_dir with a run's; found neither.")
    folder = at(adapter) if adapter is not None else at(run_dir or "") / "adapter"
    merged = merge_folder(base.path, folder, at(output), dtype, undo, base.quantise)
    done = "taken out of" if undo else "merged into"
    print(
        f"{output}: {folder} {done} {base.path}; the largest change of a weight is {merged.change:.3g}, and "
        f"logits differ from those of base and adapter apart by {merged.difference:.2g} of the largest."
    )
