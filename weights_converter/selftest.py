"""A model file's self-test: inputs, and what the numpy reference says of them, computed on the weights as stored.

In: a Model with everything else in it. Out: keys `ranklet.selftest.*`.
"""
import numpy as np

from .errors import ConversionError
from .numpy_reference import Reference
from .wordpiece import WordPiece

# Different scripts and lengths; the last ones are longer than small models' limits, so truncation is tested as well.
TEXTS = (
    "手机",
    "Wireless phone charger",
    "红色 iPhone 手机壳, with stand",
    "A café's NEW espresso-machine: 15 bar, 1.5 litres, easy to clean (and quiet).",
    "轻便防水双人帐篷，适合春夏秋三季露营使用，两分钟即可搭好。",
    "The book follows three friends who leave their village in the mountains, cross the sea in a small red boat and, after "
    "many years, come home with stories nobody believes; a novel about courage, distance, letters that arrive too late and "
    "the price of a promise. 一本关于友谊与远行的小说。",
)
PAIRS = ((1, 0), (0, 2), (2, 1))  # of the texts, short ones: how a pair is cut is the tokenizer's own tests' business
HISTORY = (1, 3, 0, 4, 1)
ITEM_EVENTS = 8
MIN_TOLERANCE = 2e-5
I8_TOLERANCE = 2e-2  # a last bit's difference can turn an 8-bit rounding, and then the next ones
ROUNDING_FACTOR = 16  # another summation order may err a few times more than numpy's own float32


def _relative(single, exact):
    return float(np.max(np.abs(single.astype(np.float64) - exact)) / max(1.0, float(np.max(np.abs(exact)))))


def _ratings(metadata, count):
    mode = metadata.get("ranklet.rating.mode", "none")
    if mode == "none":
        return None
    values = metadata["ranklet.rating.values"] if mode == "embedding" else [5.0, 1.0, 3.5, 4.0, 2.0]
    return [float(np.float32(values[(n * 2 + 1) % len(values)])) for n in range(count)]


def _both(metadata, tensor, run):
    """(float64 outputs, worst float32 difference) of run(reference) -> list of arrays."""
    exact = run(Reference(metadata, tensor, np.float64))
    single = run(Reference(metadata, tensor, np.float32))
    for output in exact:
        if not np.isfinite(output).all():
            raise ConversionError("the self-test's own outputs are not finite: the weights give NaN or infinity")
    return exact, max(_relative(s, e) for s, e in zip(single, exact))


def _pairs(wordpiece, metadata):
    """((first, second), (ids, type ids)) of those pairs that need no cutting; none where the model has one token type."""
    if metadata["tokenizer.ggml.token_type_count"] == 1:
        return []
    limit = metadata["ranklet.encoder.max_length"]
    whole = WordPiece(wordpiece.settings)
    encoded = [((a, b), whole.encode_pair(TEXTS[a], TEXTS[b])) for a, b in PAIRS]
    return [pair for pair in encoded if len(pair[1][0]) < limit]


def _word_vectors(model, metadata, scoring, words):
    """Texts of the vocabulary's own words too, so that something is found in any language; the empty text as well."""
    some = [word for word in metadata.get("ranklet.words.tokens", ())[:200] if word.strip() == word][:24]
    texts = [*TEXTS, "", *([" ".join(some[:12]), "".join(some[12:])] if some else [])]
    ids = [words.tokenize(text) for text in texts]
    history = list(HISTORY) if scoring else []
    ratings = _ratings(metadata, len(history)) if scoring else None

    def run(reference):
        vectors = np.stack([words.vector(each, reference.source, reference.kind) for each in ids])
        if not scoring:
            return [vectors]
        return [vectors, reference.scores([vector[None] for vector in vectors], history, ratings)]

    outputs, difference = _both(metadata, model.tensor, run)
    model.key("ranklet.selftest.texts", texts, "[string]")
    model.key("ranklet.selftest.token_ids", [i for each in ids for i in each], "[i32]")
    model.key("ranklet.selftest.token_offsets", np.cumsum([0] + [len(each) for each in ids]), "[i32]")
    model.key("ranklet.selftest.vectors", outputs[0].astype(np.float32), "[f32]")
    what = f"{len(texts)} texts" + (f", {len(history)} events, {len(texts)} scores" if scoring else "")
    return what, outputs[1] if scoring else None, history, ratings, difference


def add_selftest(model, tokenizer=None, words=None):
    """Adds the keys; -> (what was tested, tolerance). words: the WordReference of a model of word vectors."""
    metadata = model.metadata()
    scoring = metadata.get("ranklet.recommender.scoring")
    if words is not None:
        what, scores, history, ratings, difference = _word_vectors(model, metadata, scoring, words)
    elif tokenizer is None:
        count = model.tensors["ranklet.item_embd.weight"][0].shape[0]
        history = [(n * 7919 + 3) % count for n in range(ITEM_EVENTS)]
        ratings = _ratings(metadata, len(history))
        outputs, difference = _both(metadata, model.tensor, lambda r: [r.scores(r.item_events(), history, ratings)])
        scores, what = outputs[0], f"{len(history)} events, {count} scores"
    else:
        wordpiece = WordPiece(tokenizer, metadata["ranklet.encoder.max_length"])
        ids = [wordpiece.encode(text) for text in TEXTS]
        history = list(HISTORY) if scoring else []
        ratings = _ratings(metadata, len(history)) if scoring else None

        kind = metadata.get("ranklet.classifier.kind")
        pairs = _pairs(wordpiece, metadata) if kind == "sequence" else []

        def run(reference):
            states = reference.token_states(ids)
            vectors = np.stack([reference.vector(each) for each in states])
            if kind:
                outputs = [vectors, np.concatenate([reference.logits(each).reshape(-1) for each in states])]
                if pairs:
                    of_pairs = reference.token_states([pair[0] for _, pair in pairs], [pair[1] for _, pair in pairs])
                    outputs.append(np.concatenate([reference.logits(each) for each in of_pairs]))
                return outputs
            if not scoring:
                return [vectors]
            return [vectors, reference.scores(reference.text_events(states), history, ratings)]

        outputs, difference = _both(metadata, model.tensor, run)
        model.key("ranklet.selftest.texts", list(TEXTS), "[string]")
        model.key("ranklet.selftest.token_ids", [i for each in ids for i in each], "[i32]")
        model.key("ranklet.selftest.token_offsets", np.cumsum([0] + [len(each) for each in ids]), "[i32]")
        model.key("ranklet.selftest.vectors", outputs[0].astype(np.float32), "[f32]")
        if kind:
            model.key("ranklet.selftest.logits", outputs[1].astype(np.float32), "[f32]")
        if pairs:
            model.key("ranklet.selftest.pairs", [i for indices, _ in pairs for i in indices], "[i32]")
            model.key("ranklet.selftest.pair_logits", outputs[2].astype(np.float32), "[f32]")
        scores = outputs[1] if scoring else None
        what = f"{len(ids)} texts" + (f", {len(history)} events, {len(ids)} scores" if scoring else "")
        what += (f", logits of {len(ids)} texts" + f" and {len(pairs)} pairs" * bool(pairs)) if kind else ""
    if scoring:
        model.key("ranklet.selftest.history", history, "[i32]")
        if ratings is not None:
            model.key("ranklet.selftest.ratings", ratings, "[f32]")
        model.key("ranklet.selftest.scores", scores.astype(np.float32), "[f32]")
    rounds = model.dtype == "i8" and (words is None or scoring)  # activations too: a table of words alone does not
    tolerance = I8_TOLERANCE if rounds else max(MIN_TOLERANCE, ROUNDING_FACTOR * difference)
    if not tolerance < 0.1:
        raise ConversionError(f"float32 and float64 differ by {difference:.2g} on this model: too touchy for a self-test")
    model.key("ranklet.selftest.tolerance", tolerance, "f32")
    return what, tolerance
