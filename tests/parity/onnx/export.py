#!/usr/bin/env python3
"""Writes a BERT or DistilBERT checkpoint folder as an ONNX graph, node by node from the papers.

    python3 tests/parity/onnx/export.py CHECKPOINT OUT.onnx [--pooling mean|cls] [--normalize]

In: ids i64 [1, tokens]. Out: states f32 [tokens, dim] (after the last layer), vector f32 [dim] (pooled, normalised if
the checkpoint says so). With modules.json pooling and normalisation come from there, else from the options.
The graph is written here by hand and shares no code with the PyTorch reference, so that the two are separate oracles.
numpy and onnx only.
"""
import argparse
import json
import struct
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17  # the first with LayerNormalization


def read_safetensors(path):
    data = np.memmap(path, np.uint8, "r")
    length = struct.unpack("<Q", data[:8].tobytes())[0]
    header = json.loads(data[8:8 + length].tobytes())
    header.pop("__metadata__", None)
    kinds = {"F32": np.float32, "F16": np.float16, "I64": np.int64}
    tensors = {}
    for name, entry in header.items():
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        tensors[name] = data[begin:end].view(kinds[entry["dtype"]]).reshape(entry["shape"])
    return tensors


class Graph:
    """Collects nodes and weights; every method returns the name of the value it made."""

    def __init__(self, weights, prefix):
        self.weights, self.prefix = weights, prefix
        self.nodes, self.initializers, self.known = [], [], {}

    def node(self, kind, *inputs, **attributes):
        out = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [out], **attributes))
        return out

    def constant(self, array):
        array = np.asarray(array)
        key = (str(array.dtype), array.shape, array.tobytes())
        if key not in self.known:
            self.known[key] = f"c{len(self.known)}"
            self.initializers.append(numpy_helper.from_array(array, self.known[key]))
        return self.known[key]

    def scalar(self, value):
        return self.constant(np.float32(value))

    def array(self, name):
        for candidate in (name, name.replace("LayerNorm.weight", "LayerNorm.gamma"),
                          name.replace("LayerNorm.bias", "LayerNorm.beta")):
            if self.prefix + candidate in self.weights:
                return np.asarray(self.weights[self.prefix + candidate])
        raise SystemExit(f"no tensor {self.prefix + name}")

    def weight(self, name, transpose=False):
        array = self.array(name)
        label = name + (".T" if transpose else "")
        if label not in self.known:
            self.known[label] = label
            self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(array.T if transpose else array), label))
        return label

    def linear(self, x, name):
        product = self.node("MatMul", x, self.weight(name + ".weight", transpose=True))
        return self.node("Add", product, self.weight(name + ".bias"))

    def layer_norm(self, x, name, epsilon):
        return self.node("LayerNormalization", x, self.weight(name + ".weight"), self.weight(name + ".bias"),
                         axis=-1, epsilon=epsilon)

    def heads(self, x, count):
        """[1, tokens, dim] to [1, heads, tokens, dim / heads]"""
        split = self.node("Reshape", x, self.constant(np.array([1, -1, count, self.dim // count], np.int64)))
        return self.node("Transpose", split, perm=[0, 2, 1, 3])

    def activation(self, x, name):
        if name == "relu":
            return self.node("Relu", x)
        if name in ("gelu_new", "gelu_pytorch_tanh"):  # 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))
            cube = self.node("Mul", self.node("Mul", x, x), x)
            inner = self.node("Add", x, self.node("Mul", cube, self.scalar(0.044715)))
            gate = self.node("Tanh", self.node("Mul", inner, self.scalar(np.sqrt(2 / np.pi))))
        elif name == "gelu":  # 0.5 x (1 + erf(x / sqrt(2)))
            gate = self.node("Erf", self.node("Div", x, self.scalar(np.sqrt(2))))
        else:
            raise SystemExit(f"activation {name} is not exported")
        half = self.node("Mul", x, self.scalar(0.5))
        return self.node("Mul", half, self.node("Add", gate, self.scalar(1)))


BERT = dict(q="attention.self.query", k="attention.self.key", v="attention.self.value", out="attention.output.dense",
            norm1="attention.output.LayerNorm", up="intermediate.dense", down="output.dense", norm2="output.LayerNorm",
            layer="encoder.layer.")
DISTILBERT = dict(q="attention.q_lin", k="attention.k_lin", v="attention.v_lin", out="attention.out_lin",
                  norm1="sa_layer_norm", up="ffn.lin1", down="ffn.lin2", norm2="output_layer_norm",
                  layer="transformer.layer.")


def sizes(config):
    if config["model_type"] == "distilbert":
        return dict(dim=config["dim"], layers=config["n_layers"], heads=config["n_heads"], eps=1e-12,
                    activation=config["activation"])
    return dict(dim=config["hidden_size"], layers=config["num_hidden_layers"], heads=config["num_attention_heads"],
                eps=config["layer_norm_eps"], activation=config["hidden_act"])


def sentence_settings(folder, pooling, normalize):
    modules = folder / "modules.json"
    if not modules.exists():
        return pooling, normalize
    kinds = [module["type"].rsplit(".", 1)[1] for module in json.loads(modules.read_text())]
    if kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
        raise SystemExit(f"{folder}: modules {kinds} are not exported")
    flags = json.loads((folder / "1_Pooling/config.json").read_text())
    named = [name for name, flag in (("cls", "pooling_mode_cls_token"), ("mean", "pooling_mode_mean_tokens")) if flags[flag]]
    if len(named) != 1 or sum(value is True for value in flags.values()) != 1:
        raise SystemExit(f"{folder}: only cls or mean pooling is exported")
    return named[0], kinds[-1] == "Normalize"


def build(folder, pooling=None, normalize=False):
    config = json.loads((folder / "config.json").read_text())
    weights = read_safetensors(folder / "model.safetensors")
    prefix = next(name for name in weights if name.endswith("word_embeddings.weight"))[:-len("embeddings.word_embeddings.weight")]
    names = DISTILBERT if config["model_type"] == "distilbert" else BERT
    size = sizes(config)
    graph = Graph(weights, prefix)
    graph.dim = size["dim"]

    tokens = graph.node("Gather", graph.node("Shape", "ids"), graph.constant(np.array([1], np.int64)))
    positions = graph.node("Slice", graph.weight("embeddings.position_embeddings.weight"),
                           graph.constant(np.array([0], np.int64)), tokens, graph.constant(np.array([0], np.int64)))
    x = graph.node("Add", graph.node("Gather", graph.weight("embeddings.word_embeddings.weight"), "ids"), positions)
    if names is BERT:
        x = graph.node("Add", x, graph.constant(graph.array("embeddings.token_type_embeddings.weight")[0].copy()))
    x = graph.layer_norm(x, "embeddings.LayerNorm", size["eps"])
    for i in range(size["layers"]):
        name = {key: f"{names['layer']}{i}.{value}" for key, value in names.items()}
        query, key, value = (graph.heads(graph.linear(x, name[part]), size["heads"]) for part in "qkv")
        scores = graph.node("MatMul", query, graph.node("Transpose", key, perm=[0, 1, 3, 2]))
        scores = graph.node("Div", scores, graph.scalar(np.sqrt(size["dim"] // size["heads"])))
        mixed = graph.node("MatMul", graph.node("Softmax", scores, axis=-1), value)
        mixed = graph.node("Reshape", graph.node("Transpose", mixed, perm=[0, 2, 1, 3]),
                           graph.constant(np.array([1, -1, size["dim"]], np.int64)))
        x = graph.layer_norm(graph.node("Add", x, graph.linear(mixed, name["out"])), name["norm1"], size["eps"])
        inner = graph.activation(graph.linear(x, name["up"]), size["activation"])
        x = graph.layer_norm(graph.node("Add", x, graph.linear(inner, name["down"])), name["norm2"], size["eps"])

    pooling, normalize = sentence_settings(folder, pooling, normalize)
    if pooling == "mean":
        vector = graph.node("ReduceMean", x, axes=[1], keepdims=0)
    elif pooling == "cls":
        vector = graph.node("Gather", x, graph.constant(np.int64(0)), axis=1)
    else:
        raise SystemExit(f"{folder}: --pooling mean or cls is needed, there is no modules.json")
    if normalize:
        vector = graph.node("Div", vector, graph.node("ReduceL2", vector, axes=[1], keepdims=1))
    graph.nodes.append(helper.make_node("Squeeze", [x, graph.constant(np.array([0], np.int64))], ["states"]))
    graph.nodes.append(helper.make_node("Squeeze", [vector, graph.constant(np.array([0], np.int64))], ["vector"]))

    model = helper.make_model(
        helper.make_graph(
            graph.nodes, folder.name,
            [helper.make_tensor_value_info("ids", TensorProto.INT64, [1, "tokens"])],
            [helper.make_tensor_value_info("states", TensorProto.FLOAT, ["tokens", size["dim"]]),
             helper.make_tensor_value_info("vector", TensorProto.FLOAT, [size["dim"]])],
            graph.initializers),
        producer_name="ranklet tests/parity/onnx/export.py", opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = 8
    return model


def main():
    parser = argparse.ArgumentParser(description="Writes a BERT or DistilBERT checkpoint as an ONNX graph.")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--pooling", choices=["mean", "cls"])
    parser.add_argument("--normalize", action="store_true")
    arguments = parser.parse_args()
    onnx.save(build(arguments.checkpoint, arguments.pooling, arguments.normalize), str(arguments.out))


if __name__ == "__main__":
    main()
