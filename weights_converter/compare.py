"""python3 -m weights_converter --check OUT.gguf CHECKPOINT TEXTS: a converted file against what it was made from.

In: the model file, run by the library itself (engine.py); the checkpoint, run by sentence-transformers, transformers or
model2vec, whichever made it; a file with a text a line. Out: how far apart they are, and how many neighbours stay.
"""
import argparse
import os
import sys
from dataclasses import dataclass

import numpy as np

from . import engine, hub
from .checkpoint import optional_json, read_json, read_text
from .errors import ConversionError
from .gguf import read_gguf
from .modules import default_prompt
from .sentence import check_prompts

NEAREST = 10
TIE = 1e-6  # cosines that are closer are one: which of two such texts is nearer is not asked
BLOCK = 256  # rows of cosines at a time


@dataclass
class Original:
    """What the checkpoint's own library makes of the texts."""
    by: str  # library and version
    what: str  # vectors, scores or tokens
    rows: np.ndarray  # [texts, numbers]; of tokens those of all texts
    counts: list  # tokens of each text


def make_parser():
    parser = argparse.ArgumentParser(prog="python3 -m weights_converter --check", description="Compares a converted file with the "
                                     "checkpoint that it was made from, on texts of yours.")
    parser.add_argument("model", metavar="OUT.gguf")
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="what it was converted from: a folder, or a name on the Hub")
    parser.add_argument("texts", metavar="TEXTS", help="a file with a text a line; of a cross-encoder two with a tab between")
    parser.add_argument("--route", metavar="query|document", help="the route that was converted, of a Router")
    parser.add_argument("--prompt", metavar="NAME", help="the prompt that is put before each text (default: the model's default)")
    return parser


def main(arguments, note, stage):
    """-> lines to print."""
    options = make_parser().parse_args(arguments)
    if not os.path.isfile(options.model):
        raise ConversionError(f"{options.model}: no such file")
    metadata, _ = read_gguf(options.model)
    texts, pairs = read_texts(options.texts)
    kind = metadata.get("ranklet.classifier.kind")
    if metadata.get("ranklet.encoder.type") not in ("bert", "word_vectors") or "ranklet.recommender.scoring" in metadata:
        raise ConversionError(f"{options.model}: what can be compared are encoders of texts, classifiers and taggers; this is none")
    if pairs and kind != "sequence":
        raise ConversionError(f"{options.texts}: has pairs (tabs), and {options.model} reads single texts")
    folder = hub.find(options.checkpoint, note)
    if not os.path.isdir(folder):
        raise ConversionError(f"{folder}: expected a folder, which a library of Python loads")
    program = engine.program(stage)
    stage(f"{len(texts)} texts through the engine")
    what, rows, counts = engine.run(program, options.model, texts, options.prompt)
    stage(f"{len(texts)} texts through the original (loading it takes a while)")
    original = run_original(folder, metadata, texts, options)
    return [f"compared {options.model} with {original.by} on {len(texts):,} {'pairs' if pairs else 'texts'}, run by the library itself",
            *report(what, rows, counts, original, texts)]


def read_texts(path):
    """(texts or pairs of them, each once, whether they are pairs). A text that stands twice would be its own neighbour."""
    lines = [line for line in dict.fromkeys(read_text(path).split("\n")) if line.strip()]
    if not lines:
        raise ConversionError(f"{path}: there is no text in it")
    pairs = all(line.count("\t") == 1 for line in lines)
    return [tuple(line.split("\t")) for line in lines] if pairs else lines, pairs


# ---- the original


def _need(name):
    try:
        return __import__(name.replace("-", "_"))
    except ImportError:
        raise ConversionError(f"comparing runs the original by {name}, which is not installed (pip install {name})") from None


def run_original(folder, metadata, texts, options):
    kind = metadata.get("ranklet.classifier.kind")
    if kind is not None:
        if options.prompt or options.route:
            raise ConversionError(f"{folder}: texts that are classified get no prompt and have no route")
        if kind == "token":
            return _tagger(folder, texts)
        return _cross_encoder(folder, texts) if _is_cross_encoder(folder) else _classifier(folder, texts, metadata)
    if metadata.get("ranklet.words.tokenizer") in ("wordpiece", "subword") and metadata["ranklet.words.unknown"] == "skip":
        # model2vec's: StaticEmbedding, which loads the same folders, has a row for unknown tokens
        library = _need("model2vec")
        rows = library.StaticModel.from_pretrained(folder).encode(texts)
        return Original(f"model2vec {_version('model2vec')}", "vectors", rows, [])
    library = _need("sentence-transformers")
    model = library.SentenceTransformer(folder, device="cpu", local_files_only=True)
    config = optional_json(folder, "config_sentence_transformers.json") or {}
    prompts, default = check_prompts(config.get("prompts"), config.get("default_prompt_name"), folder)
    prompt = prompts.get(options.prompt, "") if options.prompt else default_prompt(options.route, prompts, default)[1]
    more = {} if options.route is None else {"task": options.route}
    rows = model.encode(texts, convert_to_numpy=True, show_progress_bar=sys.stderr.isatty(), prompt=prompt, **more)
    return Original(f"sentence-transformers {library.__version__}", "vectors", rows, [])


def _version(name):
    from importlib.metadata import version
    return version(name)


def _is_cross_encoder(folder):
    config = read_json(os.path.join(folder, "config.json"))
    own = optional_json(folder, "config_sentence_transformers.json") or {}
    return own.get("model_type") == "CrossEncoder" or "sentence_transformers" in config or "sbert_ce_default_activation_function" in config


def _cross_encoder(folder, pairs):
    library = _need("sentence-transformers")
    rows = library.CrossEncoder(folder, device="cpu", local_files_only=True).predict(pairs, convert_to_numpy=True, show_progress_bar=False)
    return Original(f"sentence-transformers {library.__version__}", "scores", rows.reshape(len(pairs), -1), [])


def _classifier(folder, texts, metadata):
    library = _need("transformers")
    classify = library.pipeline("text-classification", model=folder, device="cpu", top_k=None)
    labels, rows = metadata["ranklet.classifier.labels"], []
    for text in texts:
        found = classify({"text": text[0], "text_pair": text[1]} if isinstance(text, tuple) else {"text": text}, truncation=True)
        score = {each["label"]: each["score"] for each in found}
        rows.append([score[label] for label in labels])
    return Original(f"transformers {library.__version__}", "scores", np.array(rows, np.float32), [])


def _tagger(folder, texts):
    library, torch = _need("transformers"), _need("torch")
    tokenizer = library.AutoTokenizer.from_pretrained(folder)
    model = library.AutoModelForTokenClassification.from_pretrained(folder).eval()
    limit = min(tokenizer.model_max_length, getattr(model.config, "max_position_embeddings", tokenizer.model_max_length))
    rows = []
    with torch.no_grad():
        for text in texts:
            rows.append(model(**tokenizer(text, truncation=True, max_length=limit, return_tensors="pt")).logits[0].float().numpy())
    return Original(f"transformers {library.__version__}", "tokens", np.concatenate(rows), [len(each) for each in rows])


# ---- what is printed


def report(what, rows, counts, original, texts):
    if what != original.what or rows.shape != original.rows.shape or counts != original.counts:
        text = next((text for text, a, b in zip(texts, counts, original.counts) if a != b), None)
        raise ConversionError(f"the file gives {what} {list(rows.shape)}, the original {original.what} {list(original.rows.shape)}"
                              + (f"; the first text that is cut otherwise: {text!r:.80}" if text else ""))
    if not (np.isfinite(rows).all() and np.isfinite(original.rows).all()):
        raise ConversionError("there is a NaN or an infinity among the numbers")
    exact = original.rows.astype(np.float64)
    difference = np.abs(rows - exact)
    worst = int(np.argmax(difference.max(1))) if not counts else None
    lines = [f"  difference    {difference.max():.2g} at most, {difference.mean():.2g} on average; the largest number is "
             f"{np.abs(exact).max():.3g}" + (f"; at most for {texts[worst]!r:.60}" if worst is not None else "")]
    if what != "vectors":
        if exact.shape[1] > 1:
            same = np.mean(rows.argmax(1) == exact.argmax(1))
            lines.append(f"  first label   the same for {100 * same:.2f} % of {'tokens' if counts else 'texts'}")
        return lines
    cosines = np.sum(_unit(rows) * _unit(exact), 1)
    zero = (np.abs(exact).max(1) == 0) & (np.abs(rows).max(1) == 0)  # of both: texts without a known word
    cosines[zero] = 1
    lines.append(f"  cosine        {cosines.mean():.6f} on average, {cosines.min():.6f} at worst ({texts[int(cosines.argmin())]!r:.60})")
    if len(texts) > 2:
        count = min(NEAREST, len(texts) - 1)
        lines.append(f"  nearest       {100 * kept(exact, rows, count):.2f} % of each text's {count} nearest are the same")
    return lines


def _unit(rows):
    rows = rows.astype(np.float64)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-300)


def kept(exact, rows, count):
    """The share of each row's `count` nearest others, by cosine, that `rows` has among its nearest too."""
    exact, rows, stay = _unit(exact), _unit(rows), 0
    for first in range(0, len(rows), BLOCK):
        block = np.arange(first, min(first + BLOCK, len(rows)))
        right, found = exact[block] @ exact.T, rows[block] @ rows.T
        for cosines in (right, found):
            cosines[np.arange(len(block)), block] = -np.inf  # no text is its own neighbour
        least = -np.partition(-right, count - 1, axis=1)[:, count - 1:count]
        nearest = np.argpartition(-found, count - 1, axis=1)[:, :count]
        stay += int((np.take_along_axis(right, nearest, 1) >= least - TIE).sum())
    return stay / (count * len(rows))
