"""An annotation in a process of its own, to be killed: run_annotation.py URL STORE EXAMPLES TIMEOUT_S."""

import logging
import sys

from fiat_jax.errors import FiatError
from fiat_jax.reasoning import OpenAI, Prompt, Store, annotate

CONCURRENCY = 8


def examples(count: int) -> list[dict[str, str]]:
    return [{"id": f"e-{n}", "question": f"question {n}", "answer": "the label"} for n in range(count)]


def main(url: str, path: str, count: str, timeout_s: str) -> int:
    logging.basicConfig(level=logging.DEBUG)
    client = OpenAI("fake", base_url=url, timeout_s=float(timeout_s))
    prompt = Prompt(input="{question}", instruction="Think.")
    try:
        with Store(path) as store:
            splits = {"train": examples(int(count))}
            print(annotate(splits, prompt, client, store, forbidden=["answer"], concurrency=CONCURRENCY))
    except FiatError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt as error:
        print(error, file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
