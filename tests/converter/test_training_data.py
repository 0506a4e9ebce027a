"""The demo shop's data is what its script makes, and reads like the shop that it says it is."""
import csv
import sys
import tempfile
import unittest
from collections import Counter
from pathlib import Path
from unittest import mock

REPOSITORY = Path(__file__).resolve().parent.parent.parent
DATA = REPOSITORY / "examples" / "data"
sys.path.insert(0, str(REPOSITORY))

from examples.training import make_demo_data, vocabulary  # noqa: E402


def table(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


class DemoData(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.shop = make_demo_data.read_shop()
        cls.items = make_demo_data.make_catalog(cls.shop)
        cls.catalog = table(DATA / "catalog.tsv")
        cls.by_id = {row["id"]: row for row in cls.catalog}

    def test_the_committed_tables_are_what_the_script_makes(self):
        with tempfile.TemporaryDirectory() as folder:
            with mock.patch.object(sys, "argv", ["make_demo_data", "--out", folder]), mock.patch("builtins.print"):
                make_demo_data.main()
            for name in ("catalog.tsv", "shoppers.tsv"):
                self.assertEqual((Path(folder) / name).read_bytes(), (DATA / name).read_bytes(), name)

    def test_the_catalog_has_300_products_or_more_with_an_id_and_a_title_of_their_own(self):
        self.assertGreaterEqual(len(self.catalog), 300)
        self.assertEqual(len(self.by_id), len(self.catalog))
        self.assertEqual(len({row["title"] for row in self.catalog}), len(self.catalog))
        self.assertEqual(Counter(row["language"] for row in self.catalog)["en"] * 2, len(self.catalog))
        for row in self.catalog:
            self.assertNotIn("{", row["title"] + row["description"], row["id"])
            self.assertGreater(float(row["price"]), 0, row["id"])
            chinese = any("\u4e00" <= char <= "\u9fff" for char in row["title"] + row["description"])
            self.assertEqual(chinese, row["language"] == "zh", row["id"])

    def test_every_replayed_item_is_in_the_catalog_in_the_shoppers_language(self):
        shoppers = table(DATA / "shoppers.tsv")
        self.assertGreaterEqual(len({row["shopper"] for row in shoppers}), 4)
        self.assertIn("手机", [row["value"] for row in shoppers if row["event"] == "query"])
        for row in shoppers:
            self.assertIn(row["event"], ("item", "query"))
            self.assertIn(row["rating"], ("", "1", "2", "3", "4", "5"))
            if row["event"] == "item":
                self.assertEqual(self.by_id[row["value"]]["language"], row["language"])

    def sessions(self, split, count):
        with mock.patch.multiple(make_demo_data, TRAIN_SESSIONS=count * (split == "train"),
                                 TEST_SESSIONS=count * (split == "test")):
            return list(make_demo_data.make_sessions(self.shop, self.items))

    def test_sessions_are_the_same_every_time(self):
        self.assertEqual(self.sessions("train", 50), self.sessions("train", 50))

    def test_training_sessions_never_meet_a_new_item_and_test_sessions_do(self):
        new = {row["id"] for row in self.catalog if row["new"] == "1"}
        self.assertGreater(len(new), 30)
        met = lambda split: {value for *_, events in self.sessions(split, 800) for value, mark in events if mark != "query"}
        self.assertFalse(met("train") & new)
        self.assertTrue(met("test") & new)

    def test_nobody_meets_an_item_twice_and_cases_fit_the_phone(self):
        items, fits, cases = {item.id: item for item in self.items}, 0, 0
        for _, _, language, events in self.sessions("train", 1500):
            ids = [value for value, mark in events if mark != "query"]
            self.assertEqual(len(ids), len(set(ids)))
            for before, after in zip(ids, ids[1:]):
                if items[before].kind.name == "phone" and items[after].kind.name == "phone_case":
                    cases += 1
                    fits += items[before].model == items[after].model
        self.assertGreater(cases, 20)
        self.assertGreater(fits / cases, 0.9)

    def test_a_low_rating_turns_the_shopper_away_from_that_domain(self):
        items, low = {item.id: item for item in self.items}, 0
        for *_, events in self.sessions("train", 1500):
            shunned = set()
            for value, mark in events:
                if mark == "query":
                    continue
                self.assertNotIn(items[value].kind.domain, shunned)
                if mark is not None and mark <= 2:
                    low += 1
                    shunned.add(items[value].kind.domain)
        self.assertGreater(low, 100)


class Vocabulary(unittest.TestCase):
    TEXTS = ["phone case", "phone charger", "phones", "charging phone", "手机壳", "手机 快充"]

    def test_frequent_words_become_one_token_and_chinese_characters_stay_alone(self):
        tokens = vocabulary.train(self.TEXTS, 200)
        self.assertEqual(tokens[:5], list(vocabulary.SPECIAL))
        self.assertEqual(len(tokens), len(set(tokens)))
        self.assertIn("phone", tokens)
        self.assertNotIn("手机", tokens)
        tokenizer = vocabulary.Tokenizer(tokens, 16)
        self.assertEqual([tokens[i] for i in tokenizer.encode("Phone 手机")], ["[CLS]", "phone", "手", "机", "[SEP]"])

    def test_the_size_is_not_exceeded(self):
        smallest = len(vocabulary.train(self.TEXTS, 0))
        self.assertEqual(len(vocabulary.train(self.TEXTS, smallest + 3)), smallest + 3)

    def test_a_text_is_cut_to_the_maximum_length_and_keeps_its_last_separator(self):
        tokenizer = vocabulary.Tokenizer(vocabulary.train(self.TEXTS, 200), 5)
        ids = tokenizer.encode("phone " * 20)
        self.assertEqual((len(ids), ids[0], ids[-1]), (5, vocabulary.CLS, vocabulary.SEP))


if __name__ == "__main__":
    unittest.main()
