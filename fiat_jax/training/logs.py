"""Where a run's numbers go: metrics.jsonl, TensorBoard, and one line a step for the reader."""

import json
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from tensorboardX import SummaryWriter
from tqdm import tqdm

from fiat_jax.paths import append, copy_files, is_remote
from fiat_jax.records import write_whole

_EVERY = 30.0  # seconds between the times that files in a bucket are written again


class MetricsLog:
    """Writes the numbers of a run; opened again at a step, it forgets what came after that step.

    Args:
      folder: the run folder; `metrics.jsonl` and `tensorboard/` are made in it.
      step: the step that the run starts or resumes from.
      steps: the last step, for progress and time left.
      quiet: whether nothing is shown.
    """

    def __init__(self, folder: Path, step: int, steps: int, quiet: bool = False) -> None:
        self._path, self._events = folder / "metrics.jsonl", folder / "tensorboard"
        _truncate(self._path, step)
        self._remote = is_remote(folder)
        self._held = tempfile.TemporaryDirectory() if self._remote else None
        events = self._held.name if self._held else str(self._events)
        self._board = SummaryWriter(events, purge_step=step + 1, flush_secs=10)
        self._rows, self._flushed = "", time.monotonic()
        self._steps, self._quiet = steps, quiet
        self._first, self._started = step, time.monotonic()
        terminal = sys.stderr.isatty() and not quiet
        self._bar = tqdm(total=steps, initial=step, unit="step", dynamic_ncols=True) if terminal else None

    def write(self, step: int, split: str, metrics: Mapping[str, float]) -> None:
        """Records metrics of a split ('train', 'validation', ...) after a step."""
        self._rows += json.dumps({"step": step, "split": split, **metrics}) + "\n"
        for name, value in metrics.items():
            self._board.add_scalar(f"{split}/{name}", value, step)
        if not self._remote or time.monotonic() - self._flushed > _EVERY:
            self.flush()

    def flush(self) -> None:
        """Sees to it that what was recorded outlives this process; in a bucket that is not so at once."""
        append(self._path, self._rows)
        if self._held:
            self._board.flush()
            copy_files(Path(self._held.name), self._events)
        self._rows, self._flushed = "", time.monotonic()

    def step(self, step: int, metrics: Mapping[str, float]) -> None:
        """Records and shows one training step."""
        self.write(step, "train", metrics)
        line = (
            f"loss {metrics['loss']:.4f}  lr {metrics['learning_rate']:.2e}  "
            f"grad {metrics['grad_norm']:.2f}  {metrics['tokens_per_second']:,.0f} tokens/s"
        )
        if self._bar is not None:
            self._bar.set_postfix_str(line, refresh=False)
            self._bar.update(1)
            return
        seconds = (time.monotonic() - self._started) / (step - self._first) * (self._steps - step)
        self.say(f"step {step}/{self._steps}  {line}  {_clock(seconds)} left")

    def say(self, line: str) -> None:
        """Shows a line, above the progress bar where there is one."""
        if not self._quiet:
            tqdm.write(line, file=sys.stderr)

    def close(self) -> None:
        """Ends the files and the bar."""
        if self._bar is not None:
            self._bar.close()
        self.flush()
        self._board.close()
        if self._held:
            self._held.cleanup()


class Silence(MetricsLog):
    """The log of a process beside the one that writes."""

    def __init__(self) -> None:
        pass

    def write(self, step: int, split: str, metrics: Mapping[str, float]) -> None:
        """Nothing."""

    def step(self, step: int, metrics: Mapping[str, float]) -> None:
        """Nothing."""

    def flush(self) -> None:
        """Nothing."""

    def say(self, line: str) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


def _truncate(path: Path, step: int) -> None:
    """Drops rows after a step, and the half-written last line of a run that was killed."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line + "\n")
        except json.JSONDecodeError:
            continue
    write_whole(path, "".join(kept))


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"
