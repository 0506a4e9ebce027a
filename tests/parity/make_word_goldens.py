#!/usr/bin/env python3
"""Makes the committed goldens of word vectors: tiny models with what PyTorch and plain numpy say of them.

    python3 tests/parity/make_word_goldens.py [OUT_FOLDER]        (default: tests/parity/goldens)

Out: word-fuzz.golden.gguf (random texts and their words by rule and casing) and NAME.gguf (the model, written by weights_converter from a file or folder made here) and NAME.golden.gguf (texts, token
ids, vectors; for recommenders histories, user states and scores). Which words a text has is written here by hand, beside
the text, so no tokenizer of ours has a say; vectors are torch.nn.EmbeddingBag's in float64, over the table as stored.

Needs torch, numpy and this repository's weights_converter.
"""
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
sys.path[:0] = [str(REPOSITORY), str(HERE)]

import make_checkpoints as layouts  # noqa: E402
from weights_converter.gguf import GGUFWriter, read_gguf  # noqa: E402
from weights_converter.words import Words  # noqa: E402

WORDS = ("<unk> the a of for with phone case charger fast red black camera coffee book don't well made well-known 128 gb 1.5 "
         "café — , . ! k's 手机 手机壳 手 机 壳 充电器 快充 红 红色 色 的 防水 水 t恤 恤 卡拉ok 人民 人民共和国 共和 国").split()
# A text and its words: lower case, longest match, joined words whole or in parts, what is unknown left out (?: unknown).
WORD_TEXTS = [
    ("", ""),
    ("a", "a"),
    ("Phone CASE, red!", "phone case , red !"),
    ("手机壳", "手机壳"),
    ("红色手机的快充充电器", "红色 手机 的 快充 充电器"),
    ("人民共和国", "人民共和国"),
    ("人民共和", "人民 共和"),
    ("Don't — well-made 1.5 128GB", "don't — well made 1.5 ?128gb"),
    ("well-known 1,5 K's zebra's", "well-known ?1 ?5 k's ?zebra ?s"),
    ("白T恤 T 恤", "?白 t恤 ?t 恤"),
    ("卡拉OK! iPhone手机", "卡拉ok ! ?iphone 手机"),
    ("zebra 无 #", "?zebra ?无"),
    ("the fast charger for a phone with a red case of the camera. " * 3,
     "the fast charger for a phone with a red case of the camera . " * 3),
]
# Texts and WordPiece tokens for the tokenizer of make_checkpoints.py.
PIECE_TEXTS = [
    ("", ""),
    ("the new phone cases", "the new phone case ##s"),
    ("手机壳, fast charger", "手 机 壳 , fast charger"),
    ("無 [MASK] zebra book", "[UNK] [MASK] z ##e ##b ##r ##a book"),
    ("ᚠᚢᚦ", "[UNK]"),
    ("runing shoe 防水", "r ##u ##n ##ing shoe 防 水"),
]
HISTORIES = {"cold": ([], None), "one": ([2], None), "unrated": ([2, 3, 4, 2], None), "rated": ([4, 2, 5, 3, 7], [5.0, None, 1.0, 3.5, 9.0])}
RATINGS = layouts.RATINGS


def as_f32(tensor):
    return np.ascontiguousarray(tensor.detach().numpy().astype(np.float32))


def convert(source, out, *options):
    subprocess.run([sys.executable, "-m", "weights_converter", source, out, *options], cwd=REPOSITORY, check=True)


def write_words(path, table):
    path.write_text("".join(f"{word} {' '.join(repr(float(x)) for x in row)}\n" for word, row in zip(WORDS, table)), "utf-8")


def word_ids(words, unknown):
    """unknown: the id of what is marked with ?, None to leave it out."""
    ids = [unknown if word.startswith("?") else WORDS.index(word) for word in words.split()]
    return [i for i in ids if i is not None]


def bags(table, ids, weights=None, normalize=False):
    """torch.nn.EmbeddingBag over float64 rows: the mean of weighted rows; an empty bag is the zero vector."""
    flat = torch.tensor([i for each in ids for i in each], dtype=torch.int64)
    offsets = torch.tensor(np.cumsum([0] + [len(each) for each in ids])[:-1])
    sums = F.embedding_bag(flat, torch.from_numpy(table.astype(np.float64)), offsets, mode="sum",
                           per_sample_weights=None if weights is None else torch.from_numpy(weights.astype(np.float64))[flat])
    vectors = sums / torch.tensor([max(1, len(each)) for each in ids])[:, None]
    return F.normalize(vectors, dim=1) if normalize else vectors


def begin(out, name, texts, ids, vectors):
    writer = GGUFWriter(out / f"{name}.golden.gguf")
    writer.add("general.architecture", "golden", "string")
    writer.add("golden.made_by", "tests/parity/make_word_goldens.py", "string")
    writer.add("golden.torch", torch.__version__, "string")
    writer.add("golden.numpy", np.__version__, "string")
    writer.add("golden.texts", list(texts), "[string]")
    writer.add("golden.token_ids", [i for each in ids for i in each], "[i32]")
    writer.add("golden.token_offsets", np.cumsum([0] + [len(each) for each in ids]), "[i32]")
    writer.add_tensor("golden.vectors", as_f32(vectors), "f32")
    return writer


def stored_table(out, name):
    return read_gguf(out / f"{name}.gguf")[1]["ranklet.words.weight"].astype(np.float32)


def words_model(out, work, name, dim, unknown, normalize, *options):
    write_words(work / "words.txt", layouts.Draw(name).normal(len(WORDS), dim))
    convert(work / "words.txt", out / f"{name}.gguf", "--name", name, *options)
    ids = [word_ids(words, unknown) for _, words in WORD_TEXTS]
    begin(out, name, [text for text, _ in WORD_TEXTS], ids, bags(stored_table(out, name), ids, None, normalize)).write()


def static_model(out, work, name, dim, dtype, model2vec, truncation=None, eight_bits=False):
    """model2vec: weights, a mapping to fewer rows, [UNK] dropped, normalised; otherwise StaticEmbedding's plain form.
    truncation: the tokens, [UNK] among them, that the tokenizer stops at. eight_bits: a table of int8."""
    draw, folder, tokens = layouts.Draw(name), work / name, layouts.tiny_vocabulary()
    folder.mkdir()
    inner = folder if model2vec else folder / "0_StaticEmbedding"
    layouts.write_tokenizer(inner, tokens, 512)
    count = len(tokens)
    if model2vec:
        mapping = np.arange(count) * 7 % 50
        weights = np.abs(draw.normal(count)) + np.float32(0.1)
        table = draw.normal(50, dim)
        if eight_bits:
            table = np.rint(table * 127 / np.abs(table).max()).astype(np.int8)
        layouts.write_safetensors(inner / "model.safetensors", {"embeddings": table, "weights": weights, "mapping": mapping})
        if truncation:
            path = inner / "tokenizer.json"
            layouts.write_json(path, {**json.loads(path.read_text("utf-8")), "truncation": {
                "max_length": truncation, "direction": "Right", "strategy": "LongestFirst", "stride": 0}})
        layouts.write_json(folder / "config.json", {"model_type": "model2vec", "architectures": ["StaticModel"],
                                                    "normalize": True, "hidden_dim": dim})
    else:
        mapping, weights = np.arange(count), None
        layouts.write_safetensors(inner / "model.safetensors", {"embedding.weight": draw.normal(count, dim)})
        layouts.write_json(folder / "modules.json", [{"idx": 0, "name": "0", "path": "0_StaticEmbedding",
                                                      "type": "sentence_transformers.models.StaticEmbedding"}])
    convert(folder, out / f"{name}.gguf", "--name", name, "--dtype", dtype)
    ids = [[tokens.index(piece) for piece in pieces.split()[:truncation] if not (model2vec and piece == "[UNK]")]
           for _, pieces in PIECE_TEXTS]
    vectors = bags(stored_table(out, name)[mapping], ids, weights, model2vec)
    begin(out, name, [text for text, _ in PIECE_TEXTS], ids, vectors).write()


def recommender(out, work, name, scoring, dim, hidden):
    draw, folder = layouts.Draw(name), work / name
    folder.mkdir()
    write_words(folder / "words.txt", draw.normal(len(WORDS), dim))
    state = layouts.gru_state(draw, dim, hidden)
    settings = {"scoring": scoring, "encoder": "words.txt", "normalize": scoring == "dot_product"}
    if scoring == "dot_product":
        layouts.put(state, "user_proj", draw.linear(dim, hidden, 4.0))
        settings["rating"] = {"mode": "weight", "scale": 0.25}
    else:
        layouts.put(state, "out", draw.linear(1, hidden, 2.0))
        state["rating.weight"] = draw.normal(len(RATINGS), dim, std=0.8)
        settings["rating"] = {"mode": "embedding", "values": RATINGS}
    layouts.write_safetensors(folder / "model.safetensors", state)
    layouts.write_json(folder / "ranklet.json", settings)
    convert(folder, out / f"{name}.gguf", "--name", name)

    state = {key: torch.from_numpy(value).double() for key, value in state.items()}
    gru = torch.nn.GRU(dim, hidden).double()
    gru.load_state_dict({key[len("gru."):]: value for key, value in state.items() if key.startswith("gru.")})
    ids = [word_ids(words, None) for _, words in WORD_TEXTS]
    vectors = bags(stored_table(out, name), ids, None, settings["normalize"])
    writer = begin(out, name, [text for text, _ in WORD_TEXTS], ids, vectors)
    for label, (events, ratings) in HISTORIES.items():
        ratings = [None] * len(events) if ratings is None else ratings
        hidden_state = torch.zeros(1, hidden, dtype=torch.float64)
        for event, rating in zip(events, ratings):
            step = vectors[event]
            if rating is not None and scoring == "dot_product":
                step = step * rating * 0.25
            elif rating is not None:
                step = step + state["rating.weight"][min(range(len(RATINGS)), key=lambda i: (abs(RATINGS[i] - rating), i))]
            hidden_state = gru(step[None], hidden_state)[1]
        if scoring == "dot_product":
            user = F.linear(hidden_state[0], state["user_proj.weight"], state["user_proj.bias"])
            scores = vectors @ user
        else:
            scores = torch.stack([F.linear(gru(each[None], hidden_state)[1][0], state["out.weight"], state["out.bias"])[0]
                                  for each in vectors])
        writer.add(f"golden.history.{label}", events, "[i32]")
        writer.add(f"golden.ratings.{label}", [math.nan if rating is None else rating for rating in ratings], "[f32]")
        writer.add_tensor(f"golden.state.{label}", as_f32(hidden_state[0]), "f32")
        writer.add_tensor(f"golden.scores.{label}", as_f32(scores), "f32")
    writer.write()


PIECES = list("aZé1 .,'-_\u2019\u00a0\u3000\t#$%手机红人民共和国白恤拉卡") + [
    "THE", "Phone", "T恤", "İ", "ß", "Σ", "1,299.00", "x's", "e\u0301", "한국", "ไทย", "\u200b", "😀", "𠀀", "½", "٣", " ", "  "]
# Words that rules alone do not find, and forms of one word
HARD_WORDS = ["c++", "c", "u.s.", "u.s", "node.js", "<user>", "and/or", "20%", "20", "new york", "new", "new york city", "'s", "it's",
              "it\u2019s", "well-", "-made", "cafe\u0301", "café", "\u00e5\u0323", "οδος", "οδοσ", "a\u00a0b", "a b", " a", "a", ". . .", ".",
              "...", "-", "'", "1.5", "手机 壳", "手机", "手", "t恤", "한국", "Zebra", "zebra", "❤\ufe0f", "❤", "≮", "<", "\u0301", "the",
              "of the", "e", "\u212b", "İ", "<unk>"]
HARD_PIECES = ["c", "+", "u", "s", "node", "js", "<", ">", "/", "or", "New", "York", "city", "caf", "\u0301", "\u0323", "å", "ạ", "\u030a",
               "ΟΔΟ", "Σ", "ς", "σ", "οδο", "b", "\u00a0", "\n", "well", "made", "ZEBRA", "❤", "\ufe0f", "\u0338", "≮", "\u1112\u1161", "\u11ab",
               "\u212b", "\u0130", "i\u0307", "\u0344", "the", "of", "it", "x", "\u200d", "\0", ":"]


def fuzz(out, name, words, pieces, cut, stop_words=(), count=400):
    """Random texts of pieces that words, joints, spaces and scripts meet in, cut by weights_converter's reference, which
    shares no code and no method with the library's tokenizer."""
    generator = np.random.default_rng(5)
    texts = ["".join(pieces[i] for i in generator.integers(0, len(pieces), generator.integers(1, 14))) for _ in range(count)]
    writer = GGUFWriter(out / f"{name}.golden.gguf")
    writer.add("general.architecture", "golden", "string")
    writer.add("golden.made_by", "tests/parity/make_word_goldens.py", "string")
    writer.add("golden.numpy", np.__version__, "string")
    writer.add("golden.words", words, "[string]")
    if stop_words:
        writer.add("golden.stop_words", stop_words, "[string]")
    writer.add("golden.texts", texts, "[string]")
    for unknown in ("skip", "row", "characters"):
        for casing in ("lower", "cased"):
            if cut == "whitespace" and unknown != "skip":
                continue
            cutter = Words(words, casing == "lower", unknown, 0, stop_words, cut)
            ids = [cutter.encode(text) for text in texts]
            writer.add(f"golden.{unknown}.{casing}.ids", [i for each in ids for i in each], "[i32]")
            writer.add(f"golden.{unknown}.{casing}.offsets", np.cumsum([0] + [len(each) for each in ids]), "[i32]")
    writer.write()


def fuzz_all(out):
    fuzz(out, "word-fuzz", WORDS, WORDS + PIECES, "rules")
    fuzz(out, "word-cut-fuzz", HARD_WORDS, HARD_WORDS + HARD_PIECES + PIECES + [" "] * 30, "vocabulary", ["the", "of", "new", "c+"])
    fuzz(out, "word-split-fuzz", HARD_WORDS, HARD_WORDS + HARD_PIECES + PIECES + [" "] * 60, "whitespace", ["the", "it's", "."])


def main():
    out = Path(sys.argv[1] if len(sys.argv) > 1 else HERE / "goldens").resolve()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary, torch.no_grad():
        work = Path(temporary)
        # Committed before files said how texts are cut, and kept: such files must give the ids that they gave.
        before = [(words_model, "tiny-words", 20, None, False),
                  (words_model, "tiny-words-i8", 33, WORDS.index("<unk>"), True, "--dtype", "i8", "--unknown", "row", "--normalize"),
                  (recommender, "tiny-words-dot", "dot_product", 20, 28),
                  (recommender, "tiny-words-next", "next_event", 20, 24)]
        for make, name, *arguments in before:
            if not (out / f"{name}.gguf").exists():
                make(out, work, name, *arguments)
        words_model(out, work, "tiny-words-cut", 20, None, False)
        static_model(out, work, "tiny-static", 24, "f16", True)
        static_model(out, work, "tiny-static-short", 12, "i8", True, 4, True)
        static_model(out, work, "tiny-static-embedding", 17, "bf16", False)
        fuzz_all(out)


if __name__ == "__main__":
    main()
