"""Writes docs/models.md: which published encoders load, shown by a seeded checkpoint of each one's class and sizes.

    python3 tests/layouts/models_page.py [--check]      (in the Python of run.sh; --check: ends with 1 where the page is another)

Each has its published sizes with two layers (or as many as have every kind of layer) and 512 rows of vocabulary; it is converted, its
token states are computed by the library, and compared with its class in transformers. What is written beside is from the models'
cards: they are the source, and may have changed.
"""
import subprocess
import sys
import tempfile
from pathlib import Path

import published
import torch
from published import HERE, Model, Source, bert, engine, np, read_json, states, t
from architectures import spread

PAGE = HERE.parent.parent / "docs" / "models.md"
VOCABULARY = 512
# of the models in `published`: those that share a class and make: (names, pooling, what stands before a text, licence, notes)
ROWS = (
    ("all-MiniLM-L6-v2", "all-MiniLM-L6-v2, -L12-v2", "mean", "", "Apache-2.0", "English; limit 256, 128"),
    ("bge-base-en-v1.5", "bge-small, -base, -large-en-v1.5", "cls", "queries: an instruction", "MIT", "English"),
    ("bge-base-en-v1.5", "bge-small, -base-zh-v1.5", "cls", "queries: an instruction", "MIT", "Chinese"),
    ("bge-base-en-v1.5", "e5-small, -base, -large-v2; gte-small, -base, -large", "mean", "e5: `query: `, `passage: `", "MIT", "English"),
    ("bge-base-en-v1.5", "mxbai-embed-large-v1, snowflake-arctic-embed-l", "cls", "queries: an instruction", "Apache-2.0",
     "English; mxbai is Matryoshka"),
    ("bge-base-en-v1.5", "text2vec-base-chinese, m3e-base", "mean", "", "see its card", "Chinese; not normalised"),
    ("bge-base-en-v1.5", "LaBSE", "cls, Dense", "", "Apache-2.0", "109 languages; cased, 501,153 tokens"),
    ("all-MiniLM-L6-v2", "paraphrase-multilingual-MiniLM-L12-v2; multilingual-e5-small", "mean", "e5: `query: `, `passage: `", "Apache-2.0; MIT",
     "BERT with XLM-R's Unigram tokenizer"),
    ("distiluse-base-multilingual-cased-v2", "distiluse-base-multilingual-cased-v2", "mean, Dense", "", "Apache-2.0", "not normalised"),
    ("all-distilroberta-v1", "all-distilroberta-v1; granite-embedding-30m", "mean; cls", "", "Apache-2.0", "English"),
    ("multilingual-e5-base", "multilingual-e5-base, -large; paraphrase-multilingual-mpnet-base-v2", "mean", "e5: `query: `, `passage: `",
     "MIT; Apache-2.0", ""),
    ("bge-m3", "bge-m3; snowflake-arctic-embed-l-v2.0; bge-reranker-base, -v2-m3", "cls", "", "MIT; Apache-2.0; MIT",
     "bge-m3's sparse weights and token vectors: `HybridEncoder`; rerankers: `rerank`"),
    ("all-mpnet-base-v2", "all-mpnet-base-v2; multi-qa-mpnet-base-dot-v1", "mean; cls", "", "Apache-2.0", "English"),
    ("deberta-v3-base", "mxbai-rerank-base-v1", "", "", "Apache-2.0", "a cross-encoder: `rerank`"),
    ("nomic-embed-text-v1.5", "nomic-embed-text-v1.5", "mean", "`search_query: `, `search_document: ` ...", "Apache-2.0", "English; Matryoshka"),
    ("gte-multilingual-base", "gte-multilingual-base; gte-base-en-v1.5", "cls", "", "Apache-2.0", ""),
    ("jina-embeddings-v2-base-en", "jina-embeddings-v2-small, -base-en", "mean", "", "Apache-2.0", "English; up to 8,192 tokens"),
    ("jina-embeddings-v3", "jina-embeddings-v3", "mean", "by task", "CC-BY-NC-4.0", "transformers' form of it, whose tasks' adapters are merged before"),
    ("gte-modernbert-base", "gte-modernbert-base; modernbert-embed-base", "cls; mean", "embed: `search_query: ` ...", "Apache-2.0", "English"),
    ("EuroBERT-210m", "EuroBERT-210m", "mean", "", "Apache-2.0", "15 languages; to be fine-tuned"),
    ("Qwen3-Embedding-0.6B", "Qwen3-Embedding-0.6B, -4B, -8B", "last", "queries: `Instruct: ...`", "Apache-2.0", "Matryoshka"),
    ("embeddinggemma-300m", "embeddinggemma-300m", "mean, two Dense", "by task", "Gemma's terms", "Matryoshka"),
    ("e5-mistral-7b-instruct", "e5-mistral-7b-instruct", "last", "queries: `Instruct: ...`", "MIT", ""),
    ("Llama-3.2-1B", "encoders made of Llama", "as made", "", "Llama's terms", "causal, as LlamaModel is"),
    ("sentence-t5-base", "sentence-t5-base, -large", "mean, Dense", "", "Apache-2.0", "English"),
)
STATIC = ("potion-base-8M and its kin; static-retrieval-mrl-en-v1; static-similarity-mrl-multilingual-v1", "mean", "", "MIT; Apache-2.0",
          "static tables, as `WordVectors`; the multilingual one is compared in `tests/layouts/test_trained.py`")
WIDE = {"e5-mistral-7b-instruct": dict(intermediate_size=1024), "Llama-3.2-1B": dict(intermediate_size=1024)}  # memory, not numbers


def loads(name, program):
    """The largest difference to the class, as a share of max(1, the largest state)."""
    kind, config, settings, _ = published.PUBLISHED[name]
    settings = {**settings, **WIDE.get(name, {})}
    for key in ("num_hidden_layers", "n_layers", "num_layers"):
        if key in settings:
            settings[key] = min(settings[key], {"gte-modernbert-base": 4, "embeddinggemma-300m": 6}.get(name, 2))
    torch.manual_seed(20261201)
    model = spread(kind(config(vocab_size=VOCABULARY, **settings)).eval(), kind)
    with tempfile.TemporaryDirectory(prefix="ranklet-models-") as folder:
        folder = Path(folder)
        model.save_pretrained(folder)
        stated = read_json(str(folder / "config.json"))
        made = Model("f32", name)
        bert._add_weights(made, Source(str(folder)).state, stated, str(folder / "config.json"), bert.check_family(stated, name), None)
        made.write(str(folder / "model.gguf"))
        ids = [np.random.default_rng(5).integers(4, VOCABULARY, length) for length in (3, 40)]
        np.concatenate([[2, 3, 40], *ids]).astype("<i4").tofile(folder / "ids")
        subprocess.run([program, folder / "model.gguf", folder / "ids", folder / "states", "2"], check=True)
        ours = np.fromfile(folder / "states", "<f4").reshape(43, -1)
    expected = np.concatenate(states(model.double(), ids))
    return float(np.abs(ours - expected).max()) / max(1.0, float(np.abs(expected).max())), stated["architectures"][0]


def page():
    program = engine.program(lambda text: print(text, file=sys.stderr), str(HERE / "states.cpp"))
    shown, lines = {}, []
    for name, models, pooling, before, licence, notes in ROWS:
        if name not in shown:
            difference, kind = loads(name, program)
            assert difference <= 1e-5, f"{name}: {difference}"
            shown[name] = kind
            print(f"{name}: {difference:.1e}", file=sys.stderr, flush=True)
        lines.append(f"| {models} | `{shown[name]}` | yes | {pooling} | {before} | {licence} | {notes} |")
    models, pooling, before, licence, notes = STATIC
    lines.append(f"| {models} | | yes | {pooling} | {before} | {licence} | {notes} |")
    return "\n".join((
        "# Models", "",
        "Published encoders and whether they load, made by `tests/layouts/models_page.py`: a checkpoint of each one's class and sizes, with "
        "seeded weights and fewer",
        "layers, is converted and run, and its token states are within 1e-5 of transformers' class in float64. (Where a row names several "
        "models, one of them stands for",
        "all.) Pooling, what is put before a text and the licence are from the models' cards; the folder of a checkpoint says the first two "
        "itself, and the converter",
        "reads them there. Names on the Hub are given to the converter as they are: `python3 -m weights_converter BAAI/bge-m3 bge-m3.gguf`.", "",
        "| model | class | loads | pooling | before a text | licence | |", "|---|---|---|---|---|---|---|", *lines, "",
        "Not read: mixtures of experts (nomic-embed-text-v2-moe), DeBERTa with a convolution beside its first layer (v2-xlarge, -xxlarge), Jina v2 "
        "with norms of queries and",
        "keys (its German, Chinese and code models), rotary positions scaled by `longrope` or `dynamic`, weights that are quantised already. Each is "
        "refused with a sentence",
        "that names it.", ""))


def main():
    t.utils.logging.set_verbosity_error()
    t.utils.logging.disable_progress_bar()
    made = page()
    if "--check" in sys.argv[1:]:
        return 0 if PAGE.read_text(encoding="utf-8") == made else print(f"{PAGE} is not what this makes", file=sys.stderr) or 1
    PAGE.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
