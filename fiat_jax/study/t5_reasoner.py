"""A T5 of ours as the reasoner: FLAN-T5, UL2 and their kin, on the devices of this process."""

import threading
import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import jax
import numpy as np

from fiat_jax.checkpoints import Base
from fiat_jax.data.vocabularies import Tokens, load_tokens
from fiat_jax.decoding.queue import Queue
from fiat_jax.decoding.search import BeamSearch, Greedy, Sample
from fiat_jax.decoding.stream import WIDTHS, Decoder
from fiat_jax.decoding.stream import Request as Asked
from fiat_jax.errors import ConfigError
from fiat_jax.models import T5
from fiat_jax.parallel import Mesh, shardings
from fiat_jax.reasoning.calls import CallError, Completion, Request, Wait
from fiat_jax.reasoning.clients.text import as_text, clean, until
from fiat_jax.study.answering import seed_of
from fiat_jax.study.experiment import abstract_variables, check_vocabulary

_STEP = 512  # between the widths beyond those of the decoder

_starting = threading.Lock()


@dataclass(frozen=True)
class T5Reasoner:
    """A T5 that reads instruction, exemplars and input as one text, and writes the rationale.

    Prompts of many threads are decoded together, a new one wherever one is done. The model is loaded at the
    first of them.

    Attributes:
      base: the model, and how it is computed.
      vocabulary: a folder, file or hub id with tokenizer.json or spiece.model, or 'byte'; by default the
        base's own.
      mesh: how this process's devices are arranged.
      search: how a rationale's tokens are chosen.
      inputs_length: the most tokens of a prompt, its end among them; a longer one gets no rationale.
      max_tokens: the longest rationale.
      batch_size: prompts that are decoded together, if so many calls are made at a time; changes no answer.
    """

    base: Base
    vocabulary: str | None = None
    mesh: Mesh = field(default_factory=Mesh)
    search: Greedy | Sample | BeamSearch = Greedy()
    inputs_length: int = 1024
    max_tokens: int = 256
    batch_size: int = 8

    def __post_init__(self) -> None:
        for name in ("inputs_length", "max_tokens", "batch_size"):
            if getattr(self, name) < 1:
                raise ConfigError(f"T5Reasoner.{name}: expected 1 or more, found {getattr(self, name)}.")

    @property
    def model(self) -> str:
        """The folder or hub id of the base."""
        return self.base.path

    def payload(self, request: Request) -> dict[str, Any]:
        """The prompt as one text, the weights by their fingerprint, and how both are computed."""
        return {
            "model": self.model,
            "weights": self._fingerprint,
            "vocabulary": self._vocabulary,
            "dtype": self.base.dtype,
            "quantise": self.base.quantise,
            "int8": self.base.answer_in_int8,
            "search": repr(self.search),
            "max_tokens": self.max_tokens,
            "prompt": as_text(request.messages),
            "stop": list(request.stop),
        }

    def complete(self, request: Request, wait: Wait = time.sleep) -> Completion:
        """Has the prompt decoded; see `Client.complete`."""
        text = as_text(request.messages)
        tokens = self._tokens
        ids = [*tokens.encode(text), tokens.eos_id]
        if len(ids) > self.inputs_length:
            raise CallError(
                f"expected a prompt of at most {self.inputs_length} tokens, found {len(ids)}; set "
                "T5Reasoner.inputs_length, or shorten its exemplars"
            )
        with _starting:
            queue = self._queue
        asked = Asked(np.array(ids, np.int32), seed_of(text, self.search))
        written = queue.put(asked).result().tokens[0]
        return Completion(
            text=clean(until(tokens.decode(written), request.stop)),
            prompt_tokens=len(ids),
            completion_tokens=len(written),
            finish_reason="length" if len(written) == self.max_tokens else "stop",
        )

    @property
    def _vocabulary(self) -> str:
        return self.vocabulary or self.base.path

    @cached_property
    def _tokens(self) -> Tokens:
        return load_tokens(self._vocabulary)

    @cached_property
    def _fingerprint(self) -> str:
        return self.base.open().fingerprint()

    @cached_property
    def _queue(self) -> Queue:
        """Where prompts wait for the thread that decodes; made with the model loaded."""
        if jax.process_count() > 1:
            raise ConfigError(
                f"T5Reasoner: expected a command of one process, found {jax.process_count()}; write the "
                "rationales with `fiat annotate` first."
            )
        queue = Queue()
        # A daemon: nothing is lost when the process ends while it waits for the next prompt.
        threading.Thread(target=queue.run, args=(self._decoder().run,), daemon=True).start()
        return queue

    def _decoder(self) -> Decoder:
        pretrained, mesh = self.base.open(), self.mesh.build()
        check_vocabulary(self._vocabulary, self._tokens, self.base.path, pretrained.config)
        model = T5(pretrained.config)
        params = pretrained.params(shardings(abstract_variables(model), mesh)["params"])
        widths = (*WIDTHS, *range(WIDTHS[-1] + _STEP, self.inputs_length, _STEP))
        buckets = (*(width for width in widths if width < self.inputs_length), self.inputs_length)
        return Decoder(
            model, {"params": params}, mesh, self.max_tokens, self.search, self.batch_size, buckets=buckets
        )
