"""ONNX graphs of the same weights, in the forms that make ONNX Runtime fastest.

In: a checkpoint folder, or a GRU's weights. Out: a ModelProto.
A BERT graph takes ids and mask, both i32 [texts, length], and gives vector f32 [texts, dim]. Its forms:
  fused       ONNX Runtime's own Attention operator; the rest in standard operators, which ONNX Runtime fuses as it loads
  int8        every weight product as its dynamic quantiser writes it: DynamicQuantizeLinear, MatMulInteger, Cast, Mul, Add
  int8-fused  the same, with its QAttention operator
Int8 weights are symmetric with one scale per output column, activations unsigned with one scale per batch.
Of ONNX Runtime 1.30's other operators, SkipLayerNormalization, BiasGelu, DynamicQuantizeMatMul and MultiHeadAttention were
tried on MiniLM-L6 and made it slower (by 4 to 45 %), so they are not used.
numpy and onnx only; nodes and weights are collected by tests/parity/onnx/export.py.
"""
import json
import sys
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests/parity/onnx"))
from export import BERT, OPSET, Graph, read_safetensors, sentence_settings, sizes  # noqa: E402

MICROSOFT = "com.microsoft"


def finish(graph, name, inputs, outputs):
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
    proto = helper.make_graph(graph.nodes, name, inputs, outputs, graph.initializers)
    model = helper.make_model(proto, producer_name="ranklet bench/peers/graphs.py", opset_imports=opsets)
    model.ir_version = 8
    return model


def per_column_int8(weight):
    """[in, out] f32 -> int8, one scale a column."""
    scale = np.maximum(np.abs(weight).max(0), 1e-12).astype(np.float32) / np.float32(127)
    return np.rint(weight / scale).astype(np.int8), scale


class BertGraph(Graph):
    def __init__(self, folder, form):
        config = json.loads((folder / "config.json").read_text())
        weights = read_safetensors(folder / "model.safetensors")
        marker = "embeddings.word_embeddings.weight"
        super().__init__(weights, next(name for name in weights if name.endswith(marker))[:-len(marker)])
        self.form, self.size = form, sizes(config)
        self.dim, self.epsilon = self.size["dim"], self.size["eps"]
        self.quantized = {}  # value -> its (int8, scale, zero point), made once as the quantiser does

    def matrix(self, *names):
        """The weights of one or several Linear layers side by side, [in, out], and their biases."""
        return (np.concatenate([self.array(n + ".weight").T for n in names], 1),
                np.concatenate([self.array(n + ".bias") for n in names]))

    def quantize(self, x):
        if x not in self.quantized:
            outs = tuple(f"{x}_{part}" for part in ("int8", "scale", "zero"))
            self.nodes.append(helper.make_node("DynamicQuantizeLinear", [x], list(outs)))
            self.quantized[x] = outs
        return self.quantized[x]

    def linear(self, x, name):
        weight, bias = self.matrix(name)
        if self.form == "fused":
            product = self.node("MatMul", x, self.constant(weight))
        else:
            packed, scale = per_column_int8(weight)
            x8, x_scale, x_zero = self.quantize(x)
            total = self.node("MatMulInteger", x8, self.constant(packed), x_zero, self.constant(np.zeros(len(scale), np.int8)))
            product = self.node("Mul", self.node("Cast", total, to=TensorProto.FLOAT),
                                self.node("Mul", x_scale, self.constant(scale)))
        return self.node("Add", product, self.constant(bias))

    def heads(self, x, count):
        split = self.node("Reshape", x, self.constant(np.array([0, 0, count, self.dim // count], np.int64)))
        return self.node("Transpose", split, perm=[0, 2, 1, 3])

    def attention(self, x, name):
        count = self.size["heads"]
        if self.form == "int8":
            query, key, value = (self.heads(self.linear(x, name[part]), count) for part in "qkv")
            scores = self.node("MatMul", query, self.node("Transpose", key, perm=[0, 1, 3, 2]))
            scores = self.node("Div", scores, self.scalar(np.sqrt(self.dim // count)))
            scores = self.node("Add", scores, self.hidden_keys)
            mixed = self.node("MatMul", self.node("Softmax", scores, axis=-1), value)
            return self.node("Reshape", self.node("Transpose", mixed, perm=[0, 2, 1, 3]),
                             self.constant(np.array([0, 0, self.dim], np.int64)))
        weight, bias = self.matrix(name["q"], name["k"], name["v"])
        if self.form == "fused":
            return self.node("Attention", x, self.constant(weight), self.constant(bias), "mask", num_heads=count, domain=MICROSOFT)
        packed, scale = per_column_int8(weight)
        x8, x_scale, x_zero = self.quantize(x)
        return self.node("QAttention", x8, self.constant(packed), self.constant(bias), x_scale, self.constant(scale), "mask",
                         x_zero, self.constant(np.zeros(len(scale), np.int8)), num_heads=count, domain=MICROSOFT)

    def embed(self):
        length = self.node("Gather", self.node("Shape", "ids"), self.constant(np.array([1], np.int64)))
        zero = self.constant(np.array([0], np.int64))
        positions = self.node("Slice", self.weight("embeddings.position_embeddings.weight"), zero, length, zero)
        x = self.node("Add", self.node("Gather", self.weight("embeddings.word_embeddings.weight"), "ids"), positions)
        x = self.node("Add", x, self.constant(self.array("embeddings.token_type_embeddings.weight")[0].copy()))
        return self.layer_norm(x, "embeddings.LayerNorm", self.epsilon)


def bert(folder, form):
    graph = BertGraph(folder, form)
    if graph.size["activation"] != "gelu" or "distil" in json.loads((folder / "config.json").read_text())["model_type"]:
        raise SystemExit(f"{folder}: only BERT with gelu is made into a fused graph")
    pooling, normalize = sentence_settings(folder, "mean", False)
    if pooling != "mean":
        raise SystemExit(f"{folder}: only mean pooling is made into a fused graph")
    axis = lambda *axes: graph.constant(np.array(axes, np.int64))
    real = graph.node("Cast", "mask", to=TensorProto.FLOAT)
    if form == "int8":
        hidden = graph.node("Mul", graph.node("Sub", graph.scalar(1), real), graph.scalar(-1e4))
        graph.hidden_keys = graph.node("Unsqueeze", hidden, axis(1, 2))
    x = graph.embed()
    for i in range(graph.size["layers"]):
        name = {key: f"{BERT['layer']}{i}.{value}" for key, value in BERT.items()}
        mixed = graph.linear(graph.attention(x, name), name["out"])
        x = graph.layer_norm(graph.node("Add", x, mixed), name["norm1"], graph.epsilon)
        inner = graph.activation(graph.linear(x, name["up"]), "gelu")
        x = graph.layer_norm(graph.node("Add", x, graph.linear(inner, name["down"])), name["norm2"], graph.epsilon)
    weights = graph.node("Unsqueeze", real, axis(2))
    vector = graph.node("Div", graph.node("ReduceSum", graph.node("Mul", x, weights), axis(1), keepdims=0),
                        graph.node("ReduceSum", weights, axis(1), keepdims=0))
    if normalize:
        vector = graph.node("Div", vector, graph.node("ReduceL2", vector, axes=[1], keepdims=1))
    graph.nodes.append(helper.make_node("Identity", [vector], ["vector"]))
    info = helper.make_tensor_value_info
    return finish(graph, folder.name + "-" + form,
                  [info("ids", TensorProto.INT32, ["texts", "length"]), info("mask", TensorProto.INT32, ["texts", "length"])],
                  [info("vector", TensorProto.FLOAT, ["texts", graph.dim])])


def gru(weight_ih, weight_hh, bias_ih, bias_hh):
    """torch.nn.GRU's weights (gates r, z, n) as ONNX's GRU (gates z, r, n, the hidden bias inside the reset gate's product):
    x f32 [steps, sequences, in] -> states f32 [steps, 1, sequences, hidden]."""
    order = lambda w: np.concatenate([w[len(w) // 3:2 * len(w) // 3], w[:len(w) // 3], w[2 * len(w) // 3:]])[None]
    graph = Graph({}, "")
    names = [graph.constant(order(w)) for w in (weight_ih, weight_hh)]
    bias = graph.constant(np.concatenate([order(bias_ih), order(bias_hh)], 1))
    hidden = weight_hh.shape[1]
    graph.nodes.append(helper.make_node("GRU", ["x", *names, bias], ["states"], hidden_size=hidden, linear_before_reset=1))
    info = helper.make_tensor_value_info
    return finish(graph, "gru", [info("x", TensorProto.FLOAT, ["steps", "sequences", weight_ih.shape[1]])],
                  [info("states", TensorProto.FLOAT, ["steps", 1, "sequences", hidden])])


def nothing():
    """x -> x: what a call costs by itself."""
    info = helper.make_tensor_value_info
    graph = Graph({}, "")
    graph.nodes.append(helper.make_node("Identity", ["x"], ["y"]))
    return finish(graph, "nothing", [info("x", TensorProto.FLOAT, [1])], [info("y", TensorProto.FLOAT, [1])])
