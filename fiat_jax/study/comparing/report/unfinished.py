"""What a sweep does not have yet."""

from fiat_jax.study.comparing.report.found import Found, named


def lacking(found: Found) -> list[str]:
    """What has failed, what has not run, and seeds and languages that are missing, in sentences."""
    said = []
    if found.failed:
        said.append(
            f"{_cells(len(found.failed))} failed: {', '.join(found.failed)}. The reasons are under Settings."
        )
    there = {line.paradigm for line in found.lines}
    if absent := [label for name, label in found.study.paradigms.items() if name not in there]:
        said.append(f"Not there: {'; '.join(absent)}.")
    for (line, size), results in found.results.items():
        seeds = {result.seed for result in results}
        if None not in seeds and (gone := [seed for seed in found.study.seeds if seed not in seeds]):
            where = "" if size is None else f" at {size:,}"
            said.append(f"{line.label}{where} lacks seed {', '.join(map(str, gone))}.")
    for size in found.study.sizes:
        if found.results and size not in {size for _, size in found.results}:
            said.append(f"Nothing is there at {size:,} training examples.")
    if found.runs and found.largest != found.sizes[-1]:
        names = " and ".join(line.label for line in found.references)
        most = f"{found.largest:,} training examples"
        said.append(f"{names} has not run at more than {most}: the report is about those.")
    if found.left_out:
        names = ", ".join(map(named, found.left_out))
        said.append(f"Languages with fewer than two test examples are left out of the mean: {names}.")
    if not any(any(texts) for texts in found.study.rationales.values()):
        said.append("There are no rationales to show.")
    return said


def _cells(count: int) -> str:
    return "1 cell has" if count == 1 else f"{count} cells have"
