"""Options of the command line that belong to kinds of checkpoints, and those that several kinds take.

A kind lists its own in OPTIONS. The command line offers all of them; which of them a checkpoint takes is known when its
kind is.
"""
from dataclasses import dataclass, field
from typing import Callable, Optional

from .errors import ConversionError
from .sentence import POOLING_NAMES, pooling_list
from .settings import SCORINGS


@dataclass(frozen=True)
class Option:
    flag: str  # "--max-length"; its value is options.max_length, None where it is not given
    of: str  # the checkpoints that it is for, in the message where another kind is given it
    arguments: dict = field(hash=False)  # argparse's
    read: Optional[Callable] = None  # text given -> value; raises ConversionError

    @property
    def name(self):
        return self.flag[2:].replace("-", "_")


POOLING = Option("--pooling", "text encoders", dict(
    metavar="KIND[,KIND]", help="how token states become a text's vector, where no file says it: "
    f"{', '.join(sorted(set(POOLING_NAMES.values())))}"), lambda text: pooling_list(text.split(","), "--pooling"))
NORMALIZE = Option("--normalize", "text encoders", dict(
    action="store_true", default=None, help="vectors have length 1, where no file says it"))
MAX_LENGTH = Option("--max-length", "text encoders", dict(
    type=int, metavar="TOKENS", help="tokens a text may have, [CLS] and [SEP] included"))
LOWERCASE = Option("--lowercase", "text encoders", dict(
    choices=("yes", "no"), help="whether text is lower-cased, where the files do not say or contradict each other"),
    lambda text: text == "yes")
TRUNCATE_DIM = Option("--truncate-dim", "text encoders", dict(
    type=int, metavar="N", help="keep a vector's first N numbers, normalised again where it is, of models that are trained for it "
    "(Matryoshka); default: what the files say, as sentence-transformers does"))
ROUTE = Option("--route", "text encoders", dict(
    metavar="query|document", help="of a Router of sentence-transformers: the task whose encoder is converted, or a route's name"))
LORA = Option("--lora", "text encoders", dict(
    metavar="FOLDER", help="a LoRA adapter that PEFT saved (adapter_config.json), to be merged into the model's weights"))
CALIBRATION = Option("--calibration", "text encoders", dict(
    metavar="FILE", help="with --dtype i8: texts of your own, UTF-8, one a line, that the 8-bit weights are fitted to (default: "
    "English and Chinese texts that come with the converter)"))
SCORING = Option("--scoring", "recommenders", dict(
    choices=SCORINGS, help="how a recommender scores, where no ranklet.json says it"))


def refuse_others(options, known, taken, refusal):
    """An error, refusal(option), where one of the options `known` is given that is not among those `taken`."""
    for option in known:
        if option not in taken and getattr(options, option.name) is not None:
            raise ConversionError(refusal(option))
