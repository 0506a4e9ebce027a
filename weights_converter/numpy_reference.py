"""What the kinds' forward passes in numpy share: formulas, and a model file's tensors in the type that is computed in.

A kind's Reference computes what a model file's self-test expects, without PyTorch. Written for clearness and double
precision, not speed.
"""
import math

import numpy as np

from .gguf import read_gguf

_erf = np.frompyfunc(math.erf, 1, 1)


def erf(x):
    return _erf(x.astype(np.float64)).astype(x.dtype)


def sigmoid(x):
    return (0.5 * (1 + np.tanh(0.5 * x))).astype(x.dtype)  # this form does not overflow


ACTIVATIONS = {
    "identity": lambda x: x,
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "relu": lambda x: np.maximum(x, 0),
    "silu": lambda x: x * sigmoid(x),
    "gelu": lambda x: x * (1 + erf(x * math.sqrt(0.5))) / 2,
    "gelu_tanh": lambda x: x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3))) / 2,
}


GATES = {  # what makes a GRU's gates; hard_sigmoid as Keras 1 and 2, and as Keras 3 and PyTorch have it
    "sigmoid": sigmoid,
    "hard_sigmoid_keras2": lambda x: np.clip(x / 5 + x.dtype.type(0.5), 0, 1),
    "hard_sigmoid_keras3": lambda x: np.clip(x + 3, 0, 6) / 6,
}


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def attention(q, k, v, heads):
    """[length, dim] each -> [length, dim]; softmax(q k^T / sqrt(head size)) v in every head."""
    length, dim = q.shape
    q, k, v = (x.reshape(length, heads, dim // heads).transpose(1, 0, 2) for x in (q, k, v))
    weights = softmax(q @ k.transpose(0, 2, 1) / math.sqrt(dim // heads))
    return (weights @ v).transpose(1, 0, 2).reshape(length, dim)


def quantize_rows(x):
    """Rows of activations as 8-bit products see them: rounded to whole multiples of max|row| / 127."""
    scale = np.max(np.abs(x), axis=-1, keepdims=True) / x.dtype.type(127)
    return np.rint(x / np.where(scale == 0, 1, scale)) * scale


def quantize_rows_with_zero(x):
    """The same with a zero point: whole multiples of a 253rd of the row's range, zero included."""
    low, high = np.minimum(x.min(-1, keepdims=True), 0), np.maximum(x.max(-1, keepdims=True), 0)
    scale = (high - low) / x.dtype.type(253)
    scale_or_1 = np.where(scale == 0, x.dtype.type(1), scale)
    middle = np.rint((high + low) / 2 / scale_or_1)
    return (np.rint(x / scale_or_1 - middle) + middle) * scale


class Reference:
    """metadata: values by key. tensor(name, rows=None): float32 array of the tensor (of these rows), or None.

    kind: the type that everything is computed in.
    """

    def __init__(self, metadata, tensor, kind=np.float64):
        self.metadata, self.source, self.kind = metadata, tensor, kind

    @classmethod
    def of_file(cls, path, kind=np.float64):
        metadata, tensors = read_gguf(path)

        def tensor(name, rows=None):
            array = tensors.get(name)
            return array if array is None or rows is None else array[rows]

        return cls(metadata, tensor, kind)

    def tensor(self, name, rows=None):
        array = self.source(name, rows)
        return None if array is None else array.astype(self.kind)

    def linear(self, x, name, factors_of=None):
        """factors_of: the map whose factors of inputs are this one's too; None: its own."""
        in_blocks = name.startswith("blk.")
        with_zero = in_blocks and self.metadata.get("ranklet.encoder.quantization") == "zero_point"
        factors = self.tensor(f"{factors_of or name}.weight_factor") if with_zero else None
        return self.map(f"{name}.weight", f"{name}.bias", in_blocks,
                        quantize_rows_with_zero if with_zero else quantize_rows)(x if factors is None else x * factors)

    def map(self, weight, bias, in_8_bits, quantize=quantize_rows):
        """x -> x W^T + b; where W is stored in 8 bits and the product runs in them, rows of x are rounded to 8 bits too."""
        rounded = in_8_bits and self.source(f"{weight}_scale") is not None
        weight, bias = self.tensor(weight).T, self.tensor(bias)

        def apply(x):
            y = (quantize(x) if rounded else x) @ weight
            return y if bias is None else y + bias

        return apply
