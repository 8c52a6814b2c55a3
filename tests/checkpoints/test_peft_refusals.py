"""What of a PEFT folder is refused, and how it is said."""

import os
import time

import numpy as np
import pytest
from checkpoints.peft_folders import MODEL, QUERIES, change, layout, read, write

from fiat_jax.adapters import IA3, LoRA, PrefixTuning, SoftPrompt
from fiat_jax.errors import ConfigError, DataError

LM_HEAD = {f"{MODEL}.lm_head.lora_A.weight": np.zeros((2, 16), np.float32)}
GONE = {f"{QUERIES[1]}.lora_A.weight": None}


@pytest.mark.parametrize(
    ("tensors", "fields", "sentence"),
    [
        ({}, {"peft_type": "PREFIX_TUNING"}, "peft_type .*LORA, IA3, PROMPT_TUNING, found 'PREFIX_TUNING'"),
        ({}, {"peft_type": ["LORA"]}, r"peft_type .*found \['LORA'\]"),
        ({}, {"peft_type": None}, "peft_type .*found None"),
        ({}, {"task_type": "CAUSAL_LM"}, "task_type .*SEQ_2_SEQ_LM.*'CAUSAL_LM'"),
        ({}, {"bias": "all"}, "bias .*'none'.*'all'"),
        ({}, {"lora_bias": True}, "'lora_bias' .*unset"),
        ({}, {"modules_to_save": ["lm_head"]}, r"'modules_to_save' .*unset.*\['lm_head'\]"),
        ({}, {"something_new": 3}, "'something_new' .*unset"),
        ({}, {"init_lora_weights": "pissa_niter_4"}, "init_lora_weights .*'pissa_niter_4'"),
        ({}, {"r": 3}, r"q\.lora_A\.weight \[2, 16\] instead of \[3, 16\]"),
        ({}, {"r": True}, "r to be a whole number from 1, found True"),
        ({}, {"r": "2"}, "r to be a whole number"),
        ({}, {"lora_alpha": float("nan")}, "lora_alpha .*found nan"),
        ({}, {"lora_alpha": 10**400}, "lora_alpha .*found 1000"),
        ({}, {"lora_dropout": 1}, r"lora_dropout .*\[0, 1\), found 1"),
        ({}, {"use_dora": True}, r"missing: .*q\.lora_magnitude_vector"),
        ({}, {"use_rslora": 1}, "use_rslora .*true or false"),
        ({}, {"base_model_name_or_path": 7}, "base_model_name_or_path .*text"),
        ({}, {"rank_pattern": {"q": 1.5}}, "whole numbers from 1 in rank_pattern"),
        ({}, {"rank_pattern": ["q"]}, "rank_pattern .*object of numbers"),
        ({}, {"alpha_pattern": {"encoder.block.1.*": 2}}, "alpha_pattern to give one value to all layers"),
        ({}, {"alpha_pattern": {"(": 2}}, r"simple regular expressions in alpha_pattern, found '\('"),
        (GONE, {"layers_to_transform": [0]}, r"layers_to_transform.*but for encoder\.block\.1.*q"),
        (LM_HEAD, {}, r"unexpected: base_model\.model\.lm_head\.lora_A\.weight"),
        ({f"{QUERIES[1]}.lora_B.weight": None}, {}, r"missing: .*block\.1.*q\.lora_B\.weight"),
        ({f"{QUERIES[0]}.lora_A.weight": np.zeros((2, 16))}, {}, r"F32, F16, BF16, found .*\(F64\)"),
    ],
)
def test_what_an_adapter_cannot_be_is_refused_by_its_name(tmp_path, tensors, fields, sentence):
    write(tmp_path, LoRA(("encoder/.*/query",), 2))
    change(tmp_path, tensors, **fields)
    with pytest.raises(DataError, match=sentence) as error:
        read(tmp_path)
    assert str(tmp_path) in str(error.value) and "\n" not in str(error.value)


def test_an_adapter_of_the_embedding_alone_is_refused(tmp_path):
    write(tmp_path, LoRA(("encoder/.*/query",), 2))
    tensors = dict.fromkeys(layout(tmp_path)) | {
        f"{MODEL}.shared.lora_embedding_A": np.zeros((2, 64), np.float32)
    }
    change(tmp_path, tensors)
    with pytest.raises(DataError, match=r"found .*shared\.lora_embedding_A; only linear layers"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"num_virtual_tokens": None}, "num_virtual_tokens .*found None"),
        ({"num_virtual_tokens": 4}, r"prompt_embeddings \[3, 16\] instead of \[4, 16\]"),
        ({"num_virtual_tokens": 2**40}, "num_virtual_tokens"),
        ({"token_dim": 32}, "token_dim to be 16"),
        ({"num_transformer_submodules": 3}, "num_transformer_submodules to be 1 or 2"),
        ({"prompt_tuning_init": "WISE"}, "prompt_tuning_init .*'WISE'"),
    ],
)
def test_a_prompt_that_does_not_fit_is_refused(tmp_path, fields, sentence):
    write(tmp_path, SoftPrompt(length=3))
    change(tmp_path, **fields)
    with pytest.raises(DataError, match=sentence):
        read(tmp_path)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"fiat_jax": "LoRA"}, "fiat_jax to be 'PrefixTuning'"),
        ({"length": 0}, "length to be a whole number"),
        ({"targets": ["(a+)+"]}, "targets to be some of encoder/layers/self_attention"),
        ({"targets": []}, "targets to be some of"),
        ({"depth": 3}, "'depth' .*unset"),
    ],
)
def test_prefixes_that_do_not_fit_are_refused(tmp_path, fields, sentence):
    write(tmp_path, PrefixTuning(length=3, targets=("encoder/.*", ".*/cross_attention")))
    change(tmp_path, **fields)
    with pytest.raises(DataError, match=sentence):
        read(tmp_path)


@pytest.mark.parametrize("pattern", ["(.|.)" * 20, "(a+)+b", ".*.*.*.*", "(?=.*)q", "q" * 300])
def test_a_hostile_regular_expression_is_refused_and_not_tried(tmp_path, pattern):
    write(tmp_path, LoRA(("encoder/.*/query",), 2))
    change(tmp_path, alpha_pattern={pattern: 2})
    before = time.perf_counter()
    with pytest.raises(DataError, match="simple regular expressions in alpha_pattern"):
        read(tmp_path)
    assert time.perf_counter() - before < 1.0


def truncated(path):
    path.write_bytes(path.read_bytes()[:-100])


def twice(path):
    path.write_text('{"peft_type": "IA3", "peft_type": "LORA"}')


@pytest.mark.parametrize(
    ("name", "break_it", "sentence"),
    [
        ("adapter_config.json", lambda path: path.unlink(), "No such file"),
        ("adapter_config.json", lambda path: path.write_text("[" * 100_000), "JSON object"),
        ("adapter_config.json", lambda path: path.write_text("[]"), "holds a list"),
        ("adapter_config.json", lambda path: path.write_text(" " * 2**21), "has over"),
        ("adapter_config.json", twice, "name twice"),
        ("adapter_config.json", lambda path: (path.unlink(), os.mkfifo(path)), "no file"),
        ("adapter_model.safetensors", lambda path: path.unlink(), "No such file"),
        ("adapter_model.safetensors", truncated, "safetensors"),
        ("adapter_model.safetensors", lambda path: path.rename(path.with_suffix(".bin")), "may run code"),
    ],
)
def test_a_broken_folder_is_refused_by_its_file(tmp_path, name, break_it, sentence):
    write(tmp_path, IA3())
    break_it(tmp_path / name)
    with pytest.raises(DataError, match=sentence):
        read(tmp_path)


def test_no_folder_is_a_configuration_error(tmp_path):
    with pytest.raises(ConfigError, match="expected a folder with adapter_config"):
        read(tmp_path / "nowhere")
