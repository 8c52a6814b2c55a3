"""Scores what `run.py` has answered, as figures, pictures and a table in Markdown.

    python -m benchmarks.cheaper.report --base T5_FOLDER --data DIR --answers ANSWERS.jsonl --out docs

F1 is the mean over the test examples, of each the mean over the seeds; since each language has as many, that
is the mean over languages too. Intervals are of 95 %: of a difference, 10,000 resamples of the test examples
with both sides in pairs; `seeds` is the least and the most of single seeds. Writes cheaper.json and
cheaper_{keep,wrong,dropout,distillation,cascade}.svg.
"""

import argparse
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from fiat_jax.data import load_tokens
from fiat_jax.data.metrics.text import exact_match, f1_score
from fiat_jax.study.cascading import choose, trade_off
from fiat_jax.study.charts import intervals, lines

RESAMPLES = 10_000
READ = {"own": "own", "bare": "without", "wrong": "another's"}
DROPPED = {"fiat": "plain FIAT", "dropout30": "30 % without", "dropout50": "50 % without",
           "mixed": "30 % without, 30 % wrong"}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--base", required=True, help="the T5's folder, for its vocabulary")
    parser.add_argument("--data", type=Path, required=True, help="what prepare.py wrote")
    parser.add_argument("--answers", type=Path, required=True, help="what run.py wrote")
    parser.add_argument("--out", type=Path, required=True, help="where figures and pictures go")
    args = parser.parse_args()
    scored = Scored(args.base, args.data, args.answers)
    figures = {
        "seeds": scored.seeds,
        "device": scored.device,
        "arms": table(scored),
        "differences": differences(scored),
        "wrong": wrong(scored),
        "cascade": cascade(scored),
    }
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "cheaper.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    draw(figures, args.out)
    print(markdown(figures))


class Scored:
    """Scores of every answer, 0 to 100: `f1[arm, condition]` is [seeds, examples], `sure` alike.

    Where a run was stopped some arms have a seed more than others; arms are compared on those that both have.
    """

    def __init__(self, base: str, data: Path, answers: Path) -> None:
        self.about, tokens = json.loads((data / "about.json").read_text(encoding="utf-8")), load_tokens(base)
        runs = [json.loads(line) for line in answers.read_text(encoding="utf-8").splitlines()]
        by_arm: dict[str, list[dict[str, Any]]] = {arm: [] for arm in self.about["arms"]}
        for run in sorted(runs, key=lambda one: one["seed"]):
            by_arm[run["arm"]].append(run)
        if lacking := [arm for arm, its in by_arm.items() if not its]:
            raise SystemExit(f"{answers}: expected every arm, found no {lacking[0]}; go on with run.py.")
        self.seeds, self.device = {arm: len(its) for arm, its in by_arm.items()}, runs[0]["device"]
        self.seconds = {arm: [one["train_s"] for one in its] for arm, its in by_arm.items()}
        self.f1: dict[tuple[str, str], np.ndarray] = {}
        self.em: dict[tuple[str, str], np.ndarray] = {}
        self.sure: dict[tuple[str, str], np.ndarray] = {}
        for arm, names in self.about["arms"].items():
            for name in names:
                good = self.about[name.split("/")[0]]["answers"]
                given = [run["answers"][name] for run in by_arm[arm]]
                texts = [[tokens.decode(ids) for ids in one["ids"]] for one in given]
                for into, score in ((self.f1, f1_score), (self.em, exact_match)):
                    into[arm, name] = np.array([_scores(score, good, one) for one in texts])
                self.sure[arm, name] = np.array(
                    [
                        [s / (len(i) + 1) for s, i in zip(one["scores"], one["ids"], strict=True)]
                        for one in given
                    ]
                )
        test = self.about["test"]
        self.reasoner = _scores(f1_score, test["answers"], test["reasoner"])

    def shuffled(self, arm: str, share: str) -> np.ndarray:
        """F1 where a share of the test examples is shown with another's rationale."""
        kinds = np.array(self.about["test"]["wrong"][share])
        own, others = self.f1[arm, "test/own"], self.f1[arm, "test/wrong"]
        return np.where(kinds[: own.shape[1]] == "wrong", others, own)


def _scores(score: Any, good: Sequence[Sequence[str]], texts: Sequence[str]) -> list[float]:
    """The best score of each text against its good answers; fewer texts, of a trial, are the first ones'."""
    return [
        100 * max(score(one, text) for one in answers) for answers, text in zip(good, texts, strict=False)
    ]


def spread(values: np.ndarray) -> dict[str, float]:
    """Mean of [seeds, examples], its interval over examples, and the least and most of single seeds."""
    low, high = interval(values.mean(0))
    seeds = values.mean(1)
    return _rounded(mean=values.mean(), low=low, high=high, least=seeds.min(), most=seeds.max())


def interval(values: np.ndarray) -> tuple[float, float]:
    """95 % of the mean over resampled examples."""
    low, high = np.percentile(values[_resamples(len(values))].mean(1), [2.5, 97.5])
    return float(low), float(high)


@cache
def _resamples(count: int) -> np.ndarray:
    """Which examples are in each resample; the same for all that is compared."""
    return np.random.default_rng(0).integers(0, count, (RESAMPLES, count), np.uint16)


def table(scored: Scored) -> dict[str, Any]:
    """Each arm on each condition."""
    return {
        arm: {
            name: {"f1": spread(scored.f1[arm, name]), "em": spread(scored.em[arm, name])} for name in names
        } | {"train_s": round(float(np.median(scored.seconds[arm])), 1)}
        for arm, names in scored.about["arms"].items()
    }  # fmt: skip


def differences(scored: Scored) -> dict[str, Any]:
    """In pairs, each against its plain rival."""
    f1, fiat = scored.f1, ("fiat", "test/own")
    pairs = {
        "keep-if-right - FIAT, own rationales": (("keep", "test/own"), fiat),
        "distillation - instruction alone": (("distillation", "test/bare"), ("instruction", "test/bare")),
        "distillation - FIAT": (("distillation", "test/bare"), fiat),
        "instruction alone - FIAT": (("instruction", "test/bare"), fiat),
    }
    for arm in list(DROPPED)[1:]:
        for condition, word in READ.items():
            pair = (arm, f"test/{condition}"), ("fiat", f"test/{condition}")
            pairs[f"{DROPPED[arm]} - FIAT, rationale: {word}"] = pair
    for arm in ("dropout30", "dropout50", "mixed"):
        pairs[f"{DROPPED[arm]}, without - instruction alone"] = (
            (arm, "test/bare"),
            ("instruction", "test/bare"),
        )
    return {name: spread(paired(f1[one], f1[other])) for name, (one, other) in pairs.items()}


def paired(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The difference on the seeds that both have."""
    seeds = min(len(one), len(other))
    return one[:seeds] - other[:seeds]


def wrong(scored: Scored) -> dict[str, Any]:
    """F1 by the share of the test examples that are shown with another's rationale."""
    shares = scored.about["test"]["wrong"]
    return {
        arm: {share: spread(scored.shuffled(arm, share)) for share in shares} for arm in [*DROPPED, "keep"]
    }


GRID = np.linspace(0, 1, 41)


def cascade(scored: Scored) -> dict[str, Any]:
    """Quality by the share of test examples asked about; and what thresholds of the held-out slice give."""
    pairs = {
        "dropout 50 %": (("dropout50", "test/bare"), ("dropout50", "test/own")),
        "instruction, then FIAT": (("instruction", "test/bare"), ("fiat", "test/own")),
    }
    found: dict[str, Any] = {"curves": {}, "thresholds": {}}
    for name, (first, second) in pairs.items():
        curves = [
            _on_grid(trade_off(*three))
            for three in zip(scored.sure[first], scored.f1[first], scored.f1[second], strict=True)
        ]
        chance = GRID * scored.f1[second].mean() + (1 - GRID) * scored.f1[first].mean()
        found["curves"][name] = _curve(np.array(curves))
        found["curves"][f"{name}: random"] = _curve(np.array([chance]))
    for share in (0.25, 0.5, 0.75):
        shares, qualities, f1 = [], [], scored.f1
        for at in range(scored.seeds["held"]):
            held = [one["held", f"validation/{name}"][at] for one, name in
                    ((scored.sure, "bare"), (f1, "bare"), (f1, "own"))]  # fmt: skip
            asked = scored.sure["held", "test/bare"][at] < choose(trade_off(*held), share=share).threshold
            shares.append(asked.mean())
            qualities.append(np.where(asked, f1["held", "test/own"][at], f1["held", "test/bare"][at]))
        found["thresholds"][str(share)] = {
            "share": _rounded(mean=np.mean(shares), least=min(shares), most=max(shares)),
            "f1": spread(np.array(qualities)),
        }
    return found


def _on_grid(points: Any) -> np.ndarray:
    return np.interp(GRID, [point.share for point in points], [point.quality for point in points])


def _curve(curves: np.ndarray) -> list[list[float]]:
    """[share, mean, least, most] over the seeds."""
    columns = np.stack([GRID, curves.mean(0), curves.min(0), curves.max(0)], axis=1)
    return [[round(float(value), 3) for value in row] for row in columns]


def _rounded(**values: Any) -> dict[str, float]:
    return {name: round(float(value), 2) for name, value in values.items()}


def draw(figures: dict[str, Any], out: Path) -> None:
    """One picture for each question."""

    def three(one: dict[str, float]) -> tuple[float, float, float]:
        return one["mean"], one["low"], one["high"]

    def save(name: str, picture: str) -> None:
        (out / f"cheaper_{name}.svg").write_text(picture, encoding="utf-8")

    arms = figures["arms"]
    shown = {"FIAT": arms["fiat"]["test/own"], "keep-if-right": arms["keep"]["test/own"]}
    save("keep", intervals("F1 on test, 95 % over examples", {k: three(v["f1"]) for k, v in shown.items()}))
    dropped = {
        f"{label}, rationale: {READ[name]}": three(arms[arm][f"test/{name}"]["f1"])
        for name in READ
        for arm, label in DROPPED.items()
    }
    save("dropout", intervals("F1 on test, 95 % over examples", dropped))
    bare = {"instruction alone": "instruction", "distillation": "distillation"}
    shown = {name: three(arms[arm]["test/bare"]["f1"]) for name, arm in bare.items()}
    shown["FIAT, with the reasoner"] = three(arms["fiat"]["test/own"]["f1"])
    save("distillation", intervals("F1 on test, 95 % over examples", shown))
    curves = {
        {**DROPPED, "keep": "keep-if-right"}[arm]: [
            (100 * float(share), one["mean"]) for share, one in by.items()
        ]
        for arm, by in figures["wrong"].items()
    }
    save("wrong", lines("F1 on test", curves, "% of the test examples with another's rationale"))
    curves, bands = {}, {}
    for name, rows in figures["cascade"]["curves"].items():
        curves[name] = [(100 * share, mean) for share, mean, _, _ in rows]
        bands[name] = [(100 * share, low, high) for share, _, low, high in rows]
    save("cascade", lines("F1 on test", curves, "% of the test examples asked about", bands=bands))


def markdown(figures: dict[str, Any]) -> str:
    """The tables of docs/results.md."""

    def value(one: dict[str, float]) -> str:
        return f"{one['mean']:.1f} ({one['low']:.1f} to {one['high']:.1f})"

    def seeds(one: dict[str, float]) -> str:
        return f"{one['least']:.1f} to {one['most']:.1f}"

    rows = [figures["device"], ""]
    rows += _head("arm", "seeds", "rationale at test", "F1 (95 % over examples)", "single seeds", "EM")
    for arm, names in figures["arms"].items():
        for name, both in names.items():
            if name.startswith("test/"):
                f1, em = both["f1"], both["em"]["mean"]
                rows.append(
                    _row(arm, str(figures["seeds"][arm]), READ[name[5:]], value(f1), seeds(f1), f"{em:.1f}")
                )
    rows += ["", *_head("difference in F1", "95 % over examples, in pairs", "single seeds")]
    rows += [_row(name, value(one), seeds(one)) for name, one in figures["differences"].items()]
    shares = list(figures["wrong"]["fiat"])
    rows += ["", *_head("F1, share of rationales exchanged", *(f"{float(share):.0%}" for share in shares))]
    for arm, by_share in figures["wrong"].items():
        rows.append(_row(arm, *(f"{one['mean']:.1f}" for one in by_share.values())))
    rows += ["", *_head("share wanted on held-out train", "share asked about on test", "F1")]
    for share, one in figures["cascade"]["thresholds"].items():
        asked = one["share"]
        found = f"{asked['mean']:.0%} ({asked['least']:.0%} to {asked['most']:.0%})"
        rows.append(_row(f"{float(share):.0%}", found, value(one["f1"])))
    return "\n".join(rows)


def _head(*names: str) -> list[str]:
    return [_row(*names), _row(*["---"] * len(names))]


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
