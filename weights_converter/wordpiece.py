"""BERT's tokenizer in plain Python, the second opinion that a model file's self-test is made with.

In: a Tokenizer (tokenizer.py) and a text. Out: token ids.
Behaviour of Hugging Face's `tokenizers` (BertNormalizer, BertPreTokenizer, WordPiece, added tokens). Characters are
classified by Python's own Unicode version, while that library knows Unicode 8's categories: characters that came or
changed later may differ here, so a self-test holds none of them.
"""
import re
import unicodedata

CHINESE = ((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F),
           (0x2B920, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F))
WHITE_SPACE = frozenset("\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B))))
ASCII_PUNCTUATION = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")


def is_chinese(char):
    return any(first <= ord(char) <= last for first, last in CHINESE)


def is_control(char):
    return char not in "\t\n\r" and (char in "\0\ufffd" or unicodedata.category(char) in ("Cc", "Cf", "Co"))


def is_punctuation(char):
    return char in ASCII_PUNCTUATION or unicodedata.category(char)[0] == "P"


def normalize(text, settings):
    """BertNormalizer: clean, space out Chinese, strip accents (after NFD), lower case, in this order."""
    if settings.clean_text:
        text = "".join(" " if c in WHITE_SPACE else c for c in text if not is_control(c))
    if settings.handle_chinese_chars:
        text = "".join(f" {c} " if is_chinese(c) else c for c in text)
    if settings.strip_accents:
        text = "".join(c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) != "Mn")
    if settings.lowercase:
        text = "".join(c.lower() for c in text)  # one by one: Rust's char has no final sigma
    return text


def words(text):
    """BertPreTokenizer: split at white space; each punctuation character is a word of its own."""
    word = ""
    for char in text:
        if char in WHITE_SPACE or is_punctuation(char):
            if word:
                yield word
            word = ""
            if char not in WHITE_SPACE:
                yield char
        else:
            word += char
    if word:
        yield word


class WordPiece:
    """encode(text) -> ids with [CLS] and [SEP], cut to max_length (None: not cut)."""

    def __init__(self, tokenizer, max_length=None):
        self.settings, self.max_length = tokenizer, max_length
        self.ids = {token: i for i, token in enumerate(tokenizer.tokens) if i not in tokenizer.outside_vocabulary}
        raw = [token for token in tokenizer.added if not token.normalized]
        late = [token for token in tokenizer.added if token.normalized]
        self.raw = self._matcher({token.content: token for token in raw})
        self.late = self._matcher({normalize(token.content, tokenizer): token for token in late})

    @staticmethod
    def _matcher(by_content):
        contents = sorted((c for c in by_content if c), key=len, reverse=True)  # the longest at a place wins
        return (re.compile("|".join(map(re.escape, contents))), by_content) if contents else None

    @staticmethod
    def _split(text, matcher):
        """(piece, None) and (matched text, added token) in order."""
        if matcher is None:
            return [(text, None)]
        pieces, start = [], 0
        pattern, by_content = matcher
        for match in pattern.finditer(text):
            token, begin, end = by_content[match.group()], match.start(), match.end()
            if token.single_word and (re.search(r"\w$", text[:begin]) or re.match(r"\w", text[end:])):
                continue
            if token.lstrip:
                while begin > start and text[begin - 1] in WHITE_SPACE:
                    begin -= 1
            if token.rstrip:
                while end < len(text) and text[end] in WHITE_SPACE:
                    end += 1
            pieces += [(text[start:begin], None), (text[begin:end], token)]
            start = end
        return pieces + [(text[start:], None)]

    def _pieces_of(self, word):
        """Greedy longest match from the left; a word that cannot be spelt out is one unknown token."""
        if len(word) > self.settings.max_input_chars_per_word:
            return [self.settings.unk_id]
        ids, start = [], 0
        while start < len(word):
            for end in range(len(word), start, -1):
                piece = ("##" if start else "") + word[start:end]
                if piece in self.ids:
                    ids.append(self.ids[piece])
                    start = end
                    break
            else:
                return [self.settings.unk_id]
        return ids

    def encode(self, text):
        ids = self._ids(text)
        if self.max_length is not None:
            ids = ids[:self.max_length - 2]
        return [self.settings.cls_id, *ids, self.settings.sep_id]

    def without_special(self, text):
        """The ids alone, all of them."""
        return self._ids(text)

    def encode_pair(self, a, b):
        """(ids, type ids) of [CLS] a [SEP] b [SEP], types 1 from b on; the longer text is cut first (longest_first)."""
        a, b = self._ids(a), self._ids(b)
        if self.max_length is not None:
            a, b = self.longest_first(a, b, self.max_length - 3)
        ids = [self.settings.cls_id, *a, self.settings.sep_id, *b, self.settings.sep_id]
        return ids, [0] * (len(a) + 2) + [1] * (len(b) + 1)

    @staticmethod
    def longest_first(a, b, room):
        """What is left of two lists of ids when there is room for so many."""
        if len(a) + len(b) <= room:
            return a, b
        least = min(len(a), len(b))
        most = max(least, room - least)
        if least + most > room:
            least, most = room // 2, room - room // 2
        of_a, of_b = (most, least) if len(a) > len(b) else (least, most)
        return a[:of_a], b[:of_b]

    def _ids(self, text):
        if self.settings.lower_text:
            text = text.lower()
        ids = []
        for piece, token in self._split(text, self.raw):
            if token is not None:
                ids.append(token.id)
                continue
            for part, late_token in self._split(normalize(piece, self.settings), self.late):
                if late_token is not None:
                    ids.append(late_token.id)
                else:
                    for word in words(part):
                        ids += self._pieces_of(word)
        return ids
