"""`fiat predict`: answers new inputs with a run."""

from fiat_jax.paths import at
from fiat_jax.reasoning import OpenAI, Prompt, Replay
from fiat_jax.study.experiment import Experiment
from fiat_jax.study.prediction import Reasoner, predict_file


def predict(
    run_dir: str,
    experiment: Experiment,
    input: str,
    output: str,
    rationales: str | None = None,
    client: OpenAI | Replay | None = None,
    prompt: Prompt | None = None,
    batch_size: int = 32,
) -> None:
    """Answers the rows of a JSON-lines file, in order, with the best checkpoint of a run.

    Args:
      run_dir: the run folder.
      experiment: what was tuned on what; read from the run folder.
      input: the rows, with the fields of the template's input.
      output: where to write them again, each with its prediction and rationale.
      rationales: the rationale store or JSONL of these rows; by default the task's.
      client: the large model, asked for rationales that the store lacks.
      prompt: what to ask it.
      batch_size: examples at a time; changes no answer.
    """
    reasoner = Reasoner(rationales, client, prompt)
    count = predict_file(at(run_dir), experiment, at(input), at(output), reasoner, batch_size)
    print(f"{output}: {count} predictions")
