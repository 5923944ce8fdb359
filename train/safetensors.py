"""Safetensors files, read.

Layout: length of the header (8 bytes, little-endian); the header, a JSON object {name: {"dtype", "shape",
"data_offsets": [first, end]}} whose offsets count from the end of the header; the tensors' data.
"""
import glob
import json

import numpy as np

_KINDS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}


def _tensor(path, name, entry, data):
    kind, shape, (first, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
    if kind not in _KINDS:
        raise ValueError(f"{path}: {name} is stored as {kind}; what can be read is {', '.join(_KINDS)}")
    count, width = int(np.prod(shape)), np.dtype(_KINDS[kind]).itemsize
    if not 0 <= first <= end <= len(data) or end - first != count * width:
        raise ValueError(f"{path}: the data of {name} are cut off or of another size than its shape {shape} says")
    values = np.frombuffer(data, _KINDS[kind], count, first).reshape(shape)
    return (values.astype(np.uint32) << 16).view(np.float32) if kind == "BF16" else values.astype(np.float32)


def read_file(path):
    """-> {name: float32 array}"""
    data = memoryview(np.memmap(path, np.uint8, "r"))
    length = int.from_bytes(data[:8], "little")
    if 8 + length > len(data):
        raise ValueError(f"{path} is cut off, or is not a safetensors file")
    header = json.loads(bytes(data[8:8 + length]))
    return {name: _tensor(path, name, entry, data[8 + length:]) for name, entry in header.items()
            if name != "__metadata__"}


def read_folder(folder):
    """All tensors of a checkpoint, which may be spread over several files."""
    paths = sorted(glob.glob(f"{folder}/*.safetensors"))
    if not paths:
        raise FileNotFoundError(f"there is no *.safetensors file in {folder}")
    return {name: array for path in paths for name, array in read_file(path).items()}
