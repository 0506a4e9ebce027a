"""A grammar of sentences whose words carry their parts of speech, English and Chinese, for the tagger of the examples.

In: the rules and word lists below (all written for this project). Out: Sentence values whose spans are words, labelled
with Universal Dependencies' tags (https://universaldependencies.org/u/pos/). Where treebanks differ: copulas and modal
verbs are AUX, "not" and "to" before a verb PART, Chinese 的 了 着 过 得 吗 吧 呢 PART, measure words NOUN, brands and models
PROPN. A Chinese word is a span too, so the tagger finds words as well. Standard library only.
"""
import random

from . import make_demo_data
from .shop_language import Sentence, invented_brand

TAGS = ("NOUN", "VERB", "ADJ", "ADV", "PRON", "DET", "ADP", "NUM", "PUNCT", "PROPN", "CCONJ", "AUX", "PART")

# Words of a rule are "word/TAG", other rules, or word lists (below). A rule that begins with * is for the test alone.
RULES = (
    {
        "S": ("DECL END", "DECL END", "DECL , CC DECL END", "ASK ?/PUNCT", "WISH END", "LISTING", "LISTING", "LISTING",
              "PP , DECL END", "GLUE DECL END", "NP VP CC VP END", "* NP , PASTV PP , VP END", "* VB NP CC VB NP END"),
        "DECL": ("NP VP", "NP VP", "PRON VP", "there/PRON COP NP PP", "NP COP PRED"),
        "NP": ("DET NBAR", "DET NBAR", "NBAR", "NAME", "NAME NBAR", "DET NBAR PP", "POSS NBAR", "NUM NBAR", "NUM UNIT of/ADP NOUN",
               "DET NBAR that/PRON VP1", "NBAR CC NBAR", "DET NAME NBAR", "NUM to/ADP NUM NOUN", "* POSS NBAR PP PP", "* all/DET NBAR"),
        "NBAR": ("NOUN", "NOUN", "ADJ NOUN", "ADJ NOUN", "NOUN NOUN", "ADJ NOUN NOUN", "ADV ADJ NOUN", "ADJ CC ADJ NOUN",
                 "ADJ , ADJ NOUN", "NUM -/PUNCT NOUN NOUN", "* ADJ ADJ NOUN NOUN"),
        "NAME": ("BRAND", "BRAND", "BRAND MODEL", "BRAND MODEL"),
        "VP": ("PASTV NP", "PASTV NP", "VP1", "MODAL VB NP", "MODAL not/PART VB NP", "DO not/PART VB NP", "HAVE PASTV NP",
               "COP VBG NP", "PASTV NP TIME", "PASTV PP", "PASTV to/PART VB NP", "ADV PASTV NP", "PASTV NP ADV",
               "COP PASTV ADP NP", "MODAL ADV VB NP", "* HAVE not/PART ADV PASTV NP PP"),
        "VP1": ("VBZ NP", "VBZ PP", "COP PRED", "VBZ NP ADV", "VBZ ADV", "VBZ PP CC VBZ NP"),
        "PRED": ("ADJ", "ADV ADJ", "not/PART ADJ", "ADJ CC ADJ", "NP", "ADJ ADP NP", "ADV ADJ PP"),
        "PP": ("ADP NP", "ADP NP", "ADP DET NBAR", "ADP NUM UNIT", "ADP NBAR"),
        "ASK": ("COP DET NBAR ADJ", "DO PRON VB NP", "MODAL PRON VB NP", "where/ADV COP DET NBAR", "how/ADV ADJ COP DET NBAR",
                "what/PRON COP NP", "who/PRON PASTV NP", "* when/ADV MODAL DET NBAR VB"),
        "WISH": ("VB NP", "VB NP PP", "please/ADV VB NP", "DO not/PART VB NP", "VB NP ADV"),
        "LISTING": ("NAME NBAR , NUM UNIT", "NAME , NUM UNIT , ADJ", "BRAND NBAR", "BRAND NBAR with/ADP NBAR", "NBAR , ADJ CC ADJ",
                    "BRAND NBAR for/ADP NOUN", "NAME NBAR , ADJ NOUN", "NUM NOUN CC DET NBAR END", "NP CC NP END",
                    "ADJ , ADJ CC ADJ PP END", "ADP NBAR CC NBAR END", "VBZ NP END", "VBZ PP END", "VBZ NP PP CC VBZ NP END"),
        "GLUE": ("now/ADV", "then/ADV", "today/NOUN ,", "yesterday/NOUN", "of/ADP course/NOUN ,"),
        "TIME": ("last/ADJ week/NOUN", "today/NOUN", "yesterday/NOUN", "every/DET day/NOUN", "in/ADP NUM minutes/NOUN", "all/DET day/NOUN"),
        ",": (",/PUNCT",), "END": ("./PUNCT", "./PUNCT", "./PUNCT", "!/PUNCT", ""),
    },
    {
        "S": ("DECL END", "DECL END", "DECL ，/PUNCT DECL END", "DECL ，/PUNCT CC DECL END", "ASK ？/PUNCT", "WISH END", "LISTING",
              "LISTING", "LISTING", "TIME DECL END", "DECL ，/PUNCT VP END", "* 因为/ADP DECL ，/PUNCT DECL END", "* PP ，/PUNCT DECL END"),
        "DECL": ("NP VP", "PRON VP", "NP PRED", "PRON PRED", "NP 里/ADP 有/VERB NP", "VP", "NP VP PART"),
        "NP": ("NBAR", "NBAR", "PRON 的/PART NBAR", "DET CLF NBAR", "NUM CLF NBAR", "NAME", "NAME 的/PART NBAR", "NAME NBAR",
               "NBAR CC NBAR", "NBAR 、/PUNCT NBAR CC NBAR", "NUM UNIT NOUN", "* DET NUM CLF ADJ 的/PART NBAR", "* VERB NOUN 的/PART NOUN"),
        "NBAR": ("NOUN", "NOUN", "NOUN NOUN", "ADJ NOUN", "ADJ 的/PART NOUN", "ADV ADJ 的/PART NOUN", "NOUN 的/PART NOUN"),
        "NAME": ("BRAND", "BRAND", "BRAND MODEL"),
        "VP": ("VERB NP", "VERB 了/PART NP", "ADV VERB NP", "AUX VERB NP", "不/ADV VERB NP", "没有/AUX VERB NP", "VERB 过/PART NP",
               "VERB 得/PART ADV ADJ", "PP VERB NP", "AUX VERB NP", "VERB NUM CLF NP", "VERB NUM UNIT", "不/ADV AUX VERB NP",
               "VERB 着/PART NP", "* 把/ADP NP VERB 了/PART", "* 给/ADP PRON VERB NP"),
        "PRED": ("ADV ADJ", "ADV ADJ", "是/AUX NP", "不/ADV ADJ", "比/ADP NP ADJ", "ADJ CC ADJ", "ADJ", "ADJ 又/ADV ADJ", "ADV 不/ADV ADJ",
                 "* 比/ADP NP ADV ADJ 多/ADV 了/PART"),
        "PP": ("在/ADP NP", "从/ADP NP", "对/ADP NP", "跟/ADP PRON", "用/ADP NP", "为/ADP PRON"),
        "ASK": ("DECL 吗/PART", "NP VERB 了/PART 吗/PART", "哪/DET CLF NBAR ADV ADJ", "NP 怎么样/PRON", "谁/PRON VERB NP", "PRON VERB 什么/PRON NOUN",
                "* NP 为什么/ADV ADV ADJ"),
        "WISH": ("请/VERB VERB NP", "VERB NP 吧/PART", "别/ADV VERB NP", "求/VERB VERB NUM CLF NBAR"),
        "LISTING": ("NAME NBAR NUM UNIT", "NAME NUM UNIT ADJ", "BRAND NBAR", "BRAND ADJ NBAR", "NAME NBAR ，/PUNCT ADJ NOUN", "NUM UNIT NBAR",
                    "VERB NOUN ，/PUNCT VERB NOUN END", "NOUN ADJ ，/PUNCT NOUN ADJ END", "ADJ NBAR ，/PUNCT VERB NOUN END",
                    "AUX VERB NOUN END", "NOUN ADJ ，/PUNCT AUX VERB NOUN END", "NUM UNIT VERB NOUN ，/PUNCT ADV VERB END"),
        "TIME": ("今天/NOUN", "昨天/NOUN", "上周/NOUN", "现在/NOUN", "以后/NOUN"),
        "END": ("。/PUNCT", "。/PUNCT", "！/PUNCT", ""),
    },
)

# name -> (tag, words). Of the open classes every sixth word is for the test alone.
WORDS = (
    {
        "NOUN": ("NOUN", "phone battery screen tent jacket coffee tea machine cup kettle book story author camera lens bag strap light lamp "
                 "bike lock helmet bottle shoe shoes sock socks watch glove gloves towel mat ball string strings guitar piano drum stand "
                 "case cover cable charger adapter bank speaker speakers earbuds headphones keyboard mouse monitor laptop sleeve desk chair "
                 "table knife pan pot lid handle blender bowl plate grinder beans bean filter jug milk water sugar bread cake soup rice fruit ice "
                 "oil cream soap skin hair lotion sun rain wind snow winter summer spring season morning evening night day week month year hour "
                 "minute minutes hours days child children family friend friends sister brother mother father dog cat toy toys puzzle block "
                 "blocks game games player players console controller world secret island planet dune knight moon star garden flower seed plant "
                 "soil hose pipe room house kitchen floor wall window door pocket zip fabric leather cotton wool steel glass wood aluminium "
                 "ceramic carbon plastic paper rubber foam down gift present price money delivery parcel shop store order question answer "
                 "problem idea quality colour color size weight height sound voice bass noise music song call calls video photo photos picture "
                 "film memory card storage charge power port plug pair set pack pieces piece edge corner corners side top bottom back front heat "
                 "cold dust sand sea beach mountain forest road city travel trip plane train car work office school lesson beginner student "
                 "designer runner rider camper cook baker reader lover animal food treat leash bed pillow blanket curtain shelf candle "
                 "frame mirror basket box seconds second time life grip fit taste smell crema chocolate lemon jasmine honey programme button "
                 "buttons key keys switch wheel brake chain pedal pump tyre saddle net pole poles liners lining hood"),
        "ADJ": ("ADJ", "good bad new old red blue green black white silver dark light small big large long short high low fast slow warm cold hot "
                "cool dry wet soft hard thick thin heavy strong weak sharp quiet loud clear bright cheap expensive nice great fine solid poor "
                "wireless waterproof foldable portable electric manual automatic digital mechanical ergonomic compact slim wide narrow deep "
                "shallow fresh sweet bitter sour clean dirty easy difficult simple safe dangerous comfortable handmade wooden metal round flat "
                "smooth rough elastic breathable reusable magnetic optical professional young little whole empty full ready busy happy sad "
                "calm friendly gentle natural organic vegan crisp steady stable precise useful useless perfect awful terrible wonderful "
                "excellent beautiful ugly modern classic daily weekly double triple single extra own real true false last next early late best better worst worse smart"),
        "ADV": ("ADV", "very really quite rather too so always never often sometimes again soon quickly slowly easily well almost even just only "
                "still already together evenly gently quietly perfectly completely also here there twice once nearly simply"),
        "VB": ("VERB", "buy sell find see use charge carry hold keep open close clean wash wear bring send take give make cook boil grind pour read "
               "write play learn teach hear watch show need want like love try return recommend compare build fix break lose protect fold "
               "cover connect support measure count choose order pay visit follow help remember forget avoid change mount store heat cool"),
        "VBZ": ("VERB", "buys sells finds sees uses charges carries holds keeps opens closes cleans washes wears brings sends takes gives makes cooks "
                "boils grinds pours reads writes plays learns hears watches shows needs wants likes loves tries fills fits works lasts stays "
                "stands runs folds covers connects supports measures protects starts stops feels looks smells tastes comes goes packs rolls "
                "pairs survives crushes reaches drives tells grows helps heats cools shines follows arrives"),
        "PASTV": ("VERB", "bought sold found saw used charged carried held kept opened closed cleaned washed wore brought sent took gave made cooked "
                  "boiled ground poured read wrote played learned heard watched showed needed wanted liked loved tried returned recommended "
                  "compared built fixed broke lost protected folded covered connected supported measured chose ordered paid visited "
                  "roasted padded sealed included reinforced stabilised calibrated arrived stopped started worked"),
        "VBG": ("VERB", "buying selling finding using charging carrying holding opening cleaning washing wearing bringing making cooking boiling "
                "reading writing playing learning watching showing looking trying running building fixing comparing ordering"),
        "BRAND": ("PROPN", ""), "MODEL": (None, ""), "NUM": ("NUM", "one two three four five six eight ten twelve twenty thirty sixty hundred 1 2 3 4 5 6 8 10 12 "
                                                        "15 24 30 33 64 67 100 128 200 250 256 500 1000 5000 10000 20000"),
        "UNIT": ("NOUN", "GB W mAh g kg ml l litres m cm mm inch minutes hours days pieces dollars bar"),
        "PRON": ("PRON", "I you he she it we they everybody nobody somebody this that"),
        "POSS": ("PRON", "my your his her its our their"), "DET": ("DET", "the the the a a an this that every no some each both any"),
        "ADP": ("ADP", "in on at with for from by of to without under over after before between through into against like than than"),
        "CC": ("CCONJ", "and and and or but"), "COP": ("AUX", "is is are was were"), "MODAL": ("AUX", "can will would should could may must might"),
        "DO": ("AUX", "do does did"), "HAVE": ("AUX", "has have had"),
    },
    {
        "NOUN": ("NOUN", "手机 电池 屏幕 帐篷 外套 咖啡 茶 茶叶 机器 杯子 水壶 书 故事 作者 相机 镜头 包 背包 灯 台灯 自行车 锁 头盔 瓶子 鞋 跑鞋 袜子 手表 手套 毛巾 垫子 球 "
                 "吉他 钢琴 鼓 支架 手机壳 保护套 数据线 充电器 充电宝 音箱 耳机 键盘 鼠标 显示器 电脑 笔记本 桌子 椅子 刀 锅 盖子 把手 料理机 碗 盘子 磨豆机 咖啡豆 滤杯 牛奶 水 糖 "
                 "面包 蛋糕 汤 米饭 水果 冰 油 面霜 香皂 皮肤 头发 阳光 雨 风 雪 冬天 夏天 春天 早上 晚上 孩子 家人 朋友 姐姐 弟弟 妈妈 爸爸 狗 猫 玩具 拼图 积木 游戏 玩家 手柄 世界 秘密 "
                 "月亮 星星 花园 花 种子 植物 土 水管 房间 厨房 地板 墙 窗户 门 口袋 拉链 面料 皮 棉 羊毛 钢 玻璃 木头 陶瓷 塑料 纸 礼物 价格 钱 物流 包裹 商店 订单 问题 答案 质量 做工 颜色 "
                 "尺寸 重量 声音 音质 低音 噪音 音乐 歌 电话 视频 照片 电影 内存 存储 电量 接口 插头 边角 边框 热 灰尘 沙滩 山 森林 路 城市 飞机 火车 汽车 工作 办公室 学校 新手 学生 设计师 "
                 "动物 食物 床 枕头 毯子 窗帘 架子 蜡烛 镜子 篮子 盒子 时间 生活 手感 味道 气味 油脂 巧克力 茉莉 香气 按键 轮子 刹车 链条 脚踏 车灯 蚊子 小时 分钟 内衬 耳罩 风扇 电机 水箱 货 智能手机 头戴耳机 相机包 登山包 睡袋 咖啡机 咖啡杯"),
        "ADJ": ("ADJ", "好 坏 新 旧 红色 蓝色 绿色 黑色 白色 银色 小 大 长 短 高 低 快 慢 暖 冷 热 凉 干 软 柔软 硬 厚 薄 重 轻 强 弱 尖 安静 清晰 明亮 便宜 贵 不错 结实 差 无线 防水 便携 电动 "
                "手动 自动 数码 机械 紧凑 宽 窄 深 新鲜 甜 苦 酸 干净 脏 容易 简单 安全 危险 舒适 舒服 手工 圆 平 光滑 粗糙 透气 磁吸 专业 年轻 满意 开心 温暖 自然 稳定 精准 有用 完美 糟糕 "
                "漂亮 现代 经典 均匀 轻巧 实用 可靠 细腻 醇厚 清澈 沉稳 宽敞 智能"),
        "ADV": ("ADV", "很 非常 太 更 最 都 也 就 还 又 再 已经 常常 总是 马上 一直 真 特别 有点 比较 十分 仍 只 一起"),
        "VERB": ("VERB", "买 卖 找 看 用 使用 充 充电 带 拿 打开 关 洗 穿 送 给 做 煮 磨 倒 读 写 玩 学 教 听 显示 需要 喜欢 爱 试 退 推荐 比较 修 弄坏 丢 保护 折叠 连接 支持 测 选 订 付 收到 收 寄 "
                 "帮 记得 忘 换 装 放 放下 加热 追踪 防 填满 适合 开 讲 养 种 吃 喝 跑 骑 拍 保温"),
        "BRAND": ("PROPN", ""), "MODEL": (None, ""), "NUM": ("NUM", "一 两 三 四 五 六 八 十 二十 三十 一百 1 2 3 4 5 6 8 10 15 24 30 64 67 100 128 200 256 500 5000 10000"),
        "UNIT": ("NOUN", "GB W 毫安 克 公斤 毫升 升 米 厘米 寸 分钟 小时 天 元 片 张"),
        "CLF": ("NOUN", "个 款 台 只 双 件 本 把 张 条 部 套 杯 次"), "PRON": ("PRON", "我 你 他 她 它 我们 你们 他们 大家"), "DET": ("DET", "这 那 每 这些 某"),
        "CC": ("CCONJ", "和 和 或者 与 但是 而且"), "AUX": ("AUX", "能 可以 会 应该 可 想 要"), "PART": ("PART", "了 吧 呢"),
    },
)
OPEN = ("NOUN", "ADJ", "ADV", "VB", "VBZ", "PASTV", "VBG", "VERB")

# Sentences of the shop's descriptions, tagged by hand: what the grammar does not know.
BY_HAND = (
    ("A/DET bright/ADJ OLED/NOUN display/NOUN and/CCONJ a/DET battery/NOUN that/PRON lasts/VERB all/DET day/NOUN ./PUNCT",
     "Raised/VERB edges/NOUN protect/VERB the/DET screen/NOUN and/CCONJ the/DET camera/NOUN ./PUNCT",
     "Soft/ADJ to/ADP the/DET touch/NOUN and/CCONJ does/AUX not/PART turn/VERB yellow/ADJ ./PUNCT",
     "Protects/VERB against/ADP heat/NOUN and/CCONJ overvoltage/NOUN ./PUNCT", "Charges/VERB phones/NOUN ,/PUNCT tablets/NOUN and/CCONJ earbuds/NOUN ./PUNCT",
     "Shows/VERB the/DET remaining/ADJ charge/NOUN as/ADP a/DET number/NOUN ./PUNCT", "Clear/ADJ calls/NOUN even/ADV in/ADP the/DET wind/NOUN ./PUNCT",
     "Fast/ADJ autofocus/NOUN follows/VERB eyes/NOUN and/CCONJ faces/NOUN ./PUNCT", "Two/NUM doors/NOUN and/CCONJ a/DET mosquito/NOUN net/NOUN ./PUNCT",
     "Sharp/ADJ to/ADP the/DET corners/NOUN with/ADP a/DET soft/ADJ background/NOUN ./PUNCT", "One/NUM battery/NOUN lasts/VERB a/DET year/NOUN ./PUNCT",
     "Keeps/VERB the/DET cold/ADJ ground/NOUN away/ADV ./PUNCT", "Works/VERB on/ADP glass/NOUN and/CCONJ on/ADP wood/NOUN ./PUNCT",
     "Fills/VERB a/DET room/NOUN with/ADP warm/ADJ sound/NOUN ./PUNCT", "Heats/VERB evenly/ADV with/ADP little/ADJ oil/NOUN ./PUNCT",
     "Crushes/VERB ice/NOUN and/CCONJ frozen/ADJ fruit/NOUN ./PUNCT"),
    ("手感/NOUN 柔软/ADJ ，/PUNCT 不/ADV 易/ADV 发黄/VERB 。/PUNCT", "边框/NOUN 加高/VERB ，/PUNCT 保护/VERB 屏幕/NOUN 和/CCONJ 镜头/NOUN 。/PUNCT",
     "二十/NUM 分钟/NOUN 充/VERB 到/VERB 一半/NUM 。/PUNCT", "手机/NOUN 、/PUNCT 平板/NOUN 、/PUNCT 耳机/NOUN 都/ADV 能/AUX 充/VERB 。/PUNCT",
     "可/AUX 充/VERB 手机/NOUN 两/NUM 次/NOUN ，/PUNCT 能/AUX 带/VERB 上/VERB 飞机/NOUN 。/PUNCT", "风/NOUN 中/ADP 通话/NOUN 也/ADV 清晰/ADJ 。/PUNCT",
     "声音/NOUN 温暖/ADJ ，/PUNCT 充满/VERB 房间/NOUN 。/PUNCT", "低音/NOUN 深沉/ADJ ，/PUNCT 人声/NOUN 清澈/ADJ 。/PUNCT", "轻巧/ADJ ，/PUNCT 天天/ADV 可/AUX 带/VERB 。/PUNCT",
     "边角/NOUN 锐利/ADJ ，/PUNCT 背景/NOUN 虚化/VERB 柔和/ADJ 。/PUNCT", "风扇/NOUN 安静/ADJ ，/PUNCT 键盘/NOUN 舒适/ADJ 。/PUNCT", "玻璃/NOUN 和/CCONJ 木桌/NOUN 都/ADV 能/AUX 用/VERB 。/PUNCT",
     "可/AUX 连接/VERB 三/NUM 台/NOUN 设备/NOUN 。/PUNCT", "一/NUM 节/NOUN 电池/NOUN 用/VERB 一/NUM 年/NOUN 。/PUNCT", "五/NUM 分钟/NOUN 搭/VERB 好/ADJ ，/PUNCT 大雨/NOUN 不/ADV 漏/VERB 。/PUNCT"),
)


def tagged(words, side):
    """(word, tag) pairs as a Sentence: English words with spaces between, but for those before punctuation."""
    text, spans = "", []
    for i, (word, tag) in enumerate(words):
        if text and side == 0 and (tag != "PUNCT" or word == "-") and words[i - 1][0] != "-" and word != "-":
            text += " "
        elif text and side == 1 and text[-1].isascii() and text[-1].isalnum() and word[0].isascii() and word[0].isalnum():
            text += " "  # 奥维克 N7 128GB
        spans.append((len(text), len(text) + len(word), tag))
        text += word
    return Sentence(text, spans, make_demo_data.LANGUAGES[side])


class Grammar:
    """Draws sentences of one language. `new_words`: open classes from the words of the test; `new_rules`: one rule of the
    test at least."""

    def __init__(self, side, rng, new_words=False, new_rules=False):
        self.side, self.rng, self.new_rules = side, rng, new_rules
        self.brands = [brand.names[side] for group in make_demo_data.read_shop().brands.values() for brand in group]
        self.words = {}
        for name, (tag, listed) in WORDS[side].items():
            words = listed.split()
            if name in OPEN:
                words = [w for i, w in enumerate(words) if (i % 6 == 5) == new_words]
            self.words[name] = (tag, words)

    def name(self, symbol):
        if symbol == "BRAND":
            chosen = self.rng.choice(self.brands) if self.rng.random() < 0.5 else invented_brand(self.rng, self.side)
            return [(word, "PROPN") for word in chosen.split()]
        chosen = self.rng.choice(("{c}{n}", "{c}{n} Pro", "Aria {n}", "Nova {n}", "{c}{n} Plus")).format(
            c=self.rng.choice("KXTZNPA"), n=self.rng.choice((1, 2, 3, 4, 5, 7, 9, 20, 30)))
        return [(word, "NUM" if word.isdigit() else "PROPN") for word in chosen.split()]

    def expand(self, symbol, depth=0):
        if "/" in symbol:
            return [tuple(symbol.rsplit("/", 1))]
        if symbol in ("BRAND", "MODEL"):
            return self.name(symbol)
        if symbol in self.words:
            tag, words = self.words[symbol]
            return [(self.rng.choice(words), tag)]
        rules = RULES[self.side][symbol]
        allowed = [r for r in rules if r[:1] != "*"]
        if self.new_rules and len(allowed) < len(rules) and (depth == 0 or self.rng.random() < 0.4):
            allowed = [r for r in rules if r[:1] == "*"]
        if depth > 4:
            allowed = sorted(allowed, key=len)[:2]
        return [pair for part in self.rng.choice(allowed).lstrip("* ").split() for pair in self.expand(part, depth + 1)]

    def sentence(self):
        words = self.expand("S")
        if self.side == 0:
            words = [("an" if w == "a" and i + 1 < len(words) and words[i + 1][0][0] in "aeiou" else "a" if w == "an" else w, t)
                     for i, (w, t) in enumerate(words)]
            if self.rng.random() < 0.8:
                words[0] = (words[0][0][:1].upper() + words[0][0][1:], words[0][1])
            if self.rng.random() < 0.1:
                words = [(w.lower(), t) for w, t in words]
        return tagged(words, self.side)


def sentences(count, seed, new_words=False, new_rules=False):
    rng = random.Random(seed)
    grammars = [Grammar(side, rng, new_words, new_rules) for side in (0, 1)]
    return [rng.choice(grammars).sentence() for _ in range(count)]


def by_hand():
    return [tagged([tuple(word.rsplit("/", 1)) for word in line.split()], side) for side in (0, 1) for line in BY_HAND[side]]
