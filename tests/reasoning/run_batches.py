"""An annotation in batches, to be killed: run_batches.py CLIENT URL STORE EXAMPLES."""

import sys

from killable import exit_code
from run_annotation import examples

from fiat_jax.reasoning import Anthropic, Batch, OpenAI, Prompt, Store, Summary, annotate

CLIENTS = {"OpenAI": OpenAI, "Anthropic": Anthropic}


def main(client: str, url: str, path: str, count: str) -> int:
    asked = CLIENTS[client]("fake", base_url=url, timeout_s=60, max_retries=2)
    prompt = Prompt(input="{question}", instruction="Think.")
    splits = {"train": examples(int(count))}

    def run() -> Summary:
        with Store(path) as store:
            batch = Batch(size=4, poll_s=0.05)
            return annotate(splits, prompt, asked, store, forbidden=["answer"], batch=batch)

    return exit_code(run)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
