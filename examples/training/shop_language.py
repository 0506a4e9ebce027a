"""A small grammar of what people write in a shop, English and Chinese: sentences with marked entities, reviews with stars.

In: the word lists of shop.txt and the phrases below (all written for this project). Out: Sentence and Review values,
split so that the test holds phrases, brands and products that training never sees. Standard library only.
"""
import random
import re
from dataclasses import dataclass

from . import make_demo_data

ENTITIES = ("BRAND", "MODEL", "PRODUCT", "COLOR", "AMOUNT")

COLORS = (("black", "white", "red", "dark blue", "green", "silver", "sand", "rose gold", "navy", "light grey", "orange",
           "purple", "ice blue", "olive green", "yellow"),
          ("黑色", "白色", "红色", "深蓝色", "绿色", "银色", "米色", "玫瑰金", "藏青色", "浅灰色", "橙色", "紫色", "冰川蓝", "橄榄绿",
           "黄色"))
UNITS = (("GB", "W", "mAh", "g", "kg", "ml", "litres", "m", "cm", "inch"), ("GB", "W", "毫安", "克", "公斤", "毫升", "升", "米",
                                                                           "厘米", "寸"))
NUMBERS = ("1", "2", "5", "8", "15", "30", "33", "64", "65", "67", "100", "128", "200", "250", "256", "500", "5000", "10000",
           "20000")

SENTENCES = (
    ("{BRAND} {PRODUCT}", "{BRAND} {MODEL}", "{PRODUCT} from {BRAND}", "{COLOR} {PRODUCT}", "{AMOUNT} {PRODUCT}",
     "I bought the {COLOR} {BRAND} {PRODUCT} last week.", "Looking for a {PRODUCT} in {COLOR}.",
     "Is the {BRAND} {MODEL} any good?", "The {BRAND} {MODEL} with {AMOUNT} in {COLOR}, please.",
     "My old {PRODUCT} broke, so I need a new {PRODUCT}.", "We compared {BRAND} and {BRAND}.",
     "{BRAND} makes the best {PRODUCT}, better than {BRAND}.", "Does the {PRODUCT} by {BRAND} come in {COLOR}?",
     "Got this {PRODUCT} as a present for my sister.", "The {MODEL} is faster than the {MODEL}.",
     "Cheap {PRODUCT} under 30 dollars", "This {PRODUCT} holds {AMOUNT}.", "{BRAND} {MODEL}, {AMOUNT}, {COLOR}",
     "I would never buy from {BRAND} again.", "When will the {BRAND} {PRODUCT} arrive?",
     # from here on for the test alone
     "Has anybody tried the {COLOR} {PRODUCT} of {BRAND}?", "Please show me {BRAND} with {AMOUNT}.",
     "For my birthday I wish for a {PRODUCT} from {BRAND} in {COLOR}.", "Returned the {BRAND} {MODEL} after a day.",
     "A {PRODUCT} of {AMOUNT} is enough for two."),
    ("{BRAND}{PRODUCT}", "{BRAND} {MODEL}", "{COLOR}{PRODUCT}", "{AMOUNT}{PRODUCT}", "我想买{BRAND}的{PRODUCT}。",
     "{COLOR}的{BRAND}{PRODUCT}有货吗？", "{BRAND} {MODEL} {AMOUNT} {COLOR}", "求推荐一款{PRODUCT}。",
     "上周买了{COLOR}的{PRODUCT}，很喜欢。", "{BRAND}和{BRAND}哪个好？", "我的{PRODUCT}坏了，想换{BRAND}的。",
     "{BRAND}的{PRODUCT}比{BRAND}的便宜。", "这款{PRODUCT}有{AMOUNT}的吗？", "给妈妈买的{PRODUCT}，颜色是{COLOR}。",
     "{MODEL}比{MODEL}快多了。", "再也不买{BRAND}了。", "{BRAND}{PRODUCT}什么时候发货？", "{PRODUCT}是{COLOR}的，容量{AMOUNT}。",
     # from here on for the test alone
     "有人用过{BRAND}的{COLOR}{PRODUCT}吗？", "生日想要一个{BRAND}{PRODUCT}。", "请问{BRAND}有{AMOUNT}的{PRODUCT}吗？",
     "{BRAND} {MODEL} 用了一天就退了。"),
)
TEST_SENTENCES = (5, 4)

ASPECTS = (("battery", "screen", "sound", "fabric", "taste", "zip", "handle", "delivery", "build quality", "colour", "smell",
            "size", "price", "packaging", "camera", "fit", "lid", "material"),
           ("电池", "屏幕", "音质", "面料", "味道", "拉链", "把手", "物流", "做工", "颜色", "气味", "尺寸", "价格", "包装", "镜头", "手感", "盖子",
            "材质"))
# By stars; of each list the last two are for the test alone.
OPINIONS = (
    (("the {a} broke after two days", "terrible {a}", "a complete waste of money", "do not buy this", "I want my money back",
      "the {a} is awful", "worst purchase of my life", "it arrived broken", "the {a} is really bad",
      "I hate the {a}", "stopped working at once", "never again", "horrible {a}, stay away", "it is garbage"),
     ("the {a} is a bit weak", "the {a} is not good", "I expected more of the {a}", "the {a} could be better",
      "not worth the price", "the {a} is rather poor", "a little disappointing", "not happy with the {a}",
      "the {a} is not great", "I would not buy it again", "the {a} has some problems", "somewhat let down by the {a}"),
     ("the {a} is okay", "it is average", "it does the job, nothing more", "so so", "neither good nor bad",
      "the {a} is acceptable", "it is fine for the money", "the {a} is nothing special", "it is alright",
      "the {a} is like any other", "mixed feelings about the {a}", "the {a} is just about enough"),
     ("the {a} is good", "works well", "happy with the {a}", "not bad at all", "I would buy it again", "the {a} is nice",
      "I like the {a}", "a solid choice", "the {a} is not bad", "good value", "pleased with the {a}", "does well what it should"),
     ("the {a} is fantastic", "I love the {a}", "the {a} is excellent", "the best I have ever owned", "could not be happier",
      "ten out of ten", "absolutely perfect", "the {a} is amazing", "everybody should buy this", "the {a} is wonderful",
      "exceeded all my hopes", "I adore it", "superb {a}", "blown away by the {a}")),
    (("{a}两天就坏了", "{a}太差了", "完全是浪费钱", "千万别买", "要求退款", "{a}糟糕透了", "最差的一次购物", "收到就是坏的", "非常失望", "{a}很烂",
      "讨厌这个{a}", "再也不来了", "{a}简直垃圾", "后悔死了"),
     ("{a}有点差", "{a}不太好", "对{a}有点失望", "{a}还可以更好", "不值这个价", "{a}不怎么样", "{a}有些问题", "不会再买了", "{a}不够好", "不太满意",
      "{a}略显粗糙", "没有想象中好"),
     ("{a}一般", "普普通通", "凑合能用", "不好不坏", "中规中矩", "{a}还行", "马马虎虎", "{a}没什么特别的", "这个价格也就这样", "{a}勉强可以", "{a}平平淡淡",
      "说不上好也说不上坏"),
     ("{a}不错", "挺好用的", "{a}挺好", "比较满意", "{a}很好", "还会再买", "喜欢这个{a}", "性价比高", "{a}并不差", "值得购买", "{a}蛮好的", "用着顺手"),
     ("{a}太棒了", "非常喜欢{a}", "{a}非常完美", "强烈推荐", "五星好评", "{a}好极了", "超级满意", "超出预期", "用过最好的", "爱不释手", "{a}无可挑剔", "惊喜，{a}一流")),
)
TEST_OPINIONS = 2
# Adjectives by stars and frames to put them in, so that a word counts wherever it stands.
ADJECTIVES = (
    (("awful", "terrible", "horrible", "dreadful", "useless", "disgusting", "worthless", "rubbish", "garbage", "miserable"),
     ("weak", "poor", "disappointing", "mediocre", "flimsy", "annoying", "cheap", "unpleasant", "clumsy", "inferior"),
     ("okay", "average", "ordinary", "acceptable", "passable", "fine", "middling", "usual", "standard", "unremarkable"),
     ("good", "nice", "solid", "pleasant", "useful", "decent", "pretty", "handy", "reliable", "comfortable"),
     ("fantastic", "excellent", "perfect", "amazing", "wonderful", "superb", "brilliant", "outstanding", "marvellous", "gorgeous")),
    (("糟糕透顶", "极差", "垃圾", "恶心", "烂透了", "毫无用处", "差到极点", "可怕"), ("差", "粗糙", "不好", "劣质", "单薄", "廉价", "失望", "难用"),
     ("一般", "普通", "还行", "凑合", "平常", "中等", "平淡", "过得去"), ("好", "不错", "舒服", "实用", "漂亮", "结实", "顺手", "可靠"),
     ("完美", "极好", "惊艳", "一流", "绝佳", "无敌", "出色极了", "顶级")),
)
FRAMES = (("the {a} is {d}", "{d} {a}", "what {d} {a}", "I find the {a} {d}", "simply {d}", "{d}, the {a} as well", "it is {d}"),
          ("{a}{d}", "{a}真的{d}", "这个{a}{d}", "整体{d}", "感觉{a}{d}", "{a}让人觉得{d}"))
JOINTS = ((". ", ", ", " and ", "! ", ". Also, "), ("，", "。", "，而且", "！", "，"))
CONTRASTS = ((", but ", ". However, "), ("，但是", "，不过"))
ENDS = ((".", "!", "", "..."), ("。", "！", "", "～"))


@dataclass
class Sentence:
    text: str
    spans: list  # (start, end, entity), in code points
    language: str


@dataclass
class Review:
    text: str
    stars: int
    language: str


class Words:
    """Fillers of each slot by language; `new` are those that training never sees."""

    def __init__(self):
        shop, rng = make_demo_data.read_shop(), random.Random(5)
        brands = sorted({brand.names for brands in shop.brands.values() for brand in brands})
        kinds = list(shop.kinds.values())
        rng.shuffle(brands)
        rng.shuffle(kinds)
        plain = re.compile(r"\b(new|my|for|with|good|a|to|of)\b|^[0-9]")
        self.known, self.new = [{}, {}], [{}, {}]
        for side in (0, 1):
            products = [[q for q in kind.queries[side] if not plain.search(q)] for kind in kinds]
            numbers = [f"{n}{' ' if side == 0 else ''}{u}" for n in NUMBERS for u in UNITS[side]]
            models = sorted({model for group in shop.brands.values() for brand in group for model, _ in brand.models})
            models += [f"{letter}{n}" for letter in "KXTZ" for n in (2, 4, 6, 9)] + [f"{w} {n}" for w in ("Nova", "Zen", "Pro") for n in (1, 2, 5)]
            for part, chosen_brands, chosen_products in ((self.known, brands[12:], products[12:]), (self.new, brands[:12], products[:12])):
                part[side] = {"BRAND": [names[side] for names in chosen_brands], "MODEL": models, "COLOR": list(COLORS[side]),
                              "PRODUCT": sorted({q for group in chosen_products for q in group}), "AMOUNT": numbers}


SYLLABLES = (("ba", "lo", "ri", "ven", "ta", "mo", "kel", "sun", "dra", "vi", "no", "fer", "xa", "pul", "gi", "ost", "wen", "hy"),
             "奥维克塔夫可路美诺安倍乐伏特恩奇洛清韵福蒂伊卡拉耐拓奎朗星驰嘉米乔布雷沃摩托瑞法帕科威尔坎佩罗宁海蓝山")


def invented_brand(rng, side):
    """A name that nobody has, so that brands are known by where they stand and not by heart."""
    if side == 1:
        return "".join(rng.choice(SYLLABLES[1]) for _ in range(rng.randint(2, 4)))
    return "".join(rng.choice(SYLLABLES[0]) for _ in range(rng.randint(2, 4))).capitalize()


def make_sentence(rng, words, templates, side, invent=0.0):
    text, spans = "", []
    for part in re.split(r"(\{[A-Z]+\})", rng.choice(templates)):
        if part[:1] == "{":
            filler = rng.choice(words[side][part[1:-1]])
            if part == "{BRAND}" and rng.random() < invent:
                filler = invented_brand(rng, side)
            spans.append((len(text), len(text) + len(filler), part[1:-1]))
            part = filler
        text += part
    if side == 0 and rng.random() < 0.3:
        text = text.lower()
    return Sentence(text, spans, make_demo_data.LANGUAGES[side])


def noise(rng, side, loose):
    """A few words of the shop's descriptions, which hold no entity that the grammar marks."""
    words = rng.choice(loose[side])
    pieces = words.split(" ") if side == 0 else re.findall(".", words)
    start, length = rng.randrange(len(pieces)), rng.randint(1, 4)
    return (" " if side == 0 else "").join(pieces[start:start + length])


def noisy_sentences(count, seed, invent=0.5):
    """Entities in any order with loose words between: what stands around them is no help."""
    rng, words, shop = random.Random(seed), Words(), make_demo_data.read_shop()
    loose = [[pair[side] for kind in shop.kinds.values() for pair in kind.sentences] for side in (0, 1)]
    out = []
    for _ in range(count):
        side, text, spans = rng.randrange(2), "", []
        for _ in range(rng.randint(1, 6)):
            glue = rng.choice((" ", " ", ", ")) if side == 0 else rng.choice(("", "", "，", " "))
            text += glue if text else ""
            if rng.random() < 0.5:
                text += noise(rng, side, loose)
                continue
            kind = rng.choice(ENTITIES)
            filler = rng.choice(words.known[side][kind])
            if kind == "BRAND" and rng.random() < invent:
                filler = invented_brand(rng, side)
            if spans and not glue.strip(" ") and side == 1 and spans[-1][1] == len(text):
                text += "的"  # two Chinese entities without a word between could not be told apart
            spans.append((len(text), len(text) + len(filler), kind))
            text += filler
        out.append(Sentence(text.lower() if side == 0 and rng.random() < 0.3 else text, spans, make_demo_data.LANGUAGES[side]))
    return out


def sentences(count, seed, new_words=False, new_templates=False, invent=0.0):
    rng, words = random.Random(seed), Words()
    out = []
    for _ in range(count):
        side = rng.randrange(2)
        cut = len(SENTENCES[side]) - TEST_SENTENCES[side]
        templates = SENTENCES[side][cut:] if new_templates else SENTENCES[side][:cut]
        out.append(make_sentence(rng, words.new if new_words else words.known, templates, side, invent))
    return out


def plain_sentences(count, seed):
    """Sentences without any entity but products: pieces of reviews, so that the tagger learns what to leave alone."""
    return [Sentence(review.text, [], review.language) for review in reviews(count, seed)]


def clause(rng, side, stars, new):
    options = OPINIONS[side][stars - 1]
    options = options[-TEST_OPINIONS:] if new else options[:-TEST_OPINIONS]
    if not new and rng.random() < 0.5:
        return rng.choice(FRAMES[side]).format(a=rng.choice(ASPECTS[side]), d=rng.choice(ADJECTIVES[side][stars - 1]))
    return rng.choice(options).format(a=rng.choice(ASPECTS[side]))


def reviews(count, seed, new=False):
    """One to three clauses whose stars have the review's stars as their rounded mean."""
    rng, out = random.Random(seed), []
    while len(out) < count:
        side, parts = rng.randrange(2), rng.choices((1, 2, 3), (4, 4, 2))[0]
        stars = rng.randint(1, 5)
        drawn = [stars] if parts == 1 else [max(1, min(5, stars + rng.choice((-2, -1, 0, 0, 0, 1, 2)))) for _ in range(parts)]
        mean = sum(drawn) / len(drawn)
        if abs(mean - round(mean)) > 0.34:
            continue  # a tie between two ratings teaches nothing
        text = ""
        for i, each in enumerate(drawn):
            words = clause(rng, side, each, new)
            if i:
                opposed = (each - 3) * (drawn[i - 1] - 3) < 0
                joint = rng.choice((CONTRASTS if opposed else JOINTS)[side])
                text += joint
            text += words[:1].upper() + words[1:] if side == 0 and (not text or text[-2:] in (". ", "! ")) else words
        text += rng.choice(ENDS[side])
        if side == 0 and rng.random() < 0.3:
            text = text.lower()
        out.append(Review(text, round(mean), make_demo_data.LANGUAGES[side]))
    return out
