"""A made-up sweep, of which the true scores are known.

    python tests/study/comparing/made_up_sweep.py FOLDER

writes one of 400 test examples and its report.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fiat_jax.study.comparing.paradigms import PARADIGMS
from fiat_jax.study.comparing.results import Result, Study, write_failure, write_result, write_study

TRUTH = {
    "icl": 58.0,
    "zero_shot": 12.0,
    "finetune": 60.0,
    "finetune_instruction": 61.0,
    "lora": 57.0,
    "lora_instruction": 58.0,
    "fiat": 71.0,
    "fiat_uninstructed": 70.5,
    "fiat_full": 70.0,
    "distilled": 62.0,
    "cascade": 68.0,
    "fiat_wrong": 50.0,
}
"""Scores at the largest size."""

EVERYWHERE = ("finetune", "finetune_instruction", "lora", "lora_instruction", "fiat")
_KNOWN = {one.name: one for one in PARADIGMS}


@dataclass(frozen=True)
class MadeUp:
    """What a made-up sweep has.

    Attributes:
      languages: names; each has `examples` test examples.
      sizes, seeds: of the runs.
      paradigms: by name; those of `EVERYWHERE` run at all sizes, others at the largest.
      truth: scores at the largest size by paradigm, otherwise those of `TRUTH`.
      rationale, prompts: what the reasoner says of each example, with each of several prompts.
      reasoner: what is known of the reasoner's costs.
    """

    languages: tuple[str, ...] = ("hau", "ibo", "twi", "yor")
    examples: int = 100
    sizes: tuple[int, ...] = (100, 300, 800)
    seeds: tuple[int, ...] = (0, 1, 2)
    paradigms: tuple[str, ...] = tuple(TRUTH)
    truth: tuple[tuple[str, float], ...] = ()
    rationale: str = "The passage says that it was built in 1894 by two brothers. The answer is 1894."
    prompts: tuple[str, ...] = ("",)
    score: str = "f1"
    unit: str = "F1"
    tokens: bool = True

    def write(self, folder: Path) -> None:
        """Writes the study and a file for each cell."""
        random = np.random.default_rng(0)
        count = self.examples * len(self.languages)
        easy = random.normal(0, 18, count)
        write_study(folder, self._study(count))
        for name in self.paradigms:
            one = _KNOWN[name]
            reads = one.answers == "reasoner" or one.variant == "fiat"
            sizes = (None,) if not one.tuned else self.sizes if name in EVERYWHERE else self.sizes[-1:]
            own = random.normal(0, 14, count)
            for prompt in self.prompts if reads else ("",):
                for size in sizes:
                    for seed in self.seeds if one.tuned else (None,):
                        mean = self._mean(name, size) + (random.normal(0, 0.8) if one.tuned else 0)
                        scores = np.clip(mean + easy + own + random.normal(0, 8, count), 0, 100)
                        result = self._result(name, size, seed, prompt, scores)
                        write_result(folder, f"{name}-{prompt}-{size}-{seed}", result)

    def _mean(self, name: str, size: int | None) -> float:
        top = dict(self.truth).get(name, TRUTH[name])
        slow = 6 if name == "fiat" else 18
        return top if size is None else top - slow * ((size / self.sizes[-1]) ** -0.5 - 1) / 1.83

    def _study(self, count: int) -> Study:
        ids = tuple(f"q{at}" for at in range(count))
        return Study(
            task="afriqa",
            score=self.score,
            unit=self.unit,
            mean_of=(),
            paradigms={name: _KNOWN[name].label for name in self.paradigms},
            sizes=self.sizes,
            seeds=self.seeds,
            ids=ids,
            languages=tuple(name for name in self.languages for _ in range(self.examples)),
            answers=tuple(("1894", "in 1894") for _ in ids),
            inputs=tuple(
                f"question: When was house {at} built? context: House {at} ..." for at in range(count)
            ),
            rationales={prompt: tuple(self.rationale for _ in ids) for prompt in self.prompts},
            budget={"updates": "600 at most", "batch": "16", "learning rates tried": "3 for each size"},
            reasoner={prompt: {"tokens": 84.0, "price": 0.00021} for prompt in self.prompts}
            if self.tokens
            else {},
            versions={"fiat_jax": "0.8.0", "jax": "0.10.2"},
            settings="compare.seeds = (0, 1, 2)\n",
        )

    def _result(
        self, name: str, size: int | None, seed: int | None, prompt: str, scores: np.ndarray
    ) -> Result:
        one = _KNOWN[name]
        answers = tuple("1894" if score > 70 else "two brothers" if score > 30 else "" for score in scores)
        tuned = size is not None
        asks = one.answers == "reasoner" or one.variant == "fiat"
        return Result(
            paradigm=name,
            size=size,
            seed=seed,
            base="",
            adapter="",
            prompt=prompt,
            scores=tuple(map(float, scores)),
            answers=answers,
            validation=float(scores.mean()) if tuned else None,
            learning_rate=0.001 if tuned else None,
            step=420 if tuned else None,
            steps=600 if tuned else None,
            tried={"0.0003": 61.2, "0.001": 63.4, "0.003": 60.9} if tuned and seed == self.seeds[0] else {},
            learned=0 if not tuned else 76_961_152 if one.learns == "base" else 2_359_296,
            asked=0.0 if not asks else 1.0 if one.asked is None else one.asked,
            train_tokens=0 if not tuned else 2_400_000 if asks else 1_500_000,
            train_seconds=0.0 if not tuned else 310.0 if one.learns == "base" else 190.0 if asks else 140.0,
            answer_seconds=0.0 if one.answers == "reasoner" else 12.5,
            device="cpu",
        )


if __name__ == "__main__":
    from fiat_jax.study.comparing.report import write_report

    MadeUp().write(Path(sys.argv[1]))
    write_failure(
        Path(sys.argv[1]),
        "fiat_pretrained-800-0",
        "the loss is not finite at step 12; lower the learning rate.",
    )
    print(*write_report(Path(sys.argv[1])).verdict, sep="\n")
