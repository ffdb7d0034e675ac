"""The Triton kernels: by Triton's interpreter, compiled for a GPU that need not be there, and on one where there is."""

import functools
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from mini_moe.dispatch import sliced_linear

triton = pytest.importorskip("triton", reason="Triton exists for Linux on x86-64 only")

CPU_INTERPRETS = not triton.__version__.startswith("3.6.")
interpreted = pytest.mark.skipif(
    not CPU_INTERPRETS,
    reason="the interpreter of Triton 3.6 cannot loop up to a number given at run time (NumPy >= 2.4)",
)
# Half a unit in the last place, and a little for sums in float32 in another order.
TOLERANCE = {torch.float32: 1e-5, torch.float16: 5e-4, torch.bfloat16: 4e-3}
DTYPES = pytest.mark.parametrize("dtype", TOLERANCE, ids=lambda dtype: str(dtype).removeprefix("torch."))


@functools.cache
def kernels(interpret: bool = True) -> ModuleType:
    """A copy of the module of our own, interpreted or compiled: Triton decides that when it is imported.

    So it matters neither who imported it before, nor what is in the environment.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRITON_INTERPRET", "01"[interpret])
        spec = importlib.util.find_spec("mini_moe.kernels.grouped_gemm")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    assert interpret == module.INTERPRETED
    return module


def in_a_new_process(call: str, **environment: str) -> str:
    """What it prints. The interpreter changes Triton's own functions, compiled kernels are safer without it."""
    environment |= {"TRITON_INTERPRET": "0", "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    command = [sys.executable, "-c", f"import test_kernels; test_kernels.{call}"]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def inputs_of(counts, D, O, dtype=torch.float32, device="cpu", seed=0):
    """x, weight and ends for experts with so many rows each; two of them want gradients."""
    generator = torch.Generator().manual_seed(seed)
    x, weight = (torch.randn(shape, generator=generator) for shape in ((sum(counts), D), (len(counts), O, D)))
    ends = torch.tensor(counts).cumsum(0).to(device)
    return *(tensor.to(device, dtype).requires_grad_() for tensor in (x, weight)), ends


def oracle(x, weight, ends):
    """Row by row: the matrix of the row's expert times the row."""
    matrices = weight.repeat_interleave(ends.diff(prepend=ends.new_zeros(1)), dim=0)
    products = [matrix @ row for matrix, row in zip(matrices, x, strict=True)]
    return torch.stack(products) if products else torch.einsum("jd,jod->jo", x, matrices)


def assert_same(product, x, weight, ends):
    """Values and gradients are those of the oracle in float64, rounded once."""
    wide = [tensor.detach().double().requires_grad_() for tensor in (x, weight)]
    ours, theirs = product(x, weight, ends), oracle(*wide, ends)
    grad = torch.randn(ours.shape, generator=torch.Generator().manual_seed(1)).to(ours)
    ours = (ours, *torch.autograd.grad(ours, (x, weight), grad))
    theirs = (theirs, *torch.autograd.grad(theirs, wide, grad.double()))
    for one, other in zip(ours, theirs, strict=True):
        assert one.dtype == x.dtype
        torch.testing.assert_close(one.double(), other, rtol=TOLERANCE[x.dtype], atol=1e-4)


SHAPES = {
    "one expert": ([50], 20, 30),
    "experts without rows": ([0, 40, 0, 0, 7, 0], 20, 30),
    "all rows to one": ([0, 0, 70, 0], 20, 30),
    "one row": ([0, 1], 20, 30),
    "no rows": ([0, 0, 0], 20, 30),
    "whole tiles": ([32, 64, 32], 64, 32),
    "one more than a tile": ([33, 1, 65], 33, 65),
    "width 1": ([3, 4], 1, 1),
}


@interpreted
@DTYPES
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_values_and_gradients_are_the_oracles(shape, dtype):
    assert_same(kernels().grouped_gemm, *inputs_of(*shape, dtype))


@interpreted
@settings(max_examples=15)
@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=5),
    st.integers(1, 70),
    st.integers(1, 70),
    st.sampled_from(list(TOLERANCE)),
    st.integers(0, 99),
)
def test_values_and_gradients_are_the_oracles_at_any_size(counts, D, O, dtype, seed):
    assert_same(kernels().grouped_gemm, *inputs_of(counts, D, O, dtype, seed=seed))


@interpreted
def test_the_product_is_that_of_the_slices_and_of_grouped_mm():
    x, weight, ends = inputs_of([17, 0, 40, 3], D=16, O=24)
    product = kernels().grouped_gemm(x, weight, ends)
    torch.testing.assert_close(product, sliced_linear(x, weight, ends))
    offsets = ends.to(torch.int32)
    torch.testing.assert_close(product, F.grouped_mm(x, weight.transpose(1, 2), offs=offsets))
    torch.testing.assert_close(product, kernels().grouped_gemm(x, weight, offsets), rtol=0, atol=0)


@interpreted
def test_tensors_may_have_any_strides():
    x, weight, ends = inputs_of([20, 33], D=20, O=40)
    grads = torch.autograd.grad(oracle(x, weight, ends).sum(), (x, weight))
    x, weight = x.detach().T.contiguous().T.requires_grad_(), weight.detach().mT.contiguous().mT.requires_grad_()
    product = kernels().grouped_gemm(x, weight, ends)
    torch.testing.assert_close(product, sliced_linear(x, weight, ends))
    torch.testing.assert_close(torch.autograd.grad(product.sum(), (x, weight)), grads)  # strides of this grad are 0


@interpreted
@pytest.mark.parametrize(
    ("dtype", "large"), [(torch.bfloat16, 256), (torch.float16, 2048)], ids=["bfloat16", "float16"]
)
def test_sums_are_in_float32(dtype, large):
    """In their own type, large + 1 = large, however often."""
    x = torch.tensor([[large] + [1] * 64], dtype=dtype)
    product = kernels().grouped_gemm(x, torch.ones(1, 1, 65, dtype=dtype), torch.tensor([1]))
    assert product.item() == large + 64


@interpreted
def test_only_gradients_that_are_wanted_are_computed():
    x, weight, ends = inputs_of([3, 4], D=5, O=6)
    for wanted, constant in ((x, weight), (weight, x)):
        constant.requires_grad_(False)
        torch.autograd.grad(kernels().grouped_gemm(x, weight, ends).sum(), wanted)
        constant.requires_grad_(True)


X, WEIGHT, ENDS = torch.zeros(5, 4), torch.zeros(3, 6, 4), torch.tensor([2, 2, 5])
WRONG = {
    "x of one dimension": ((X[0], WEIGHT, ENDS), "must be of shapes"),
    "other widths": ((X, WEIGHT.mT, ENDS), r"must be of shapes .* got \(5, 4\) and \(3, 4, 6\)"),
    "an end too few": ((X, WEIGHT, ENDS[:2]), "ends_E must be 3 integers"),
    "ends in float": ((X, WEIGHT, ENDS.float()), "ends_E must be 3 integers.*float32"),
    "float64": ((X.double(), WEIGHT.double(), ENDS), "must have the same type, float32, float16 or bfloat16"),
    "two types": ((X, WEIGHT.bfloat16(), ENDS), "must have the same type.* got torch.float32 and torch.bfloat16"),
    "two devices": ((X, WEIGHT.to("meta"), ENDS), "must be on one device, got cpu, meta, cpu"),
    "rows left over": ((X, WEIGHT, torch.tensor([2, 2, 4])), "ends_E must rise .* number of rows, 5, got"),
    "rows too many": ((X, WEIGHT, torch.tensor([2, 2, 6])), "ends_E must rise"),
    "a falling end": ((X, WEIGHT, torch.tensor([3, 2, 5])), "ends_E must rise"),
    "a negative end": ((X, WEIGHT, torch.tensor([-1, 2, 5])), "ends_E must rise"),
}


@pytest.mark.parametrize(("arguments", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        kernels().grouped_gemm(*arguments)


def test_compiled_kernels_refuse_cpu_tensors_and_say_how_to_run_them():
    with pytest.raises(ValueError, match=r"must be on a GPU, got cpu.* set TRITON_INTERPRET=1"):
        kernels(interpret=False).grouped_gemm(X, WEIGHT, ENDS)


def compile_for_hopper():
    """Compile every kernel as a launch with contiguous tensors would; print what came out, as JSON."""
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    module = kernels(interpret=False)
    rows, columns, depth = module.ROWS, module.COLUMNS, module.DEPTH
    # Triton compiles a stride of 1 as a constant, and makes use of numbers and addresses that are multiples of 16.
    launches = {
        "rows": (module.rows_kernel, ("x_d", "weight_d"), (rows, columns, depth)),
        "rows, matrix transposed": (module.rows_kernel, ("x_d", "weight_o"), (rows, columns, depth)),
        "weights": (module.weights_kernel, ("grad_o", "x_d"), (depth, rows, columns)),
    }
    found = []
    for name, (kernel, ones, tiles) in launches.items():
        constants = dict(zip(("TILE_J", "TILE_O", "TILE_D"), tiles, strict=True)) | dict.fromkeys(ones, 1)
        for element, multiple in (("bf16", 16), ("bf16", 1), ("fp32", 16)):
            signature = {argument: type_of(argument, element) for argument in kernel.arg_names}
            signature |= dict.fromkeys(constants, "constexpr")
            attributes = {
                (place,): [["tt.divisibility", multiple]]
                for place, argument in enumerate(signature)
                if argument not in constants
            }
            compiled = triton.compile(
                ASTSource(kernel, signature, constants, attributes), target=GPUTarget("cuda", 90, 32)
            )
            start = compiled.asm["cubin"][:4].decode("latin-1")
            found.append((f"{name}, {element}, {multiple}", compiled.asm["ptx"], start, compiled.metadata.shared))
    print(json.dumps(found))


def type_of(argument: str, element: str) -> str:
    """Triton's name for the type of a kernel's argument: tensors have letters of dimensions, strides small ones."""
    if argument in ("ends_E", "expert_Z", "row_Z"):
        return "*i64"
    if "_" in argument and argument.rpartition("_")[2].isupper():
        return f"*{element}"
    return "i32"


@pytest.mark.slow
def test_all_kernels_compile_for_hopper_and_use_its_tensor_cores(tmp_path):
    found = json.loads(in_a_new_process("compile_for_hopper()", TRITON_CACHE_DIR=str(tmp_path)))
    assert len(found) == 9
    for name, ptx, start_of_cubin, shared_memory in found:
        assert ".target sm_90a" in ptx, name
        assert start_of_cubin == "\x7fELF", name
        assert shared_memory <= 227 * 1024, name  # bytes: what a block may have on Hopper
        if "bf16" in name:  # wgmma is Hopper's product for a warp group: 16 steps of the sum at once, added in float32
            assert re.search(r"wgmma\.mma_async\S*k16\.f32\.bf16\.bf16", ptx), name
        else:
            assert "fma.rn.f32" in ptx and "tf32" not in ptx, name


def compare_on_gpu():
    """All shapes and types with compiled kernels, and sizes that fill larger tiles."""
    product = kernels(interpret=False).grouped_gemm
    for shape in (*SHAPES.values(), ([64, 0, 129, 1, 300], 200, 136), ([128] * 4, 256, 256)):
        for dtype in TOLERANCE:
            assert_same(product, *inputs_of(*shape, dtype, device="cuda"))
    x, weight, ends = inputs_of([20, 133], D=20, O=140, device="cuda")
    torch.testing.assert_close(product(x.T.contiguous().T, weight.mT.contiguous().mT, ends), product(x, weight, ends))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_compiled_kernels_agree_with_the_oracle_on_a_gpu(tmp_path):
    in_a_new_process("compare_on_gpu()", TRITON_CACHE_DIR=str(tmp_path))
