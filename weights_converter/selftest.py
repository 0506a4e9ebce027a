"""A model file's self-test: inputs, and what a kind's numpy reference says of them, computed on the weights as stored.

In: a Model with everything else in it, and the SelfTest that its kind made. Out: keys `ranklet.selftest.*`.
"""
import numpy as np

from .errors import ConversionError

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
# For a tokenizer that reads the lower case of the whole text: a final sigma, special tokens that are none any more. Who
# does not know ranklet.tokenizer.lower_text gets other tokens and refuses the file.
LOWERED_TEXT = "ΟΔΟΣ [SEP] the ROAD [MASK] İzmir"
MIN_TOLERANCE = 2e-5
I8_TOLERANCE = 2e-2  # a last bit's difference can turn an 8-bit rounding, and then the next ones
ROUNDING_FACTOR = 16  # another summation order may err a few times more than numpy's own float32


class SelfTest:
    """What a file is tested with: keys in the file's order, inputs with their values, outputs to be computed."""

    def __init__(self, reference, run, rounds=True):
        """reference(metadata, tensor, kind): the kind's numpy reference. run(reference): the outputs, arrays by key.
        rounds: whether an i8 file's products round their inputs too, where a last bit decides."""
        self.reference, self.run, self.rounds = reference, run, rounds
        self.keys, self.what = {}, []  # what: for the summary

    def input(self, name, value, kind):
        self.keys[name] = (value, kind)

    def outputs(self, *names):
        self.keys.update(dict.fromkeys(names))

    def texts(self, texts, ids):
        """Texts and, of each, its token ids; each text's vector is an output."""
        self.input("texts", list(texts), "[string]")
        self.input("token_ids", [i for each in ids for i in each], "[i32]")
        self.input("token_offsets", np.cumsum([0] + [len(each) for each in ids]), "[i32]")
        self.outputs("vectors")
        self.what.append(f"{len(ids)} texts")

    def history(self, history, ratings, count):
        """Events, with ratings or None; the scores of `count` candidates after them are an output."""
        self.input("history", history, "[i32]")
        if ratings is not None:
            self.input("ratings", ratings, "[f32]")
        self.outputs("scores")
        self.what.append(f"{len(history)} events, {count} scores")


def _relative(single, exact):
    return float(np.max(np.abs(single.astype(np.float64) - exact)) / max(1.0, float(np.max(np.abs(exact)))))


def write_selftest(model, test):
    """Adds the keys; -> (what was tested, tolerance)."""
    metadata = model.metadata()
    with np.errstate(over="ignore", invalid="ignore"):  # what comes out of it is looked at here
        exact, single = (test.run(test.reference(metadata, model.tensor, kind)) for kind in (np.float64, np.float32))
    for output in (*exact.values(), *single.values()):
        if not np.isfinite(output).all():
            raise ConversionError("the self-test's own outputs are not finite: the weights give NaN or infinity")
    difference = max(_relative(single[name], exact[name]) for name in exact)
    for name, given in test.keys.items():
        value, kind = given or (exact[name].astype(np.float32), "[f32]")
        model.key(f"ranklet.selftest.{name}", value, kind)
    rounds = model.dtype == "i8" and test.rounds
    tolerance = I8_TOLERANCE if rounds else max(MIN_TOLERANCE, ROUNDING_FACTOR * difference)
    if not tolerance < 0.1:
        raise ConversionError(f"float32 and float64 differ by {difference:.2g} on this model: too touchy for a self-test")
    model.key("ranklet.selftest.tolerance", tolerance, "f32")
    return ", ".join(test.what), tolerance
