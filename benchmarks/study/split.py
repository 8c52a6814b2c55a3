"""Takes a validation split from the test examples, so that all training examples can be used in training.

    python -m benchmarks.study.split --data AFRIQA_FOLDER --out runs/data/afriqa_study

Both folders have {language}.{train,test,rationales}.jsonl; the one that is written has {language}.validation
too: of each language the examples whose ids have the smallest hashes.
"""

import argparse
import hashlib
import json
import shutil
from pathlib import Path

VALIDATION = 20
"""Examples of each language."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="the folder to read")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for path in sorted(args.data.glob("*.test.jsonl")):
        language = path.name.partition(".")[0]
        for kind in ("train", "rationales"):
            shutil.copyfile(args.data / f"{language}.{kind}.jsonl", args.out / f"{language}.{kind}.jsonl")
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        held = set(sorted(lines, key=_hash)[:VALIDATION])
        for split in ("validation", "test"):
            chosen = [line for line in lines if (line in held) == (split == "validation")]
            (args.out / f"{language}.{split}.jsonl").write_text("".join(chosen), encoding="utf-8")
            print(f"{language}.{split}: {len(chosen)} examples")


def _hash(line: str) -> str:
    return hashlib.sha256(json.loads(line)["id"].encode("utf-8")).hexdigest()


if __name__ == "__main__":
    main()
