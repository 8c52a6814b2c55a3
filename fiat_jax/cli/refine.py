"""`fiat refine`: better rationales of those there are."""

from contextlib import ExitStack

from fiat_jax.data.tasks import Task
from fiat_jax.errors import ConfigError
from fiat_jax.paths import at
from fiat_jax.reasoning import Client, Prompt, Store
from fiat_jax.reasoning.prompts import MARKER
from fiat_jax.reasoning.shortening import Shorten
from fiat_jax.reasoning.voting import Vote
from fiat_jax.study.rationale_quality import Judge, read_places
from fiat_jax.study.refining import Asking, KeepRight, Rationalise, Refinement


def refine(
    task: Task,
    output: str,
    rationales: str | None = None,
    splits: tuple[str, ...] = (),
    vote: Vote | None = None,
    rationalise: Rationalise | None = None,
    shorten: Shorten | None = None,
    keep: KeepRight | None = None,
    client: Client | None = None,
    prompt: Prompt | None = None,
    store: str | None = None,
    concurrency: int = 8,
) -> None:
    """Votes among several rationales, shortens those that are too long, keeps those that are right.

    It can also have wrong ones written anew from the label, for a task that is then never evaluated.

    The steps come in this order, each of them only where it is set, and the effect of each is printed.

    Args:
      task: whose examples; the labels of its training split are read by `keep`, `rationalise` and for the
        table alone.
      output: the JSONL file that the rationales are written to.
      rationales: a rationale store or JSONL file, which may hold {language}, to begin with; by default the
        task's. A vote needs none.
      splits: the splits whose rationales are written; by default all that the task has.
      vote: how to choose among several rationales of an example.
      rationalise: which rationales of the training split are written anew by a large model that is told the
        label; they are marked, and a task with them refuses to be evaluated. None asks nothing of the kind.
      shorten: how long rationales may be.
      keep: which rationales of the training split are kept.
      client: the large model, for `vote`, `rationalise` and `shorten`.
      prompt: what to ask it; by default the task's.
      store: where its answers are kept; another one than that of `fiat annotate`, since each sample counts
        there as a prompt of its own.
      concurrency: calls at a time.
    """
    chosen = task.chosen(splits, "refine.splits")
    if not (vote or rationalise or shorten or keep):
        raise ConfigError(
            "refine: expected a step, found none; set refine.vote, .shorten, .keep or .rationalise."
        )
    prompt, place = prompt or task.prompt, rationales or task.rationales
    for name, step in (("rationalise", rationalise), ("keep", keep)):
        if step and "train" not in chosen:
            raise ConfigError(
                f"refine.{name}: expected 'train' among the splits, where labels may be read, found {chosen}."
            )
    start: dict[str, str] = {}
    marked: set[str] = set()
    if not vote:
        if not place:
            raise ConfigError("refine.rationales: expected a store or a JSONL file, found none; name one.")
        start, _, marked = read_places(task, place)
    with ExitStack() as stack:
        refinement = Refinement(Judge(task, prompt.marker if prompt else MARKER), chosen, start, marked)
        if vote or rationalise or shorten:
            asking = _asking(client, prompt, store, place, concurrency, stack)
            if vote:
                refinement.vote(vote, asking)
            if rationalise:
                refinement.rationalise(rationalise, asking)
            if shorten:
                refinement.shorten(shorten, asking)
        if keep:
            refinement.keep(keep)
        refinement.write(at(output))
    print(refinement.text())


def _asking(
    client: Client | None,
    prompt: Prompt | None,
    store: str | None,
    rationales: str | None,
    concurrency: int,
    stack: ExitStack,
) -> Asking:
    """Whom to ask.

    Raises:
      ConfigError: something for it is not set.
    """
    for name, value in (("client", client), ("prompt", prompt), ("store", store)):
        if value is None:
            raise ConfigError(f"refine.{name}: expected one to ask, found none; set it.")
    assert client is not None and prompt is not None and store is not None
    if store == rationales:
        raise ConfigError(
            f"refine.store: expected another store than the rationales' {rationales}, since each sample "
            "counts there as a prompt of its own; name another file."
        )
    return Asking(prompt, client, stack.enter_context(Store(store)), concurrency)
