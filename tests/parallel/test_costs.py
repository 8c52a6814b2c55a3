"""What is counted of a compiled program, against what is known of it."""

from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from fiat_jax.parallel.costs import count
from fiat_jax.parallel.hlo import parse

LAYERS, ROWS, WIDTH = 6, 32, 48


def layer(x, kernel):
    return jnp.tanh(x @ kernel)


def scanned(x, kernels):
    return lax.scan(lambda x, kernel: (layer(x, kernel), None), x, kernels)[0]


def unrolled(x, kernels):
    for kernel in kernels:
        x = layer(x, kernel)
    return x


def compiled(function, *shapes, **how):
    arguments = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    return jax.jit(function, **how).lower(*arguments).compile()


def costs(function, *shapes, open_trips=1, **how):
    return count(parse(compiled(function, *shapes, **how).as_text()), open_trips)


STACK = ((ROWS, WIDTH), (LAYERS, WIDTH, WIDTH))


def test_a_scanned_program_has_the_flops_of_the_unrolled_one_exactly():
    assert costs(scanned, *STACK).flops == costs(unrolled, *STACK).flops == LAYERS * 2 * ROWS * WIDTH**2


def test_gradients_of_a_scanned_program_count_as_those_of_the_unrolled_one():
    def gradient(function):
        return jax.grad(lambda x, kernels: function(x, kernels).sum(), argnums=1)

    # Three products a layer, but nothing flows back past the first.
    expected = (3 * LAYERS - 1) * 2 * ROWS * WIDTH**2
    assert costs(gradient(unrolled), *STACK).flops == expected
    assert costs(gradient(scanned), *STACK).flops in (expected, expected + 2 * ROWS * WIDTH**2)


def test_the_flops_of_products_are_those_of_xlas_own_summary_where_nothing_is_repeated():
    program = compiled(lambda a, b: jnp.einsum("bqd,bkd->bqk", a, b), (4, 32, 128), (4, 16, 128))
    assert count(parse(program.as_text())).flops == program.cost_analysis()["flops"] == 2 * 4 * 32 * 16 * 128


def test_a_loop_without_a_known_end_runs_as_often_as_it_is_told():
    def until_small(x):
        return lax.while_loop(lambda x: jnp.max(x) > 1, lambda x: x @ x, x)

    once = costs(until_small, (8, 8)).flops
    assert once == 2 * 8**3 and costs(until_small, (8, 8), open_trips=7).flops == 7 * once


def test_a_loop_inside_a_loop_counts_as_often_as_both_run():
    def nested(x, kernels):
        return lax.fori_loop(0, 5, lambda _, x: scanned(x, kernels), x)

    assert costs(nested, *STACK).flops == 5 * costs(scanned, *STACK).flops


def test_of_a_stack_only_the_layer_in_turn_is_read():
    kernels = 16 * WIDTH * WIDTH * 4
    found = costs(scanned, (ROWS, WIDTH), (16, WIDTH, WIDTH)).bytes
    assert kernels < found < 8 * kernels  # with what is made of them, and not 16 times all of them


# What a TPU's compiler writes, which is not installed everywhere.
BATCHED, LOOP = ((Path(__file__).parent / name).read_text() for name in ("batched.hlo", "loop.hlo"))


def test_a_batched_product_written_as_a_convolution_has_the_flops_of_the_product():
    found = count(parse(BATCHED))
    assert found.flops == 2 * 2 * 4 * 1024 * 1024 * 64


def test_memory_on_the_chip_is_no_traffic():
    assert count(parse(BATCHED)).bytes == 2 * 1024 * 4 * 64 * 2 + 2 * 4 * 1024 * 1024 * 4


def test_collectives_are_counted_by_the_loops_they_are_in_with_what_a_device_receives():
    found = {(kind, len(group)): tuple(one) for (kind, group), one in count(parse(LOOP)).collectives.items()}
    shard = 8 * 128 * 2
    assert found == {("collective-permute", 2): (4, 4 * shard), ("all-gather", 4): (1, 3 * shard)}


@pytest.mark.parametrize(
    ("text", "group"),
    [
        ("replica_groups={{0,2},{1,3}}", (0, 2)),
        ("replica_groups=[2,4]<=[8]", (0, 1, 2, 3)),
        ("replica_groups=[4,2]<=[2,4]T(1,0)", (0, 4)),
        ("replica_groups=mesh['x'=2,'y'=2,'z'=2] {'x','z'}", (0, 1, 4, 5)),
        ("replica_groups=mesh['x'=2,'y'=1,'z'=4], device_ids=([4,2]T(1,0)) {'z'}", (0, 2, 4, 6)),
    ],
)
def test_groups_are_read_in_every_form_that_xla_writes_them(text, group):
    program = LOOP.replace("replica_groups=mesh['a'=2,'b'=4] {'b'}", text)
    assert ("all-gather", group) in count(parse(program)).collectives


def test_groups_in_a_form_that_is_not_known_are_not_passed_over():
    program = LOOP.replace("replica_groups=mesh['a'=2,'b'=4] {'b'}", "replica_groups=mesh['a'=8] {'a':(2)4}")
    with pytest.raises(ValueError, match="expected groups of devices in a form that is known"):
        count(parse(program))


# What a GPU's compiler writes.
LIBRARY = """
ENTRY %main (a: bf16[48,4096], b: bf16[32,48]) -> bf16[4096,32] {
  %a = bf16[48,4096]{1,0} parameter(0)
  %b = bf16[32,48]{1,0} parameter(1)
  %product = (bf16[4096,32]{1,0}, s8[33554432]{0}) custom-call(%a, %b), \
custom_call_target="__cublas$lt$matmul", backend_config={"gemm_backend_config":{"alpha_real":1, \
"dot_dimension_numbers":{"lhs_batch_dimensions":[],"lhs_contracting_dimensions":["0"], \
"rhs_batch_dimensions":[],"rhs_contracting_dimensions":["1"]},"epilogue":"DEFAULT"}}
  ROOT %out = bf16[4096,32]{1,0} get-tuple-element(%product), index=0
}
"""


def test_a_product_left_to_a_library_counts_as_one_and_its_scratch_space_is_no_traffic():
    inputs, outputs = 48 * 4096 + 32 * 48, 4096 * 32
    assert count(parse(LIBRARY))[:2] == (2 * outputs * 48, 2 * (inputs + outputs))


def test_what_is_no_program_is_refused():
    with pytest.raises(ValueError, match="expected the text of a compiled program"):
        parse("nothing")
