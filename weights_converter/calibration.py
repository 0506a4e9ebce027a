"""Texts that 8-bit weights are fitted to, and measured with: the user's, or those in calibration/.

In: a file of texts, UTF-8, one a line. Out: their token ids, evenly spread over the file, as many as there is time for.
"""
from pathlib import Path

from .checkpoint import read_lines
from .errors import ConversionError
from .quantization import MIN_TEXTS, MOST_TOKENS

FOLDER = Path(__file__).parent / "calibration"
MOST_TEXTS = 1024


def _texts(path):
    return list(dict.fromkeys(filter(None, read_lines(path))))  # twice the same text would be its own neighbour


def _spread(items, count):
    return [items[i * len(items) // count] for i in range(count)] if count < len(items) else items


def read_texts(path, encode):
    """encode(text) -> ids. path None: the converter's own texts. Error: fewer than MIN_TEXTS different texts."""
    if path is None:
        lines = [line for name in sorted(FOLDER.glob("*.txt")) for line in _texts(name)]
    else:
        lines = _texts(path)
        if len(lines) < MIN_TEXTS:
            raise ConversionError(f"{path}: {len(lines)} different texts, one a line; 8-bit weights are fitted to "
                                  f"{MIN_TEXTS} at least")
    texts = [encode(line) for line in _spread(lines, MOST_TEXTS)]
    mean = sum(map(len, texts)) / len(texts)
    return _spread(texts, max(MIN_TEXTS, int(MOST_TOKENS / mean)))
