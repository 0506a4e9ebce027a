"""8-bit matrices of a transformer's blocks that keep the neighbours: fitted to texts, layer by layer.

In: a Model with a transformer in it, and token ids of texts. Out: its `blk.*` matrices as 8-bit values with their scales,
biases and factors of inputs changed or added, and Kept: how much of the exact model's answers on the held-out texts is left.

What is done, with the exact model's forward pass and the 8-bit one's side by side over all texts:
- factors: each input of a product is divided by the square root of (its largest magnitude / its weights'), which evens
  the columns out (Xiao et al. 2023, SmoothQuant); between values and output projection that goes into the matrices,
  elsewhere into NAME_factor, which the program multiplies inputs with;
- weights: rounded column by column, what a rounding has changed being made up for by the columns behind it, as the
  inputs' second moments tell (Frantar et al. 2023, GPTQ);
- biases: so that each output is on average what the exact model's is.
"""
import numpy as np

from .errors import ConversionError
from .neighbours import compare
from .numpy_reference import ACTIVATIONS, quantize_rows_with_zero

MIN_TEXTS = 20
MOST_TOKENS = 16384  # of all texts together: what a minute is enough for
HELD_OUT = 5  # every fifth text is measured with, and nothing is fitted to it
DAMPING = 0.01  # of the mean second moment, added to each: few texts do not see all directions
COLUMNS = 128  # whose changes are carried to the columns behind them at once
SMALLEST = np.float32(1e-5)


def gelu(x):
    """The erf form in float32: Abramowitz and Stegun 7.1.26, to 1.5e-7."""
    z = np.abs(x) * np.float32(np.sqrt(0.5))
    t = 1 / (1 + np.float32(0.3275911) * z)
    tail = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * np.float32(1.061405429)))))
    tail *= np.exp(-z * z) / 2
    return (x * np.where(x < 0, tail, 1 - tail)).astype(np.float32)


def factors_of(inputs, weight):
    """[in]: what evens inputs [rows, in] and the columns of weight [out, in] out."""
    of_inputs = np.maximum(np.abs(inputs).max(0), SMALLEST)
    of_weight = np.maximum(np.abs(weight).max(0), SMALLEST)
    return np.sqrt(of_weight / of_inputs).astype(np.float32)


def round_weight(weight, moments):
    """weight [out, in], moments [in, in] of its inputs -> (int8 values, scales [out] f32)."""
    k = weight.shape[1]
    scales = (np.abs(weight).max(1) / np.float32(127)).astype(np.float32)
    scales[scales == 0] = 1
    steps = weight.astype(np.float64) / scales[:, None]
    moments = moments + np.eye(k) * (DAMPING * np.trace(moments) / k + 1e-12)
    order = np.argsort(-np.diag(moments), kind="stable")  # what matters most first, while most columns are left behind it
    steps, moments = steps[:, order], moments[np.ix_(order, order)]
    carried = np.linalg.cholesky(np.linalg.inv(moments)).T  # row j: how a change of column j is made up for
    rounded = np.empty_like(steps)
    for first in range(0, k, COLUMNS):
        last = min(first + COLUMNS, k)
        changes = np.empty((len(steps), last - first))
        for j in range(first, last):
            rounded[:, j] = np.clip(np.rint(steps[:, j]), -127, 127)
            change = changes[:, j - first] = (steps[:, j] - rounded[:, j]) / carried[j, j]
            steps[:, j + 1:last] -= np.outer(change, carried[j, j + 1:last])
        steps[:, last:] -= changes @ carried[first:last, last:]
    values = np.empty(weight.shape, np.int8)
    values[:, order] = rounded
    return values, scales


class _Product:
    """y = x W^T + b in both models; fit() makes the 8-bit one."""

    def __init__(self, model, fitted, weights, biases, weight, bias, factors=None):
        """weights, biases: names, of parts one above the other. weight, bias: what is to be fitted."""
        self.model, self.fitted, self.weights, self.biases = model, fitted, weights, biases
        self.weight, self.bias, self.factors = weight, bias, factors

    def exact(self, x):
        return x @ self.weight.T + self.bias  # zeros where the model has no bias

    def fit(self, inputs, wanted, sums=None):
        """inputs: the 8-bit model's. wanted: the exact model's outputs. sums: what they become a part of, if they are added to
        something: a token counts by the inverse of its square. -> the 8-bit model's outputs."""
        weight = self.weight
        if self.factors is not None:
            weight = weight / self.factors
            inputs = inputs * self.factors
        inputs = quantize_rows_with_zero(inputs)
        if not (np.isfinite(inputs).all() and np.isfinite(weight).all()):
            raise ConversionError(f"{self.weights[0]}: the weights give NaN or infinity on the texts that they are fitted to")
        seen = inputs[self.fitted]
        counts = np.ones(len(seen)) if sums is None else 1 / np.maximum((sums[self.fitted].astype(np.float64) ** 2).mean(1), SMALLEST)
        counts = (counts / counts.sum())[:, None].astype(np.float32)
        values, scales = round_weight(weight, (seen.T @ (seen * counts)).astype(np.float64))
        outputs = inputs @ (values * scales[:, None]).T
        bias = ((wanted[self.fitted] - outputs[self.fitted]) * counts).sum(0).astype(np.float32)
        first = 0
        for weight_name, bias_name in zip(self.weights, self.biases):
            part = slice(first, first + len(self.model.tensors[weight_name][0]))
            first = part.stop
            self.model.quantized(weight_name, values[part], scales[part])
            self.model.exact(bias_name, bias[part])
        if self.factors is not None:
            self.model.exact(f"{self.weights[0]}_factor", self.factors)
        return outputs + bias


def quantize_blocks(model, reference, texts, stage=lambda text: None):
    """Fits the blocks to texts (lists of token ids) -> Kept, of the vectors of those held out.

    reference(metadata, tensor, kind): the kind's numpy reference."""
    with np.errstate(over="ignore", invalid="ignore"):  # what comes out of it is looked at
        return _quantize_blocks(model, reference, texts, stage)


def _quantize_blocks(model, reference, texts, stage):
    texts = sorted(texts, key=len)
    held_out = np.arange(len(texts)) % HELD_OUT == HELD_OUT // 2
    bounds = np.cumsum([0] + [len(ids) for ids in texts])
    fitted = ~np.repeat(held_out, np.diff(bounds))
    metadata = model.metadata()
    activation = ACTIVATIONS[metadata["ranklet.encoder.activation"]]
    activation = gelu if activation is ACTIVATIONS["gelu"] else activation

    def original(name):
        return np.asarray(model.tensors[name][0], np.float32)

    exact = reference(metadata, lambda name, rows=None: original(name)[() if rows is None else rows]
                      if name in model.tensors else None, np.float32)
    small = reference(metadata, model.tensor, np.float32)
    heads, blocks = exact.of("attention.head_count"), exact.of("block_count")
    key_heads = exact.of("attention.head_count_kv", heads)

    def attend(model_of, n, qkv, widths):
        q, k, v = np.split(qkv, np.cumsum(widths)[:2], axis=1)
        return np.concatenate([model_of.attend(n, q[a:b], k[a:b], v[a:b]) for a, b in zip(bounds, bounds[1:])])

    x, y = exact.embed(texts), small.embed(texts)  # the exact model's states, and the 8-bit one's
    for n in range(blocks):
        stage(f"fitting 8-bit weights to {len(texts)} texts, block {n + 1} of {blocks}")
        block = f"blk.{n}."

        def product(*names):
            weights, biases = ([f"{block}{name}.{part}" for name in names] for part in ("weight", "bias"))
            matrices = [original(name) for name in weights]
            vectors = [original(name) if name in model.tensors else np.zeros(len(matrix), np.float32)
                       for name, matrix in zip(biases, matrices)]
            return _Product(model, fitted, weights, biases, np.concatenate(matrices), np.concatenate(vectors))

        def read(norm):
            return exact.norm(x, block + norm), small.norm(y, block + norm)

        def add(changes, behind, summed):
            return (model_of.norm(states + model_of.norm(change, block + behind), block + summed)
                    for model_of, states, change in zip((exact, small), (x, y), changes))

        qkv, output = product("attn_q", "attn_k", "attn_v"), product("attn_output")
        widths = [len(original(name)) for name in qkv.weights]
        inputs, inputs_y = read("attn_norm")
        of_qkv = qkv.exact(inputs)
        context = attend(exact, n, of_qkv, widths)
        of_output = output.exact(context)
        # Factors of the context are folded into the values, which it is a mean of: those of a value's head are one in all of
        # the heads that look at it.
        width, values = context.shape[1] // heads, slice(sum(widths[:2]), None)
        grouped = [each.reshape(len(each), key_heads, -1, width).transpose(0, 2, 1, 3).reshape(-1, key_heads * width)
                   for each in (context[fitted], output.weight)]
        factors = factors_of(*grouped)
        output.weight = output.weight / np.repeat(factors.reshape(key_heads, 1, width), heads // key_heads, axis=1).reshape(-1)
        qkv.weight[values] *= factors[:, None]
        qkv.bias[values] *= factors
        of_qkv[:, values] *= factors
        qkv.factors = factors_of(inputs[fitted], qkv.weight)
        context = attend(small, n, qkv.fit(inputs_y, of_qkv), widths)
        x, y = add((of_output, output.fit(context, of_output, x + of_output)), "post_attention_norm", "attn_output_norm")

        inputs, inputs_y = read("ffn_norm")
        inner, inner_y = None, None
        for name in ("ffn_gate", "ffn_up"):
            if f"{block}{name}.weight" not in model.tensors:
                continue
            widened = product(name)
            wanted = widened.exact(inputs)
            widened.factors = factors_of(inputs[fitted], widened.weight)
            got = widened.fit(inputs_y, wanted)
            if inner is None:
                inner, inner_y = activation(wanted), activation(got)
            else:
                inner, inner_y = inner * wanted, inner_y * got
        down = product("ffn_down")
        of_down = down.exact(inner)
        down.factors = factors_of(inner[fitted], down.weight)
        x, y = add((of_down, down.fit(inner_y, of_down, x + of_down)), "post_ffw_norm", "layer_output_norm")
    x, y = exact.norm(x, "output_norm"), small.norm(y, "output_norm")
    model.key("ranklet.version", 2, "u32")
    model.key("ranklet.encoder.quantization", "zero_point", "string")
    vectors = [np.stack([model_of.vector(states[a:b]) for a, b in zip(bounds, bounds[1:])])
               for model_of, states in ((exact, x), (small, y))]
    return compare(*vectors, of=np.flatnonzero(held_out))
