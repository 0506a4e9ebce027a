import unittest

import helpers  # noqa: F401  puts the repository on the path
from examples.training import parts_of_speech, shop_language, shop_queries


class Grammar(unittest.TestCase):
    def test_spans_name_what_stands_there_and_do_not_overlap(self):
        for sentence in shop_language.sentences(300, 1, invent=0.5) + shop_language.noisy_sentences(300, 2):
            end = 0
            for start, stop, entity in sentence.spans:
                self.assertIn(entity, shop_language.ENTITIES)
                self.assertLessEqual(end, start)
                self.assertLess(start, stop)
                self.assertEqual(sentence.text[start:stop].strip(), sentence.text[start:stop])
                end = stop
            self.assertLessEqual(end, len(sentence.text))

    def test_the_same_seed_gives_the_same_texts(self):
        self.assertEqual(shop_language.sentences(50, 7), shop_language.sentences(50, 7))
        self.assertEqual(shop_language.reviews(50, 7), shop_language.reviews(50, 7))

    def test_what_is_held_out_is_not_in_training(self):
        words = shop_language.Words()
        for side in (0, 1):
            for kind in ("BRAND", "PRODUCT"):
                self.assertFalse(set(words.known[side][kind]) & set(words.new[side][kind]), kind)
            for options in shop_language.OPINIONS[side]:
                self.assertEqual(len(set(options)), len(options))

    def test_reviews_have_every_number_of_stars_in_both_languages(self):
        found = {(review.stars, review.language) for review in shop_language.reviews(400, 3)}
        self.assertEqual(len(found), 10)


class PartsOfSpeech(unittest.TestCase):
    def test_words_tile_the_text_and_carry_universal_tags(self):
        drawn = [parts_of_speech.sentences(150, 1, new_words=w, new_rules=r) for w in (False, True) for r in (False, True)]
        for sentence in sum(drawn, []) + parts_of_speech.by_hand():
            between, end = "", 0
            for start, stop, tag in sentence.spans:
                self.assertIn(tag, parts_of_speech.TAGS)
                self.assertLess(start, stop)
                between += sentence.text[end:start]
                end = stop
            self.assertEqual(end, len(sentence.text))
            self.assertEqual(between.strip(), "")

    def test_the_same_seed_gives_the_same_texts(self):
        self.assertEqual(parts_of_speech.sentences(50, 7), parts_of_speech.sentences(50, 7))

    def test_words_of_the_test_are_not_in_training(self):
        for side in (0, 1):
            for name in parts_of_speech.OPEN:
                listed = parts_of_speech.WORDS[side].get(name, ("", ""))[1].split()
                self.assertEqual(len(set(listed)), len(listed), name)
                if listed:
                    known, new = (parts_of_speech.Grammar(side, None, new_words=new).words[name][1] for new in (False, True))
                    self.assertTrue(known and new)
                    self.assertFalse(set(known) & set(new), name)


class Queries(unittest.TestCase):
    def test_what_is_relevant_has_all_that_was_asked_for(self):
        shop = shop_queries.Shop()
        for query in shop_queries.test_queries(60, 5):
            for item in shop.items:
                relevance = shop.relevance(query, item)
                if relevance == 1.0:
                    self.assertEqual(item.kind.name, query.kind)
                    for part in query.asked:
                        self.assertIn(part.lower(), item.title.lower())
                self.assertIn(relevance, (0.0, shop_queries.OTHER, 1.0))

    def test_a_model_is_not_its_longer_namesake(self):
        self.assertTrue(shop_queries.has("Orvik N7 Phone Case", "N7"))
        self.assertFalse(shop_queries.has("Orvik N7 Pro Phone Case", "N7"))
        self.assertFalse(shop_queries.has("Orvik N70 Phone Case", "N7"))
        self.assertTrue(shop_queries.has("路美诺 Aria 4 Max 手机壳", "Aria 4 Max"))

    def test_new_items_and_wordings_are_not_in_training(self):
        shop = shop_queries.Shop()
        new = {item.title for item in shop.items if item.new}
        groups = shop_queries.groups(1500, 3)
        self.assertEqual(groups, shop_queries.groups(1500, 3))
        self.assertFalse(new & {title for _, titles in groups for title, _ in titles})
        held_out = shop.held_out
        self.assertFalse(held_out & {query for query, _ in groups})
        self.assertTrue({relevance for _, titles in groups for _, relevance in titles} == {0.0, shop_queries.OTHER, 1.0})


if __name__ == "__main__":
    unittest.main()
