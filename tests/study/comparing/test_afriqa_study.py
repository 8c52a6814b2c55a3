from pathlib import Path

from fiat_jax.config import parse

GIN = Path(__file__).parents[3] / "benchmarks" / "study" / "afriqa.gin"


def test_the_study_of_afriqa_is_the_table_that_results_md_describes():
    of = parse("compare", [str(GIN)], ["MODEL='model'"]).arguments
    sweep, tuning, task = of["sweep"], of["tuning"], of["experiment"].task
    cells = sweep.cells()
    runs = {(cell.run, cell.seed): sweep.rates(cell.paradigm) for cell in cells if cell.paradigm.tuned}
    tried = sum(len(rates) if seed == sweep.seeds[0] else 1 for (_, seed), rates in runs.items())
    assert len(cells) == 2 + 5 * (5 * 3 + 3) and len(runs) == 5 * (5 * 3 + 2) and tried == 119
    assert (tuning.steps, tuning.batch_size, tuning.eval_every) == (150, 16, 50)
    assert task.splits() == ("train", "validation", "test") and task.inputs_length == 400
