"""`fiat predict`: answers new inputs with a run."""

from fiat_jax.data.mixing import RationaleMix
from fiat_jax.decoding.search import BeamSearch, Greedy, Sample
from fiat_jax.paths import at
from fiat_jax.reasoning import Client, Prompt
from fiat_jax.study.bounds import Bounds
from fiat_jax.study.cascading import Cascade
from fiat_jax.study.drafting import Draft
from fiat_jax.study.experiment import Experiment
from fiat_jax.study.prediction import predict_file
from fiat_jax.study.predictor import Predictor
from fiat_jax.study.rationales import Reasoner


def predict(
    run_dir: str,
    experiment: Experiment,
    input: str,
    output: str,
    rationales: str | None = None,
    client: Client | None = None,
    prompt: Prompt | None = None,
    batch_size: int = 32,
    search: Greedy | Sample | BeamSearch = Greedy(),
    bounds: Bounds | None = None,
    draft: Draft | None = None,
    concurrency: int = 8,
    cascade: Cascade | None = None,
    rationale_mix: RationaleMix | None = None,
) -> None:
    """Answers the rows of a JSON-lines file, in order, with the best checkpoint of a run.

    Args:
      run_dir: the run folder.
      experiment: what was tuned on what; read from the run folder.
      input: the rows, with the fields of the template's input.
      output: where to write them again, each with its prediction, score and rationale; rows that it has
        already, from a run that was stopped, are not answered again.
      rationales: the rationale store or JSONL of these rows; by default the task's.
      client: the large model, asked for rationales that the store lacks.
      prompt: what to ask it; by default the task's.
      batch_size: examples at a time; changes no answer.
      search: how an answer's tokens are chosen.
      bounds: what answers may be, such as spans of the passage; None for anything.
      draft: a small T5 that runs ahead; made for few rows at a time, as with batch_size 1.
      concurrency: calls of the large model at a time.
      cascade: asks the large model only about rows whose answer without it is unsure.
      rationale_mix: what share of the rows is shown without rationale, or with another example's, to see what
        the run does then.
    """
    folder = at(run_dir)
    reasoner = Reasoner(rationales, client, prompt or experiment.task.prompt, concurrency)
    with Predictor(
        folder, experiment, search, reasoner, batch_size, bounds, draft, cascade, rationale_mix
    ) as predictor:
        answered = predict_file(predictor, at(input), at(output))
    print(f"{output}: {answered}")
