"""An annotation in a process of its own, to be killed: run_annotation.py URL STORE EXAMPLES TIMEOUT_S."""

import logging
import sys

from killable import exit_code

from fiat_jax.reasoning import OpenAI, Prompt, Store, Summary, annotate

CONCURRENCY = 8


def examples(count: int) -> list[dict[str, str]]:
    return [{"id": f"e-{n}", "question": f"question {n}", "answer": "the label"} for n in range(count)]


def main(url: str, path: str, count: str, timeout_s: str) -> int:
    logging.basicConfig(level=logging.DEBUG)
    client = OpenAI("fake", base_url=url, timeout_s=float(timeout_s))
    prompt = Prompt(input="{question}", instruction="Think.")
    splits = {"train": examples(int(count))}

    def run() -> Summary:
        with Store(path) as store:
            return annotate(splits, prompt, client, store, forbidden=["answer"], concurrency=CONCURRENCY)

    return exit_code(run)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
