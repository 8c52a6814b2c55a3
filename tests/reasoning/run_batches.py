"""An annotation in batches, to be killed: run_batches.py CLIENT URL STORE EXAMPLES."""

import sys

from run_annotation import examples

from fiat_jax.errors import FiatError
from fiat_jax.reasoning import Anthropic, Batch, OpenAI, Prompt, Store, annotate

CLIENTS = {"OpenAI": OpenAI, "Anthropic": Anthropic}


def main(client: str, url: str, path: str, count: str) -> int:
    asked = CLIENTS[client]("fake", base_url=url, timeout_s=60, max_retries=2)
    prompt = Prompt(input="{question}", instruction="Think.")
    try:
        with Store(path) as store:
            splits = {"train": examples(int(count))}
            batch = Batch(size=4, poll_s=0.05)
            print(annotate(splits, prompt, asked, store, forbidden=["answer"], batch=batch))
    except FiatError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt as error:
        print(error, file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
