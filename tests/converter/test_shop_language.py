import unittest

import helpers  # noqa: F401  puts the repository on the path
from weights_converter.training import shop_language


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


if __name__ == "__main__":
    unittest.main()
