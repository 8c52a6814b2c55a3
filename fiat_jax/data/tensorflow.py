"""TensorFlow, TFDS and seqio: loaded quietly, and kept off the accelerators that JAX computes on.

Only modules that are themselves imported inside functions import this one: it takes seconds.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def _hushed() -> Iterator[None]:
    """Holds back what C++ libraries write to stderr whatever the log level; shows it if they fail."""
    with tempfile.TemporaryFile() as held:
        stderr = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(stderr, held.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
with _hushed():
    import seqio
    import tensorflow as tf
    import tensorflow_datasets as tfds

    with contextlib.suppress(RuntimeError):  # someone else has started TensorFlow: its devices are theirs
        tf.config.set_visible_devices([], "GPU")

__all__ = ["seqio", "tf", "tfds"]
