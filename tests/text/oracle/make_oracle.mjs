// Writes what Hugging Face's `tokenizers` makes of many texts, for tests/text/wordpiece_oracle_test.cpp to compare.
//
// usage: node make_oracle.mjs OUT [--assets DIR]     everything, hundreds of megabytes
//        node make_oracle.mjs OUT --goldens          the small set that is committed as tests/text/goldens
//
// NAME.tokenizer is a tokenizer: a line of settings, a line for each added token, then the tokens by id.
// NAME.SET.tsv holds a case a line: text, second text or \N, max_length or -1, whether special tokens are added, then
// the tokens, each id,type,begin,end,word with offsets in code points and word -1 where there is none.
// NAME.decode.tsv: whether special tokens are skipped, ids, text.
// In texts, \\ \t \n \r \0 stand for what they look like. Lines that start with # are comments.
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';

const require = createRequire(path.join(process.cwd(), 'package.json')); // run.sh installs in its own folder
const hf = require('tokenizers');
const version = JSON.parse(fs.readFileSync(require.resolve('tokenizers/package.json'), 'utf8')).version;
const banner = `# made by tests/text/oracle/make_oracle.mjs with npm tokenizers ${version}, node ${process.versions.node}`;

const args = process.argv.slice(2);
const out = args[0];
const goldens = args.includes('--goldens');
const assets = args.includes('--assets') ? args[args.indexOf('--assets') + 1] : '';
fs.mkdirSync(out, { recursive: true });

// ---------------------------------------------------------------- tokenizers

const specials = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'];
const plainAdded = (content, special = true) =>
    ({ content, special, lstrip: false, rstrip: false, single_word: false, normalized: false });

// `vocab` is a list of tokens, `added` of {content, special, lstrip, rstrip, single_word, normalized}.
function build(name, vocab, switches, added, maxChars = 100) {
    const ids = Object.fromEntries(vocab.map((token, id) => [token, id]));
    const tokenizer = new hf.Tokenizer(hf.WordPiece.init(ids, { unkToken: '[UNK]', maxInputCharsPerWord: maxChars }));
    tokenizer.setNormalizer(hf.bertNormalizer(switches));
    tokenizer.setPreTokenizer(hf.bertPreTokenizer());
    tokenizer.setPostProcessor(hf.bertProcessing(['[SEP]', ids['[SEP]']], ['[CLS]', ids['[CLS]']]));
    tokenizer.setDecoder(hf.wordPieceDecoder());
    tokenizer.addAddedTokens(added.map((token) => new hf.AddedToken(token.content, token.special, {
        leftStrip: token.lstrip, rightStrip: token.rstrip, singleWord: token.single_word, normalized: token.normalized,
    })));
    return describe(name, tokenizer, switches, added, maxChars);
}

function fromJson(name, file) {
    const json = JSON.parse(fs.readFileSync(file, 'utf8'));
    const tokenizer = hf.Tokenizer.fromFile(file);
    tokenizer.disableTruncation();
    tokenizer.disablePadding();
    const n = json.normalizer;
    return describe(name, tokenizer, {
        lowercase: n.lowercase, stripAccents: n.strip_accents ?? n.lowercase,
        cleanText: n.clean_text, handleChineseChars: n.handle_chinese_chars,
    }, json.added_tokens, json.model.max_input_chars_per_word);
}

function describe(name, tokenizer, switches, added, maxChars) {
    const tokens = [];
    for (const [token, id] of Object.entries(tokenizer.getVocab(true))) tokens[id] = token;
    const flag = (value) => (value ? 1 : 0);
    const lines = [
        banner,
        [flag(switches.lowercase), flag(switches.stripAccents), flag(switches.cleanText),
            flag(switches.handleChineseChars), maxChars,
            ...['[UNK]', '[CLS]', '[SEP]', '[PAD]', '[MASK]'].map((token) => tokenizer.tokenToId(token) ?? -1),
            added.length].join(' '),
        ...added.map((a) => [tokenizer.tokenToId(a.content), flag(a.special), flag(a.lstrip), flag(a.rstrip),
            flag(a.single_word), flag(a.normalized)].join(' ')),
        ...tokens.map(escape),
    ];
    fs.writeFileSync(path.join(out, `${name}.tokenizer`), lines.join('\n') + '\n');
    return { name, tokenizer, tokens };
}

const readVocab = (file) => {
    const lines = fs.readFileSync(file, 'utf8').split('\n');
    if (lines.at(-1) === '') lines.pop();
    return lines;
};

// ---------------------------------------------------------------- writing cases

function escape(text) {
    return text.replace(/[\\\t\n\r\0]/g, (c) => ({ '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r', '\0': '\\0' })[c]);
}

class Writer {
    constructor(file) {
        this.file = fs.openSync(path.join(out, file), 'w');
        this.lines = [banner];
    }
    add(line) {
        this.lines.push(line);
        if (this.lines.length >= 20000) this.flush();
    }
    flush() {
        if (this.lines.length) fs.writeSync(this.file, this.lines.join('\n') + '\n');
        this.lines = [];
    }
    close() {
        this.flush();
        fs.closeSync(this.file);
    }
}

// `cases` are {a, b, max, special}; like ones that follow each other go in one batch.
async function writeCases({ name, tokenizer }, set, cases) {
    const writer = new Writer(`${name}.${set}.tsv`);
    let batch = [];
    const flush = async () => {
        if (!batch.length) return;
        const { max = -1, special = true } = batch[0];
        if (max >= 0) tokenizer.setTruncation(max);
        else tokenizer.disableTruncation();
        const encodings = batch[0].b === undefined
            ? await tokenizer.encodeBatch(batch.map(({ a }) => a), { addSpecialTokens: special })
            : await Promise.all(batch.map(({ a, b }) => tokenizer.encode(a, b, { addSpecialTokens: special })));
        encodings.forEach((encoding, i) => {
            const { a, b } = batch[i];
            const ids = encoding.getIds(), types = encoding.getTypeIds();
            const offsets = encoding.getOffsets(), words = encoding.getWordIds();
            let line = `${escape(a)}\t${b === undefined ? '\\N' : escape(b)}\t${max}\t${special ? 1 : 0}\t`;
            for (let t = 0; t < ids.length; ++t)
                line += `${t ? ' ' : ''}${ids[t]},${types[t]},${offsets[t][0]},${offsets[t][1]},${words[t] ?? -1}`;
            writer.add(line);
        });
        batch = [];
    };
    for (const one of cases) {
        const unlike = batch.length && (batch[0].max !== one.max || batch[0].special !== one.special ||
            (batch[0].b === undefined) !== (one.b === undefined));
        if (unlike || batch.length >= 2000) await flush();
        batch.push(one);
    }
    await flush();
    tokenizer.disableTruncation();
    writer.close();
}

async function writeDecodings({ name, tokenizer, tokens }, lists) {
    const writer = new Writer(`${name}.decode.tsv`);
    for (const skip of [false, true]) {
        const texts = await tokenizer.decodeBatch(lists, skip);
        lists.forEach((ids, i) => writer.add(`${skip ? 1 : 0}\t${ids.join(' ')}\t${escape(texts[i])}`));
    }
    writer.close();
}

// ---------------------------------------------------------------- texts

// xorshift32: the same texts everywhere
function generator(seed) {
    let state = seed;
    return (n) => {
        state ^= state << 13; state >>>= 0;
        state ^= state >>> 17;
        state ^= state << 5; state >>>= 0;
        return state % n;
    };
}

const hardTexts = [
    '', ' ', '   ', '\t\n\r ', 'hello', 'Hello, World!', 'unaffable', 'UNAFFABLE',
    'Kantō', 'Kanto\u0304', 'KANTŌ region', 'café', 'cafe\u0301', 'CAFÉ', 'résumé', 'naïve façade', 'Ångström \u212Bngstr\u00F6m',
    'ΑΣ', 'ΑΣ ΟΔΥΣΣΕΥΣ', 'σας', 'ς', 'ΣΣ', 'İstanbul', 'I\u0307stanbul', 'ıI', 'DİYARBAKIR', 'ß ẞ STRASSE', 'ŒUVRE Æ', 'ǅ ǈ ǋ ǲ',
    '한국어', '한', '가각갂', '\u1112\u1161\u11AB', '한국어 hello 사람', 'ㄱㄴㄷ', '\uAC00\u0301',
    '手机', '手机壳', 'iPhone手机', 'a手b机c', '我爱北京天安门', '日本語テスト', 'ひらがな', 'カタカナ', 'がぎぐ', 'ガ\u3099', '豈更車', '\u{2F800}\u{2F804}',
    '𠀀𠀁', '\u{2B820}\u{2B81F}\u{2B920}\u{2CEB0}', '〇〆々', 'ＡＢＣ１２３', '，。！？', '「本」', '『』《》', '〒100',
    'a\u0000b', '\u0000', 'a\u0001b', '\u0007', 'a\u007Fb', 'a\u0085b', 'a\u000Bb\u000Cc', 'a\uFFFDb', '\uFFFD', 'a\u00ADb', 'a\u200Bb', 'a\u200Db', 'a\u200Cb',
    'a\u200Eb\u200F', 'a\u2028b\u2029c', 'a\u00A0b', 'a\u3000b', 'a\u2003b', 'a\u1680b', 'a\u180Eb', 'a\u2060b', '\uFEFFhello', 'a\uE000b', '\u{F0000}', '\u{10FFFF}', 'a\u0378b', '\u{E0001}',
    '😀', 'a😀b', '👨‍👩‍👧‍👦', '👍🏽', '🇩🇪🇨🇳', '❤️', '☃', '1️⃣', '™©®', '€£¥¢', '±×÷', '½¼', '²³', '№', '°', '§¶', '¿¡',
    '\u0301', '\u0301a', 'a\u0301\u0302\u0303', '\u0344', 'a\u0344\u0316', 'e\u0316\u0301', '\u0340\u0341\u0343', 'ạ̈', '\u1E69\u0323', 'q\u0307\u0323',
    'a\u302E\u0301b', 'a\u0301\u302Eb', 'é\u302E\u0316b', '\u302E', '\u302E\u0316', 'a\u{1D165}\u{1D16D}\u0301', '\u{1D15E}\u{1D160}', 'a\u{16FF0}\u0301', 'a\u{1E000}\u0316b', 'á\u{1E000}\u0316\u{1E001}',
    '\u0958\u0959', 'हिन्दी', 'কো', 'কোলকাতা', 'ೊೋ', 'தமிழ்', 'ไทย', 'ລາວ', 'မြန်မာ', 'བོད་', 'ខ្មែរ', 'العَرَبِيَّة', 'آ أ ؤ', 'עִבְרִית', 'שׁ', 'Тест Ёжик Й', 'ЇЄҐ', 'Հայ', 'ქართული', 'ᲥᲐᲠᲗ', 'Ꭰꭰ',
    '\u1E9B\u0323', 'ﬁ ﬂ', '\u2126\u212A\u212B', '\u2000a\u2001b', '\u037E\u0387', '\u1FEF', '≠≮≯', '\u2329\u232A', '\u0344x',
    'don\'t', 'we\'ll', '"quoted"', 'a-b', 'a_b', 'a.b.c', '3.14', '$9.99', 'C++', 'a/b\\c', '#hashtag', '##hello', '@user', 'x=y', '<tag>', '~`^|', '...', '--', '{}[]()', 'e.g.', '100%',
    '[MASK]', '[MASK] hello', 'hello[MASK]world', 'a [MASK] b', '[mask]', '[MASK', 'MASK]', '[[MASK]]', '[MASK][MASK]', '[CLS] a [SEP]', '[PAD][UNK]', ' [MASK] ', '[MASK]\u0301', '[MA\u0000SK]', '\u200D[MASK]',
    'a'.repeat(99), 'a'.repeat(100), 'a'.repeat(101), 'a'.repeat(100) + '!', 'b ' + 'a'.repeat(101) + ' c', 'é'.repeat(100), 'é'.repeat(101), 'e\u0301'.repeat(100), 'e\u0301'.repeat(101), '한'.repeat(33), '한'.repeat(34), 'a\u0000'.repeat(100), 'a\u0000'.repeat(101), 'x'.repeat(300),
    'hello'.repeat(20), 'hello '.repeat(20), 'helloz', 'zhello', 'hell', 'hel', '9', '1234567890', 'a1b2', 'ID-42',
    'ǰ ΐ ΰ', 'ẖẗẘ', 'Ǆ', 'ᾈ ᾳ', 'Ω ω Ω', 'ﬀ', 'Å', 'ĳ', 'ŉ', 'ǆ', 'Ⅷ ⅷ', 'Ⓐ ⓐ', 'Ａ ａ', '𝐀𝐚', '𐐀𐐨', 'Ꞌ', '\u166D', '\u{111C9}', '\u1734', '\u1885', '\uA9BD', '\u1C89', '\uA7CE', '\u{10D50}', '\u{16EA0}', '\u180F', '\u2E4F', '\u061C', '\u0604', '\u08E2', '\u{110BD}',
];

const alphabet = [...'aabbehlloo HELO  .,!#[]MASK\'\t09', 'é', 'É', 'e\u0301', '\u0316', '\u0323', '\u0344', '\u302E', '\u302A', '手', '机', '豈',
    '한', '국', 'σ', 'Σ', 'İ', 'ß', '\u0000', '\u200D', '\uFFFD', '\u00AD', '\u00A0', '\u3000', '，', '😀', '[MASK]', '[SEP]', 'hello', 'world', 'ō', 'কো', '\u0958',
    '\u{1D165}', '\u{1E000}', '\u{2F800}', '≠', '\u037E', '\u2003', 'ﬁ', 'đ', 'Ё', '\uE000', '_', 'NEW', 'new', 'Éte', 'x_y', '<s>', '<tag> '];
function fuzz(count, seed, most = 24) {
    const random = generator(seed);
    return Array.from({ length: count }, () =>
        Array.from({ length: random(most) }, () => alphabet[random(alphabet.length)]).join(''));
}

// Each text; neighbours as pairs; cut at several lengths; without special tokens.
function variants(texts, lengths) {
    const pairs = texts.slice(1).map((b, i) => ({ a: texts[i], b }));
    return [
        ...texts.map((a) => ({ a })),
        ...pairs,
        ...texts.map((a) => ({ a, special: false })),
        ...pairs.filter((_, i) => i % 4 === 0).map((pair) => ({ ...pair, special: false })),
        ...lengths.flatMap((max) => texts.filter((_, i) => i % 3 === max % 3).map((a) => ({ a, max }))),
        ...lengths.flatMap((max) => pairs.filter((_, i) => i % 3 === max % 3).map((pair) => ({ ...pair, max: max + 1 }))),
        ...lengths.flatMap((max) => pairs.filter((_, i) => i % 16 === max % 16).map((pair) => ({ ...pair, max, special: false }))),
    ];
}

function* everyCodePoint(all) {
    for (let code = 0; code < 0x110000; ++code) {
        if (code >= 0xD800 && code < 0xE000) continue;
        const plane = code >> 16, low = code & 0xFFFF;
        if (all || plane < 4 || plane === 14 || low < 64 || low >= 0xFFC0) yield String.fromCodePoint(code);
    }
}
function* alone(all) {
    for (const c of everyCodePoint(all)) yield { a: c };
}
function* between(all, left, right) { // many to a text: a space keeps them apart
    let words = [];
    for (const c of everyCodePoint(all)) {
        words.push(left + c + right);
        if (words.length < 50) continue;
        yield { a: words.join(' ') };
        words = [];
    }
    if (words.length) yield { a: words.join(' ') };
}

function randomIds(count, seed, tokens) {
    const random = generator(seed);
    return Array.from({ length: count }, () => Array.from({ length: random(20) }, () => random(tokens.length)));
}

// ---------------------------------------------------------------- the tiny vocabulary of our own

const tinyVocab = (() => {
    const letters = [...'abcdefghijklmnopqrstuvwxyz0123456789'];
    const words = ['hello', 'world', 'kanto', 'un', '##aff', '##able', '##llo', '##o', 'he', 'hell', 'new', 'cafe', 'Hello', 'K', 'KANT', '##Ō', 'don', 'do', 'not', 'is', 'ing', '##ing'];
    const others = [...'ABCDEIKMSTéÉōŌßσςΣαᾳıİπ手机我爱北京日本語豈更,.!?#\'"-_()[]{}$%&*+/:;<=>@\\^`|~，。！？「」；〈〉€😀가漢字',
        '\u1112', '\u1161', '\u11AB', '\u1100', 'i\u0307', '\u302E', '\u0307', '\u{2F804}', '\u{20000}', '\u{1D165}', '\u0995', '\u09C7', '\u09BE', '\u0915'];
    const pieces = [...letters, ...letters.map((c) => '##' + c), ...words, ...others,
        ...['é', 'É', 'σ', 'ς', 'ß', '\u1161', '\u11AB', '\u1112', '\u302E', '\u0307', '\u09C7', '\u09BE', '\u0301', '\u0316', '\u{1D165}', '\u{1E000}', '手', '😀', '가'].map((c) => '##' + c)];
    return [...specials, ...new Set(pieces)];
})();

const fancyAdded = [
    ...specials.map((token) => plainAdded(token)),
    { ...plainAdded('<s>'), lstrip: true },
    { ...plainAdded('</s>'), rstrip: true },
    { ...plainAdded('<tag>', false), lstrip: true, rstrip: true },
    { ...plainAdded('new', false), single_word: true },
    { ...plainAdded('NEW YORK', false), normalized: true },
    { ...plainAdded('Éte', false), normalized: true, single_word: true },
    { ...plainAdded('x_y', false), normalized: true, lstrip: true, rstrip: true },
    plainAdded('[MASK] twice', false),
    plainAdded('手机', false),
    { ...plainAdded('手机壳', false), normalized: true },
];
const fancyTexts = [
    'a <s> b', 'a <s>b', '  <s>  <s>  ', 'a </s> b', '</s>\u3000\u00A0x', '<tag>', ' <tag> <tag> ', 'a\n<tag>\tb', 'new', 'newer', 'anew', 'a new b', 'new!', 'new_', 'new\u0301', '手new机', '-new-', 'NEW', 'new new',
    'new york', 'New  York', 'in NEW YORK city', 'newyork', 'New Yorker', 'NÉW YORK', 'ete', 'Éte', 'étes', 'ÉTE!', 'l\'éte', 'x_y', 'a x_y b', 'X_Y', ' x_y ', '[MASK] twice', '[MASK] twic', '[MASK] [MASK] twice',
    '手机', '我的手机壳', '手 机 壳', '手机手机壳机', 'hello<s>world</s>  hello', '<s>new</s>', '<s> new york </s> x', 'new york\u302E', '\u302E\u0316new york\u0301', 'x_y\u302E\u0316 x_y',
];
const everySwitch = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15].map((bits) => ({
    lowercase: !!(bits & 1), stripAccents: !!(bits & 2), cleanText: !!(bits & 4), handleChineseChars: !!(bits & 8),
}));
const uncased = everySwitch[15];
const cased = everySwitch[12];

async function writeTiny() {
    const added = specials.map((token) => plainAdded(token));
    const count = goldens ? 60 : 2000;
    for (const [bits, switches] of everySwitch.entries()) {
        if (goldens && bits !== 15 && bits !== 12) continue;
        const tiny = build(`tiny-${bits}`, tinyVocab, switches, added);
        await writeCases(tiny, 'hard', [...hardTexts.map((a) => ({ a })), ...(goldens ? [] : variants(hardTexts, [2, 3, 5, 8, 13]))]);
        await writeCases(tiny, 'fuzz', goldens ? variants(fuzz(count, 7 + bits), [2, 4]).filter((_, i) => i % 3 === 0) : variants(fuzz(count, 7 + bits), [2, 3, 4, 6, 9]));
        await writeDecodings(tiny, randomIds(goldens ? 20 : 1000, 3, tiny.tokens));
    }
    const fancy = build('tiny-added', tinyVocab, uncased, fancyAdded, 10);
    const texts = [...fancyTexts, ...fuzz(goldens ? 40 : 10000, 99)];
    await writeCases(fancy, 'added', goldens ? texts.map((a) => ({ a })) : variants(texts, [2, 3, 5, 8]));
    await writeDecodings(fancy, randomIds(goldens ? 20 : 5000, 5, fancy.tokens));
    if (goldens) return;
    for (const [bits, switches] of everySwitch.entries()) {
        const each = build(`tiny-added-${bits}`, tinyVocab, switches, fancyAdded, 10);
        await writeCases(each, 'added', [...fancyTexts, ...hardTexts, ...fuzz(2000, 200 + bits)].map((a) => ({ a })));
    }
}

// ---------------------------------------------------------------- real vocabularies and texts

async function writeReal() {
    const vocab = (name) => readVocab(path.join(assets, 'tokenizers', `bert-base-${name}-vocab.txt`));
    const added = specials.map((token) => plainAdded(token));
    const tokenizers = [
        { of: build('uncased', vocab('uncased'), uncased, added), all: true },
        { of: build('cased', vocab('cased'), cased, added), all: false },
        { of: build('chinese', vocab('chinese'), cased, added) },
        { of: build('chinese-uncased', vocab('chinese'), uncased, added) },
        { of: build('uncased-raw', vocab('uncased'), everySwitch[1], added), all: false },
        { of: fromJson('minilm', path.join(assets, 'tokenizers', 'all-minilm-l6-v2-tokenizer.json')) },
        { of: fromJson('bge', path.join(assets, 'tokenizers', 'bge-small-zh-v1.5-tokenizer.json')) },
    ];
    const lines = (name) => fs.readFileSync(path.join(assets, 'corpora', name), 'utf8').split('\n').filter((line) => line);
    const corpora = ['books.tsv', 'zh-news-titles.txt', 'sst-dev.tsv', 'sst-test.tsv', 'sst-train.tsv'].map(lines);
    const some = corpora.flatMap((texts) => texts.filter((_, i) => i % 23 === 0));
    for (const { of, all } of tokenizers) {
        console.log(of.name);
        await writeCases(of, 'corpora', corpora.flat().map((a) => ({ a })));
        await writeCases(of, 'variants', variants([...some, ...hardTexts, ...fuzz(2000, 31)], [2, 3, 5, 8, 16, 31, 32]));
        await writeCases(of, 'whole', corpora.map((texts) => ({ a: texts.slice(0, 2000).join('\n') })));
        await writeDecodings(of, randomIds(3000, 17, of.tokens));
        if (all === undefined) continue;
        await writeCases(of, 'alone', alone(all));
        await writeCases(of, 'letters', between(all, 'a', 'b'));
        await writeCases(of, 'chinese', between(all, '手', '机'));
    }
}

await writeTiny();
if (!goldens && assets) await writeReal();
