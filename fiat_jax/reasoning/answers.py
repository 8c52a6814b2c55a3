"""Answers in a folder that many machines share: a small file for each, named by its key.

Through Beam's file systems, so that the folder may be local or, say, on gs://. A file appears whole or not
at all, and whoever asks the same request twice writes the same name: nothing is to be locked.
"""

import contextlib
import json
import logging
import os
from dataclasses import asdict
from uuid import uuid4

from apache_beam.io.filesystems import FileSystems

from fiat_jax.reasoning.calls import Answer, Completion, now

_log = logging.getLogger(__name__)


class Answers:
    """Every answer so far, from many processes at once.

    Args:
      folder: where they are; made when the first is kept.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def get(self, key: str) -> Answer | None:
        """The answer to a request; None if there is none yet, or if its file is broken."""
        path = self._path(key)
        if not FileSystems.exists(path):
            return None
        with FileSystems.open(path) as file:
            text = file.read()
        try:
            fields = json.loads(text)
            return Answer(Completion(**fields["completion"]), fields["time"])
        except (ValueError, LookupError, TypeError) as error:
            _log.warning("%s: expected an answer, found something else (%s); it is asked again.", path, error)
            return None

    def put(self, key: str, completion: Completion) -> Answer:
        """Keeps the answer to a request; it is in the folder when this returns."""
        answer = Answer(completion, now())
        path = self._path(key)
        draft = f"{path}.{uuid4().hex}.part"
        with FileSystems.create(draft) as file:
            file.write(json.dumps(asdict(answer)).encode())
            file.flush()
            with contextlib.suppress(OSError):  # only a local file has a number
                os.fsync(file.fileno())
        FileSystems.rename([draft], [path])
        return answer

    def _path(self, key: str) -> str:
        return FileSystems.join(self._folder, key[:2], f"{key}.json")
