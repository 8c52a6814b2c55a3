"""The bases of several runs of one process, each loaded once."""

import threading
from collections.abc import Sequence
from typing import Any

import jax

from fiat_jax.checkpoints import Base
from fiat_jax.checkpoints.huggingface import Pretrained
from fiat_jax.typing import Params


class Bases:
    """Bases that runs share; all of them are kept, as they were when the first run read them.

    Nothing that is given out may be donated or changed. A base that is learned itself is therefore loaded
    anew for each run. Several threads may ask at once.

    Args:
      devices: on which the runs lie; None for all there are. Runs on different devices have different
        `Bases`, and can then go side by side, each in a thread of its own.
    """

    def __init__(self, devices: Sequence[Any] | None = None) -> None:
        self.devices = devices
        self._opened: dict[Base, tuple[Pretrained, str]] = {}
        self._frozen: dict[tuple[Base, jax.sharding.Mesh], Params] = {}
        self._lock = threading.RLock()

    def open(self, base: Base) -> tuple[Pretrained, str]:
        """A base, its weights not read yet, and its fingerprint.

        Raises:
          ConfigError, DataError: as `Base.open`.
        """
        with self._lock:
            if base not in self._opened:
                pretrained = base.open()
                self._opened[base] = pretrained, pretrained.fingerprint()
            return self._opened[base]

    def frozen(self, base: Base, placement: Any, mesh: jax.sharding.Mesh) -> Params:
        """The weights of a base that nobody learns.

        Args:
          base: which.
          placement: shardings of its parameters.
          mesh: that of the shardings.
        """
        with self._lock:
            if (base, mesh) not in self._frozen:
                self._frozen[base, mesh] = self.open(base)[0].params(placement)
            return self._frozen[base, mesh]
