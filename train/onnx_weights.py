"""Initialisers of an ONNX file, read without the onnx package.

Only what a BERT encoder exported with 8-bit weights needs: the graph's initialisers, and of each
MatMulInteger node its name and the name of its weight (the exporter gives those weights no name of
their own). ONNX is a protocol-buffers file; the field numbers are those of onnx.proto.
"""
import pathlib

import numpy as np

from .protobuf import fields, varint

_ELEMENT = {1: np.float32, 2: np.uint8, 3: np.int8, 6: np.int32, 7: np.int64, 10: np.float16}


def _packed(value):
    """A repeated integer field: one value, or several packed into bytes."""
    if isinstance(value, int):
        return [value]
    out, at = [], 0
    while at < len(value):
        number, at = varint(value, at)
        out.append(number)
    return out


def _tensor(data):
    """TensorProto -> (name, array)."""
    shape, kind, name, raw, floats, integers = [], 1, "", b"", b"", []
    for number, value in fields(data):
        if number == 1:
            shape += _packed(value)
        elif number == 2:
            kind = value
        elif number == 4:
            floats += bytes(value)
        elif number == 5:
            integers += _packed(value)
        elif number == 8:
            name = bytes(value).decode()
        elif number == 9:
            raw = bytes(value)
    if integers:
        array = np.array(integers, np.int64).astype(_ELEMENT[kind])
    else:
        array = np.frombuffer(raw or floats, _ELEMENT[kind])
    return name, array.reshape(shape)


def _node(data):
    """NodeProto -> (operator, name, input names)."""
    inputs, name, operator = [], "", ""
    for number, value in fields(data):
        if number == 1:
            inputs.append(bytes(value).decode())
        elif number == 3:
            name = bytes(value).decode()
        elif number == 4:
            operator = bytes(value).decode()
    return operator, name, inputs


def read_onnx(path):
    """-> ({name: array} of the initialisers, [(operator, name, inputs)] of the nodes)."""
    model = memoryview(pathlib.Path(path).read_bytes())
    graph = next(value for number, value in fields(model) if number == 7)
    tensors, nodes = {}, []
    for number, value in fields(graph):
        if number == 5:
            name, array = _tensor(value)
            tensors[name] = array
        elif number == 1:
            nodes.append(_node(value))
    return tensors, nodes
