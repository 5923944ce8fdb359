"""GGUF files: read any of the types that a landmark model may have, write F32 and Q8_0, change keys.

Layout (version 3, little-endian): "GGUF", version, number of tensors, number of keys; each key as name, type, value;
each tensor as name, dimensions (fastest first), type, offset; padding to 32 bytes; tensor data, each aligned to 32.
"""
import os
import pathlib
import struct

import numpy as np

UINT32, INT32, FLOAT32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9
F32, F16, Q8_0, BF16 = 0, 1, 8, 30
ALIGNMENT = 32
_SCALAR = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}


class _Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def scalar(self, form):
        value = struct.unpack_from(form, self.data, self.at)[0]
        self.at += struct.calcsize(form)
        return value

    def string(self):
        length = self.scalar("<Q")
        self.at += length
        return bytes(self.data[self.at - length:self.at]).decode("utf-8", "surrogateescape")

    def value(self, kind):
        if kind == STRING:
            return self.string()
        if kind == ARRAY:
            inner, count = self.scalar("<I"), self.scalar("<Q")
            return [self.value(inner) for _ in range(count)]
        return self.scalar(_SCALAR[kind])


def _tensor(data, at, shape, kind):
    count = int(np.prod(shape))
    if kind == F32:
        return np.frombuffer(data, "<f4", count, at).reshape(shape)
    if kind == F16:
        return np.frombuffer(data, "<f2", count, at).astype(np.float32).reshape(shape)
    if kind == BF16:
        return (np.frombuffer(data, "<u2", count, at).astype(np.uint32) << 16).view(np.float32).reshape(shape)
    if kind == Q8_0:
        blocks = np.frombuffer(data, np.uint8, count // 32 * 34, at).reshape(-1, 34)
        scale = blocks[:, :2].copy().view("<f2").astype(np.float32)
        return (blocks[:, 2:].copy().view(np.int8) * scale).reshape(shape)
    raise ValueError(f"tensor type {kind} is not supported")


def _checked_start(reader, path):
    """-> number of tensors, number of keys"""
    assert bytes(reader.data[:4]) == b"GGUF", f"{path} is not a GGUF file"
    reader.at = 4
    assert reader.scalar("<I") == 3, f"{path}: only version 3 is supported"
    return reader.scalar("<Q"), reader.scalar("<Q")


def read(path):
    """-> ({key: value}, {tensor name: float32 array})"""
    reader = _Reader(memoryview(pathlib.Path(path).read_bytes()))
    tensors, count = _checked_start(reader, path)
    keys = {}
    for _ in range(count):
        name = reader.string()
        keys[name] = reader.value(reader.scalar("<I"))
    entries = []
    for _ in range(tensors):
        name = reader.string()
        dimensions = [reader.scalar("<Q") for _ in range(reader.scalar("<I"))]
        entries.append((name, dimensions[::-1], reader.scalar("<I"), reader.scalar("<Q")))
    alignment = keys.get("general.alignment", ALIGNMENT)
    base = -(-reader.at // alignment) * alignment
    return keys, {name: _tensor(reader.data, base + offset, shape, kind) for name, shape, kind, offset in entries}


def quantise_q8_0(array):
    """float32 [..., 32 n] -> bytes: blocks of 32 with one f16 scale."""
    blocks = np.ascontiguousarray(array, np.float32).reshape(-1, 32)
    scale = (np.abs(blocks).max(1, keepdims=True) / 127).astype("<f2")
    wide = scale.astype(np.float32)
    inverse = np.divide(1, wide, out=np.zeros_like(wide), where=wide > 0)
    quants = np.clip(np.rint(blocks * inverse), -127, 127).astype(np.int8)
    return np.concatenate((scale.view(np.uint8), quants.view(np.uint8)), 1).tobytes()


def _string(text):
    data = text.encode("utf-8", "surrogateescape")
    return struct.pack("<Q", len(data)) + data


def _value(kind, value):
    return _string(value) if kind == STRING else struct.pack(_SCALAR[kind], value)


def _key(name, kind, value):
    if isinstance(kind, tuple):
        return _string(name) + struct.pack("<IIQ", ARRAY, kind[1], len(value)) + b"".join(
            _value(kind[1], v) for v in value)
    return _string(name) + struct.pack("<I", kind) + _value(kind, value)


def write(path, keys, tensors):
    """keys: [(name, type, value)], of an array [(name, (ARRAY, type), values)]; tensors: [(name, array, F32 or Q8_0)]."""
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys))
    for name, kind, value in keys:
        head += _key(name, kind, value)
    parts, offset = [], 0
    for name, array, kind in tensors:
        data = quantise_q8_0(array) if kind == Q8_0 else np.ascontiguousarray(array, "<f4").tobytes()
        data += b"\0" * (-len(data) % ALIGNMENT)
        head += _string(name) + struct.pack("<I", array.ndim)
        head += b"".join(struct.pack("<Q", d) for d in array.shape[::-1]) + struct.pack("<IQ", kind, offset)
        offset += len(data)
        parts.append(data)
    with open(path, "wb") as out:
        out.write(head + b"\0" * (-len(head) % ALIGNMENT))
        out.writelines(parts)


def set_keys(path, out, keys, drop=()):
    """Writes the file at `path` to `out` (which may be the same) with `keys`, as write takes them, in place of those of
    the same names, and without those in `drop`. Every tensor stays as it is, byte by byte."""
    reader = _Reader(memoryview(pathlib.Path(path).read_bytes()))
    tensors, count = _checked_start(reader, path)
    names, kept, alignment = {name for name, _, _ in keys} | set(drop), [], ALIGNMENT
    for _ in range(count):
        start = reader.at
        name = reader.string()
        value = reader.value(reader.scalar("<I"))
        if name == "general.alignment":
            alignment = value
        if name not in names:
            kept.append(bytes(reader.data[start:reader.at]))
    start = reader.at
    for _ in range(tensors):
        reader.string()
        dimensions = reader.scalar("<I")
        reader.at += 8 * dimensions + 4 + 8
    listing = bytes(reader.data[start:reader.at])
    data = bytes(reader.data[-(-reader.at // alignment) * alignment:])
    kept += [_key(*key) for key in keys]
    head = b"GGUF" + struct.pack("<IQQ", 3, tensors, len(kept)) + b"".join(kept) + listing
    with open(f"{out}.part", "wb") as file:
        file.write(head + b"\0" * (-len(head) % alignment) + data)
    os.replace(f"{out}.part", out)
