"""Memory layers' attention on a GPU: the fused kernels against a naive version in float64, then time and peak memory.

    python3 -m train.bench_attention [--config FILE] [--seconds 100] [--sizes 2048 ... 32768]

The table compares naive, blockwise and fused attention on sequences of T rows, as many as make 32,768 rows, each one
document, in bfloat16; its rows are printed one by one. What runs out of memory says so, and so does what does not fit into
--seconds; where a version fails, its error goes to stderr and the others go on.
"""
import argparse
import statistics
import sys
import time
import traceback

import torch

from . import fused_attention, landmark_attention
from .config import Shape, load_config

ALL_ROWS = 32768


def random_inputs(shape, batch, length, dtype):
    """-> queries, keys and values, with gradients, in that order"""
    generator = torch.Generator("cuda").manual_seed(0)
    return [torch.randn(batch, length, heads, shape.head_width, generator=generator, device="cuda", dtype=dtype).requires_grad_()
            for heads in (shape.heads, shape.kv_heads, shape.kv_heads)]


def rotation_tables(shape, length):
    position = torch.arange(length, device="cuda")
    offset = position % shape.rows
    return {kind: landmark_attention.rotary_table(at, shape.head_width, shape.rotary_base)
            for kind, at in (("true", position), ("offset", offset), ("far_query", offset + shape.far))}


def versions(shape):
    """{name: function of (q, k, v, tables, documents) -> output [B, T, H, D]}"""
    def naive(q, k, v, tables, documents):
        return landmark_attention.grouped_attention_naive(q, k, v, shape)[0]

    def blockwise(*arguments):
        return landmark_attention.grouped_attention(*arguments, shape)[0]

    def fused(*arguments):
        return fused_attention.grouped_attention(*arguments, shape)[0]

    return {"naive": naive, "blockwise": blockwise, "fused": fused, "fused, compiled": torch.compile(fused, dynamic=False),
            "blockwise, compiled": torch.compile(blockwise, dynamic=False)}  # the last: compiling it takes longest


def arguments_of(shape, batch, length, dtype):
    documents = torch.zeros(batch, length // shape.rows, dtype=torch.int64, device="cuda")
    return [*random_inputs(shape, batch, length, dtype), rotation_tables(shape, length), documents]


def attempt(name, function):
    """-> what the function returns, or, after printing the error, why there is nothing"""
    try:
        return function()
    except torch.cuda.OutOfMemoryError:
        return "out of memory"
    except Exception as error:
        print(f"{name}: {''.join(traceback.format_exception(error)[-6:])}"[-3000:], file=sys.stderr, flush=True)
        return "failed"
    finally:
        torch.cuda.empty_cache()


# ---------------------------------------------------------------- correctness


def relative_errors(shape, function, length, dtype):
    """Of the output and of the gradients of q, k and v, against the naive version in float64."""
    arguments = arguments_of(shape, 1, length, dtype)
    exact = [x.detach().double().requires_grad_() for x in arguments[:3]]
    expected = landmark_attention.grouped_attention_naive(*exact, shape)[0]
    weight = torch.randn(expected.shape, device="cuda", dtype=torch.float64, generator=torch.Generator("cuda").manual_seed(1))
    (expected * weight).sum().backward()
    actual = function(*arguments)
    (actual.double() * weight).sum().backward()
    pairs = [(actual, expected), *((x.grad, y.grad) for x, y in zip(arguments, exact))]
    return [((a.double() - b).norm() / b.norm()).item() for a, b in pairs]


def check(shape):
    print("relative error (norm) against the naive version in float64\n")
    print(f"| {'version':9} | {'type':8} | {'T':>5} | {'output':>8} | {'dq':>8} | {'dk':>8} | {'dv':>8} |")
    print("|---|---|---:|---:|---:|---:|---:|")
    for name in ("blockwise", "fused"):
        for dtype in (torch.bfloat16, torch.float32):
            for length in (512, 2048):
                errors = attempt(name, lambda: relative_errors(shape, versions(shape)[name], length, dtype))
                shown = f"{errors} |" if isinstance(errors, str) else " | ".join(f"{e:8.1e}" for e in errors) + " |"
                print(f"| {name:9} | {str(dtype)[6:]:8} | {length:5} | {shown}", flush=True)


# ---------------------------------------------------------------- time and memory


def milliseconds(function, repeat=10):
    """Median time of a call on the GPU."""
    times = []
    for _ in range(repeat):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        function()
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end))
    return statistics.median(times)


def measure(shape, function, length):
    """-> milliseconds of a forward pass, and of one with its backward pass; peak memory of the latter in MiB beyond
    its inputs"""
    arguments = arguments_of(shape, max(1, ALL_ROWS // length), length, torch.bfloat16)
    weight = torch.randn_like(arguments[0])

    def both():
        function(*arguments).backward(weight)
        for x in arguments[:3]:
            x.grad = None

    for _ in range(2):  # what is compiled is compiled here
        both()
    forward_time = milliseconds(lambda: function(*arguments))
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    both_time = milliseconds(both)
    return forward_time, both_time, (torch.cuda.max_memory_allocated() - before) / 2 ** 20


def table(shape, sizes, deadline):
    """A row is printed as soon as it is measured."""
    print(f"\n{ALL_ROWS:,} rows in sequences of T rows, bfloat16, {shape.heads} heads, {shape.kv_heads} key/value heads, "
          f"width {shape.head_width}, reach {shape.reach}\n")
    print(f"| {'version':19} | {'T':>6} | forward ms | forward + backward ms | peak MiB |")
    print("|---|---:|---:|---:|---:|", flush=True)
    for name, function in versions(shape).items():
        for length in sizes:
            found = attempt(name, lambda: measure(shape, function, length)) if time.time() < deadline else "no time left"
            if isinstance(found, str):
                cells = f"{found} | | |"
            else:
                forward, both, peak = found
                cells = f"{forward:10.2f} | {both:21.2f} | {peak:8,.0f} |"
            print(f"| {name:19} | {length:6,} | {cells}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--config", default="", help="a run's configuration, for its shape")
    parser.add_argument("--seconds", type=float, default=100, help="no measurement begins later")
    parser.add_argument("--sizes", type=int, nargs="+", default=[2048, 4096, 8192, 16384, 32768])
    options = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("there is no GPU to measure")
    deadline = time.time() + options.seconds
    shape = load_config(options.config)[0] if options.config else Shape()
    fused_attention.check(shape)
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, triton {fused_attention.triton.__version__}\n")
    check(shape)
    table(shape, options.sizes, deadline)


if __name__ == "__main__":
    main()
