import json
import unittest

from helpers import FolderTest, asset, edit, layouts
from weights_converter.errors import ConversionError
from weights_converter.model import Model
from weights_converter.tokenizer import (AddedToken, Tokenizer, add_keys, fit_to_rows, from_gguf_token, read_tokenizer,
                                         reference, to_gguf_token)
from weights_converter.wordpiece import WordPiece


def simple(tokens, **settings):
    ids = {token: i for i, token in enumerate(tokens)}
    added = settings.pop("added", [AddedToken(ids[t], t) for t in layouts.SPECIAL if t in ids])
    lowercase = settings.pop("lowercase", True)
    return Tokenizer(tokens, ids["[UNK]"], ids["[CLS]"], ids["[SEP]"], ids.get("[PAD]"), ids.get("[MASK]"), added, lowercase,
                     settings.pop("strip_accents", lowercase), **settings)


def pieces(tokenizer, text, max_length=None):
    """Tokens of a text without [CLS] and [SEP]."""
    ids = WordPiece(tokenizer, max_length).encode(text)
    assert (ids[0], ids[-1]) == (tokenizer.cls_id, tokenizer.sep_id)
    return [tokenizer.tokens[i] for i in ids[1:-1]]


class Encoding(unittest.TestCase):
    TOKENS = [*layouts.SPECIAL, "a", "##b", "##c", "kanto", "kant", "cafe", "手", "机", "!", "[", "]", "phone", "##case", "σ", "ς"]

    def test_words_are_spelt_with_the_longest_pieces_from_the_left(self):
        tokens = [*layouts.SPECIAL, "un", "##aff", "##able", "##a", "unaff"]
        self.assertEqual(pieces(simple(tokens), "unaffable"), ["unaff", "##able"])

    def test_a_word_that_cannot_be_spelt_out_is_one_unknown_token(self):
        self.assertEqual(pieces(simple(self.TOKENS), "abx abc"), ["[UNK]", "a", "##b", "##c"])

    def test_a_word_over_the_length_limit_is_unknown(self):
        for count, expected in ((99, ["a"] + ["##b"] * 99), (100, ["[UNK]"])):
            self.assertEqual(pieces(simple(self.TOKENS), "a" + "b" * count), expected)

    def test_accents_are_stripped_after_decomposition(self):
        for text in ("Kantō", "Kanto\u0304", "KANTŌ"):
            self.assertEqual(pieces(simple(self.TOKENS), text), ["kanto"])

    def test_accents_stay_where_they_are_not_stripped(self):
        tokens = [*self.TOKENS, "café"]
        self.assertEqual(pieces(simple(tokens, strip_accents=False), "CAFÉ"), ["café"])

    def test_chinese_characters_are_words_of_their_own(self):
        self.assertEqual(pieces(simple(self.TOKENS), "a手机!"), ["a", "手", "机", "!"])
        self.assertEqual(pieces(simple(self.TOKENS, handle_chinese_chars=False), "手机"), ["[UNK]"])

    def test_control_characters_vanish_and_odd_spaces_separate(self):
        self.assertEqual(pieces(simple(self.TOKENS), "a\u200db\u00ad\u0000 a\u3000a\ta\u2028a\x1ca"), ["a", "##b", "a", "a", "a", "[UNK]"])  # the last: "aa"

    def test_lower_case_knows_no_final_sigma(self):
        self.assertEqual(pieces(simple(self.TOKENS), "Σ"), ["σ"])

    def test_special_tokens_inside_a_text_are_found_as_written(self):
        self.assertEqual(pieces(simple(self.TOKENS), "a[MASK]a [mask]"), ["a", "[MASK]", "a", "[", "[UNK]", "]"])

    def test_truncation_keeps_the_final_separator(self):
        ids = WordPiece(simple(self.TOKENS), 5).encode("a a a a a a")
        self.assertEqual([self.TOKENS[i] for i in ids], ["[CLS]", "a", "a", "a", "[SEP]"])

    def test_added_tokens_follow_their_flags(self):
        tokens = [*self.TOKENS, "Shop", "shopping", "<x>"]
        n = len(self.TOKENS)
        shop = AddedToken(n, "Shop", special=False, normalized=True)
        longer = AddedToken(n + 1, "shopping", special=False, normalized=True)
        strip = AddedToken(n + 2, "<x>", lstrip=True, rstrip=True)
        tokenizer = simple(tokens, added=[shop, longer, strip])
        self.assertEqual(pieces(tokenizer, "a SHOPPING shop a <x> aShopa"),
                         ["a", "shopping", "Shop", "a", "<x>", "a", "Shop", "a"])
        single = AddedToken(n, "Shop", special=False, single_word=True)
        tokenizer = simple(tokens, added=[single], outside_vocabulary={n, n + 1})
        self.assertEqual(pieces(tokenizer, "aShop Shop"), ["[UNK]", "Shop"])


class Notes(unittest.TestCase):
    def notes(self, tokens, words, outside, rows=0):
        """What is said of added tokens that are words; the library takes added tokens at the end, and no others, for ones
        that are not WordPiece's (tests/text/wordpiece_test.cpp)."""
        tokenizer = simple([*tokens], added=[AddedToken(tokens.index(word), word, special=False) for word in words],
                           outside_vocabulary={tokens.index(word) for word in outside})
        if rows:
            fit_to_rows(tokenizer, rows, "the table")
        notes = []
        add_keys(Model("f32", "x"), tokenizer, notes.append)
        return [note.split(", but")[0] for note in notes]

    def test_what_is_said_of_added_tokens_is_what_the_library_does(self):
        tokens = [*layouts.SPECIAL, "a", "shop"]
        self.assertEqual(self.notes(tokens, ["shop"], ["shop"]), [])
        self.assertEqual(self.notes(tokens, ["shop"], ["shop"], 9), ["added token 'shop' is not in WordPiece's vocabulary"])
        self.assertEqual(self.notes([*tokens, "b"], ["shop"], ["shop"]), ["added token 'shop' is not in WordPiece's vocabulary"])
        self.assertEqual(self.notes(tokens, ["shop"], []), ["added token 'shop' is in WordPiece's vocabulary"])
        self.assertEqual(self.notes([*tokens, "b"], ["shop"], []), [])
        self.assertEqual(self.notes([*layouts.SPECIAL, "Shop", "<x>"], ["Shop", "<x>"], []), [])  # no text gives them as words


class RealVocabularies(FolderTest):
    def tokenizer(self, vocabulary, lowercase):
        path = asset(f"tokenizers/{vocabulary}-vocab.txt")
        (self.folder / "vocab.txt").write_bytes(path.read_bytes())
        return read_tokenizer(self.folder, lowercase, self.fail)

    def test_bert_base_uncased_gives_its_known_ids(self):
        wordpiece = WordPiece(self.tokenizer("bert-base-uncased", True))
        for text, ids in (
                ("hello world", [101, 7592, 2088, 102]),
                ("Hello, my dog is cute", [101, 7592, 1010, 2026, 3899, 2003, 10140, 102]),
                ("unaffable", [101, 14477, 20961, 3468, 102]),
                ("The capital of France is [MASK].", [101, 1996, 3007, 1997, 2605, 2003, 103, 1012, 102]),
                ("", [101, 102])):
            self.assertEqual(wordpiece.encode(text), ids, text)

    def test_bert_base_cased_keeps_case(self):
        tokenizer = self.tokenizer("bert-base-cased", False)
        self.assertEqual(WordPiece(tokenizer).encode("Hello world"), [101, 8667, 1362, 102])
        self.assertEqual(WordPiece(tokenizer).encode("hello"), [101, 19082, 102])

    def test_bert_base_chinese_splits_characters(self):
        tokenizer = self.tokenizer("bert-base-chinese", True)
        self.assertEqual(pieces(tokenizer, "手机壳，iPhone"), ["手", "机", "壳", "，", "iphone"])

    def test_the_published_tokenizer_json_is_the_vocabulary_of_bert(self):
        (self.folder / "tokenizer.json").write_bytes(asset("tokenizers/all-minilm-l6-v2-tokenizer.json").read_bytes())
        wordpiece = WordPiece(read_tokenizer(self.folder, None, self.fail))
        self.assertEqual(wordpiece.encode("Hello, my dog is cute"), [101, 7592, 1010, 2026, 3899, 2003, 10140, 102])

    def test_other_kinds_of_tokenizers(self):
        for name, kind, ids, text in (  # ids of Hugging Face's tokenizers 0.23.3
                ("roberta-base", "bpe", [0, 31414, 6, 127, 2335, 16, 11962, 328, 2], "Hello, my dog is cute!"),
                ("t5-small", "unigram", [8774, 6, 82, 1782, 19, 5295, 55, 1], "Hello, my dog is cute!")):
            (self.folder / "tokenizer.json").write_bytes(asset(f"tokenizers/{name}/tokenizer.json").read_bytes())
            tokenizer = read_tokenizer(self.folder, None, self.fail)
            self.assertEqual(tokenizer.model, kind)
            self.assertEqual(reference(tokenizer).encode(text), ids)


class Files(FolderTest):
    def setUp(self):
        super().setUp()
        self.tokens = layouts.tiny_vocabulary()
        self.notes = []

    def write(self, **options):
        layouts.write_tokenizer(self.folder, self.tokens, 40, **options)

    def read(self, lowercase=None):
        return read_tokenizer(self.folder, lowercase, self.notes.append)

    def refused(self, words, lowercase=None):
        with self.assertRaisesRegex(ConversionError, words):
            self.read(lowercase)

    def edit_json(self, change):
        path = self.folder / "tokenizer.json"
        value = json.loads(path.read_text(encoding="utf-8"))
        change(value)
        path.write_text(json.dumps(value), encoding="utf-8")

    def test_both_forms_give_the_same_tokenizer(self):
        for lowercase in (True, False):
            self.write(lowercase=lowercase)
            fast = self.read()
            (self.folder / "tokenizer.json").unlink()
            slow = self.read()
            self.assertEqual(fast, slow)
            self.assertEqual((fast.lowercase, fast.strip_accents), (lowercase, lowercase))
        self.assertEqual(self.notes, [])
        self.assertEqual(fast.max_length, 40)

    def test_strip_accents_follows_lowercase_unless_it_is_stated(self):
        self.write()
        edit(self.folder / "tokenizer_config.json", strip_accents=False)
        self.refused("strip_accents is True, tokenizer_config.json says False")
        self.edit_json(lambda v: v["normalizer"].update(strip_accents=False))
        tokenizer = self.read()
        self.assertEqual((tokenizer.lowercase, tokenizer.strip_accents), (True, False))
        (self.folder / "tokenizer.json").unlink()
        self.assertEqual(self.read().strip_accents, False)

    def test_contradicting_lower_case_is_an_error_until_it_is_said(self):
        self.write()
        edit(self.folder / "tokenizer_config.json", do_lower_case=False)
        self.refused("lowercase is true, but do_lower_case in tokenizer_config.json is false; say which with --lowercase")
        self.assertEqual(self.read(lowercase=False).lowercase, False)
        self.assertEqual(self.read(lowercase=True).strip_accents, True)

    def test_a_vocabulary_without_a_word_on_lower_case_is_an_error_until_it_is_said(self):
        self.write(with_json=False)
        (self.folder / "tokenizer_config.json").unlink()
        self.refused("whether text is lower-cased is unknown; give --lowercase")
        self.assertEqual(self.read(lowercase=True).lowercase, True)

    def test_another_vocabulary_beside_tokenizer_json_is_noted(self):
        self.write()
        (self.folder / "vocab.txt").write_text("[PAD]\n")
        self.read()
        self.assertIn("differs from tokenizer.json", self.notes[0])

    def test_windows_line_ends_and_repeated_lines_are_read_as_transformers_does(self):
        self.write(with_json=False)
        (self.folder / "vocab.txt").write_bytes("\r\n".join([*layouts.SPECIAL, "a", "b", "a"]).encode())
        tokenizer = self.read()
        self.assertEqual(tokenizer.tokens, [*layouts.SPECIAL, "[unused_row_5]", "b", "a"])
        self.assertEqual(WordPiece(tokenizer).encode("a b")[1:-1], [7, 6])

    def test_added_tokens_of_every_file_are_found(self):
        self.write(with_json=False)
        count = len(self.tokens)
        (self.folder / "added_tokens.json").write_text(json.dumps({"<old>": count}))
        edit(self.folder / "tokenizer_config.json", added_tokens_decoder={str(count + 2): {
            "content": "<new>", "lstrip": True, "rstrip": False, "single_word": False, "normalized": False, "special": True}},
            mask_token={"content": "[MASK]", "lstrip": True, "rstrip": False, "single_word": False, "normalized": False})
        tokenizer = self.read()
        self.assertEqual(tokenizer.tokens[count:], ["<old>", f"[unused_row_{count + 1}]", "<new>"])
        by_id = {token.id: token for token in tokenizer.added}
        self.assertEqual(by_id[count].flags(), 16)
        self.assertEqual(by_id[count + 2].flags(), 3)
        self.assertEqual(by_id[tokenizer.mask_id].flags(), 3)
        self.assertEqual(len(by_id), 7)

    def test_tokens_that_the_files_beside_tokenizer_json_add_are_found_as_transformers_finds_them(self):
        text = "red <new> phone [MASK] <NEW>phone"
        self.tokens = [*layouts.SPECIAL, "red", "phone", "new", "<", ">", "[", "]", "mask"]
        special = [self.tokens.index(token) for token in layouts.SPECIAL]
        red, phone, new, left, right, mask, count = *map(self.tokens.index, ("red", "phone", "new", "<", ">", "[MASK]")), len(self.tokens)
        spelt, bracketed = [left, new, right], [self.tokens.index(token) for token in ("[", "mask", "]")]

        def entry(i, content, special=False, normalized=False):
            return {"id": i, "content": content, "special": special, "normalized": normalized, "lstrip": False, "rstrip": False,
                    "single_word": False}

        def decoder(*entries):
            ours = [entry(i, self.tokens[i], True) for i in special]
            return {str(each["id"]): {k: v for k, v in each.items() if k != "id"} for each in (*ours, *entries)}

        # of transformers 5.24.0 with tokenizers 0.23.3, as AutoTokenizer reads the folder
        for added, config, others, found, upper in (
                ([], {}, {}, spelt, spelt),
                ([entry(count, "<new>", normalized=True)], {}, {}, [count], [count]),
                ([], {"added_tokens_decoder": decoder(entry(count, "<new>", normalized=True))}, {}, [count], [count]),
                ([], {"added_tokens_decoder": decoder(entry(count, "<new>"))}, {}, [count], spelt),
                ([entry(count, "<new>", normalized=True)], {"added_tokens_decoder": decoder(entry(count, "<new>"))}, {}, [count], spelt),
                ([entry(count, "<new>")], {"added_tokens_decoder": decoder(entry(count + 1, "<new>"))}, {}, [count], spelt),
                ([], {"additional_special_tokens": ["<new>"]}, {}, [count], spelt),
                ([], {"extra_special_tokens": ["<new>"]}, {}, [count], spelt),
                ([], {}, {"special_tokens_map.json": {"additional_special_tokens": ["<new>"]}}, [count], spelt),
                ([], {}, {"added_tokens.json": {"<new>": count}}, [count], [count])):
            for lacking in ([], ["[MASK]"], layouts.SPECIAL):
                with self.subTest(config=config, others=others, lacking=lacking):
                    for path in self.folder.iterdir():
                        path.unlink()
                    self.write()
                    self.edit_json(lambda v: v.update(added_tokens=[
                        *(each for each in v["added_tokens"] if each["content"] not in lacking), *added]))
                    edit(self.folder / "tokenizer_config.json", **config)
                    for name, value in others.items():
                        (self.folder / name).write_text(json.dumps(value))
                    self.notes.clear()
                    ids = WordPiece(self.read()).encode(text)
                    self.assertEqual(ids[1:-1], [red, *found, phone, mask, *upper, phone])
                    alike = not lacking and (added == [entry(count, "<new>", normalized=True)] and not config or not (config or others)
                                             or added == [entry(count, "<new>")])
                    self.assertEqual([note for note in self.notes if "are followed, as transformers does" in note] == [], alike)
                    # static embeddings are read by the tokenizers library, from tokenizer.json alone
                    alone = WordPiece(read_tokenizer(self.folder, None, self.notes.append, special_tokens=False)).encode(text)
                    self.assertEqual(alone[alone.index(phone) + 1], bracketed[0] if lacking else mask)

    def test_an_added_token_with_two_ids_or_none_that_can_be_its_own_is_refused(self):
        entry = {"content": "<new>", "special": True, "normalized": False, "lstrip": False, "rstrip": False, "single_word": False}
        for with_json in (False, True):
            for words, entries in (("'<new>' has two ids, 900 and 901", {"900": entry, "901": entry}), ("'²' is not an id", {"²": entry})):
                self.write(with_json=with_json)
                edit(self.folder / "tokenizer_config.json", added_tokens_decoder=entries)
                self.refused(words)
        self.write()
        edit(self.folder / "tokenizer_config.json", added_tokens_decoder={"900": entry})
        self.refused(f"'<new>' has the id 900, the ids of tokenizer.json end before {len(self.tokens)}")
        self.write(with_json=False)
        (self.folder / "tokenizer.json").unlink()
        edit(self.folder / "tokenizer_config.json", added_tokens_decoder={"900": entry})
        (self.folder / "added_tokens.json").write_text(json.dumps({"<new>": 901}))
        self.refused("'<new>' has two ids, 901 and 900")

    def test_what_is_not_berts_in_tokenizer_json_is_named(self):
        for words, change in (
                ("normalizer is Sequence", lambda v: v.update(normalizer={"type": "Sequence"})),
                ("pre_tokenizer is Whitespace", lambda v: v.update(pre_tokenizer={"type": "Whitespace"})),
                ("normalizer is None", lambda v: v.update(normalizer=None)),
                ("post_processor is .*RobertaProcessing", lambda v: v.update(post_processor={"type": "RobertaProcessing"})),
                ("post_processor is None", lambda v: v.update(post_processor=None)),
                ("post_processor has another template", lambda v: v["post_processor"]["single"].pop(0)),
                ("post_processor has another template", lambda v: v["post_processor"]["pair"][3].update(
                    Sequence={"id": "B", "type_id": 0})),
                ("continuing_subword_prefix '@@'", lambda v: v["model"].update(continuing_subword_prefix="@@")),
                ("unk_token '<unk>' is not in", lambda v: v["model"].update(unk_token="<unk>")),
                ("share the id 7", lambda v: v["model"]["vocab"].update(x1=7, x2=7)),
                ("'x' has the id -1", lambda v: v["model"]["vocab"].update(x=-1)),
                ("contradicts the vocabulary", lambda v: v["added_tokens"][0].update(id=9)),
                ("added token '<new>' has two ids, 900 and 901", lambda v: v["added_tokens"].extend(
                    {**v["added_tokens"][0], "id": i, "content": "<new>"} for i in (900, 901))),
                ("truncation from the Left", lambda v: v.update(truncation={"direction": "Left"})),
                ("has no model", lambda v: v.pop("model"))):
            self.write()
            self.edit_json(change)
            self.refused(words)

    def test_what_is_not_supported_in_tokenizer_config_is_named(self):
        for words, change in (("tokenizer_class BertJapaneseTokenizer", {"tokenizer_class": "BertJapaneseTokenizer"}),
                              ("do_basic_tokenize", {"do_basic_tokenize": False}),
                              ("truncation_side 'left'", {"truncation_side": "left"}),
                              ("cls_token '<s>' is not in the vocabulary", {"cls_token": "<s>"}),
                              ("additional special token '<q>'", {"additional_special_tokens": ["<q>"]})):
            self.write(with_json=False)
            edit(self.folder / "tokenizer_config.json", **change)
            self.refused(words)

    def test_bert_processing_is_read_as_the_template(self):
        self.write()
        ids = {t: i for i, t in enumerate(self.tokens)}
        self.edit_json(lambda v: v.update(post_processor={
            "type": "BertProcessing", "sep": ["[SEP]", ids["[SEP]"]], "cls": ["[CLS]", ids["[CLS]"]]}))
        tokenizer = self.read()
        self.assertEqual((tokenizer.cls_id, tokenizer.sep_id), (ids["[CLS]"], ids["[SEP]"]))

    def test_no_tokenizer_at_all_is_an_error(self):
        self.refused("no tokenizer; looked for tokenizer.json and vocab.txt")


class StoredTokens(unittest.TestCase):
    def test_tokens_are_written_the_way_gguf_has_them(self):
        for token, stored in (("phone", "▁phone"), ("##s", "s"), ("[CLS]", "[CLS]"), ("[", "▁["), ("", "▁"), ("##", "")):
            self.assertEqual(to_gguf_token(token), stored)
            self.assertEqual(from_gguf_token(stored), token)

    def test_some_tokens_cannot_be_said_back(self):
        for token in ("##▁", "##[x]"):
            self.assertNotEqual(from_gguf_token(to_gguf_token(token)), token)


if __name__ == "__main__":
    unittest.main()
