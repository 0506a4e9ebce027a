"""What transformers' token classification pipeline makes of tokens' probabilities, said again in our own words.

In: a text, its tokens, their probabilities. Out: (label, score, start, end) of each span, offsets in code points.
Conventions (transformers 4.40 to 4.57, TokenClassificationPipeline with a WordPiece tokenizer):
  - special tokens around the text take no part; "O" is left out at the very end;
  - a token goes on with the word before it when it is not unknown and its spelling ("##s") and the text it stands for
    differ in length;
  - none: every token by itself, its label whole. simple: neighbouring tokens are joined. first, average, max: the
    tokens of a word get one row of probabilities (the first's, the mean, that with the greatest probability), then
    neighbouring words are joined;
  - neighbours are joined when the later does not begin with "B-" and both are the same without "B-" or "I-";
  - a joined span is called by what follows the first hyphen of its first label; its score is the mean.
"""
import itertools

import numpy as np

STRATEGIES = ("none", "simple", "first", "average", "max")


def row_of_word(rows, strategy):
    if strategy == "average":
        return np.nanmean(np.stack(rows), axis=0)
    peaks = [row.max() for row in rows]
    return rows[0 if strategy == "first" else peaks.index(max(peaks))]


def words_of(tokens):
    """Tokens (start, end, continues) -> lists of their indices, a word each."""
    starts = [i for i, token in enumerate(tokens) if i == 0 or not token[2]]
    return [list(range(a, b)) for a, b in zip(starts, starts[1:] + [len(tokens)])]


def bare(label):
    return label[2:] if label[:2] in ("B-", "I-") else label


def spans(tokens, scores, labels, strategy, ignore=("O",)):
    by_word = strategy in ("first", "average", "max")
    groups = words_of(tokens) if by_word else [[i] for i in range(len(tokens))]
    units = []
    for group in groups:
        row = row_of_word([scores[i] for i in group], strategy) if by_word else scores[group[0]]
        best = int(np.argmax(row))
        units.append((labels[best], row[best], tokens[group[0]][0], tokens[group[-1]][1]))
    if strategy != "none":
        joins = [0] + [int(b[0][:2] == "B-" or bare(a[0]) != bare(b[0])) for a, b in zip(units, units[1:])]
        numbered = zip(itertools.accumulate(joins), units)
        joined = [[unit for _, unit in run] for _, run in itertools.groupby(numbered, key=lambda pair: pair[0])]
        units = [(run[0][0].partition("-")[2] if "-" in run[0][0] else run[0][0], np.mean([unit[1] for unit in run]),
                  run[0][2], run[-1][3]) for run in joined]
    return [unit for unit in units if unit[0] not in ignore]
