// Runs checkpoints through Hugging Face's tokenizers and ONNX Runtime and writes what the C++ tests compare with.
//
//     node oracle.mjs PARITY_FOLDER NAME ...
//
// In:  PARITY_FOLDER/checkpoints/NAME (a Hugging Face checkpoint folder), PARITY_FOLDER/onnx/NAME.onnx (export.py),
//      texts from $RANKLET_ASSETS/corpora where it is there, and a list of hard ones below.
// Out: PARITY_FOLDER/oracle/NAME/texts.txt (one a line), ids.txt (token ids of each text), onnx.vectors.f32 (texts x dim,
//      little-endian), onnx.states.f32 (token states of the first `stateTexts` texts, joined), versions.txt
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';

const [root, ...names] = process.argv.slice(2);
if (!root || names.length === 0) {
    console.error('usage: node oracle.mjs PARITY_FOLDER NAME ...');
    process.exit(2);
}
// The packages live in the build folder, not beside this script.
const require = createRequire(path.resolve(root, 'node', 'package.json'));
const ort = require('onnxruntime-node');
const { Tokenizer } = require('tokenizers');
const stateTexts = 12;

const hard = [
    '', 'a', '手机', 'phone case', 'The new camera: fast, blue and waterproof!', '黑色手机壳 fast charger 充电器',
    'Kantō no sensō, café, naïve', 'x'.repeat(101), 'İstanbul ΟΔΟΣ straße ﬁ', '한국어 텍스트 日本語テキスト', '😀 zero\u200dwidth [MASK] [SEP] text',
    'the red tent for running '.repeat(200),
];

function lines(file) {
    const folder = process.env.RANKLET_ASSETS;
    const full = folder && path.join(folder, 'corpora', file);
    return full && fs.existsSync(full) ? fs.readFileSync(full, 'utf8').split('\n').filter((line) => line !== '') : [];
}

/** `count` lines at even distances, the same in every run. */
function spread(all, count) {
    const step = Math.max(1, Math.floor(all.length / count));
    return all.filter((_, i) => i % step === 0).slice(0, count);
}

function texts() {
    const books = spread(lines('books.tsv').slice(1).map((line) => line.split('\t')[0]), 20);
    const reviews = spread(lines('sst-train.tsv').map((line) => line.split('\t')[1]), 10);
    const news = spread(lines('zh-news-titles.txt'), 15);
    const long = lines('sst-test.tsv').slice(0, 60).map((line) => line.split('\t')[1]).join(' ');
    return [...hard, ...books, ...reviews, ...news, long].filter((text, i) => i === 0 || text !== '');
}

const readJson = (file) => JSON.parse(fs.readFileSync(file, 'utf8'));

/** tokenizer.json as it is, or made from vocab.txt and tokenizer_config.json as transformers makes it. */
function loadTokenizer(folder) {
    const file = path.join(folder, 'tokenizer.json');
    let json;
    if (fs.existsSync(file)) {
        json = readJson(file);
    } else {
        const config = readJson(path.join(folder, 'tokenizer_config.json'));
        const tokens = fs.readFileSync(path.join(folder, 'vocab.txt'), 'utf8').split('\n').slice(0, -1);
        const vocab = Object.fromEntries(tokens.map((token, id) => [token, id]));
        const special = (token, type) => ({ SpecialToken: { id: token, type_id: type } });
        json = {
            version: '1.0',
            added_tokens: ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'].map((content) => ({
                id: vocab[content], content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true,
            })).sort((a, b) => a.id - b.id),
            normalizer: {
                type: 'BertNormalizer', clean_text: true, handle_chinese_chars: config.tokenize_chinese_chars,
                strip_accents: config.strip_accents, lowercase: config.do_lower_case,
            },
            pre_tokenizer: { type: 'BertPreTokenizer' },
            post_processor: {
                type: 'TemplateProcessing',
                single: [special('[CLS]', 0), { Sequence: { id: 'A', type_id: 0 } }, special('[SEP]', 0)],
                pair: [special('[CLS]', 0), { Sequence: { id: 'A', type_id: 0 } }, special('[SEP]', 0),
                    { Sequence: { id: 'B', type_id: 1 } }, special('[SEP]', 1)],
                special_tokens: Object.fromEntries(['[CLS]', '[SEP]'].map((token) => [token, { id: token, ids: [vocab[token]], tokens: [token] }])),
            },
            decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
            model: { type: 'WordPiece', unk_token: '[UNK]', continuing_subword_prefix: '##', max_input_chars_per_word: 100, vocab },
        };
    }
    json.padding = null;
    json.truncation = { direction: 'Right', max_length: maxLength(folder), strategy: 'LongestFirst', stride: 0 };
    return Tokenizer.fromString(JSON.stringify(json));
}

function maxLength(folder) {
    const sentence = path.join(folder, 'sentence_bert_config.json');
    return fs.existsSync(sentence) ? readJson(sentence).max_seq_length : readJson(path.join(folder, 'tokenizer_config.json')).model_max_length;
}

/** Little-endian bytes of a typed array's own part of its buffer. */
const bytes = (array) => Buffer.from(array.buffer, array.byteOffset, array.byteLength);

/** Mean cosine between texts of different token ids: near 1, the comparison would let errors pass. */
function meanCosine(vectors, ids) {
    const unit = vectors.map((v) => v.map((x) => x / Math.hypot(...v)));
    let sum = 0, pairs = 0;
    for (let i = 0; i < unit.length; ++i) {
        for (let j = 0; j < i; ++j) {
            if (ids[i] === ids[j]) continue;
            sum += unit[i].reduce((total, x, k) => total + x * unit[j][k], 0);
            ++pairs;
        }
    }
    return sum / pairs;
}

for (const name of names) {
    const began = Date.now();
    const folder = path.join(root, 'checkpoints', name);
    const out = path.join(root, 'oracle', name);
    fs.mkdirSync(out, { recursive: true });
    const tokenizer = loadTokenizer(folder);
    const session = await ort.InferenceSession.create(path.join(root, 'onnx', `${name}.onnx`), {
        intraOpNumThreads: 1, interOpNumThreads: 1, executionProviders: ['cpu'],
    });
    const list = texts();
    const ids = [];
    const vectors = [];
    const states = [];
    for (const [i, text] of list.entries()) {
        const row = (await tokenizer.encode(text)).getIds();
        ids.push(row.join(' '));
        const feeds = { ids: new ort.Tensor('int64', BigInt64Array.from(row, BigInt), [1, row.length]) };
        const result = await session.run(feeds, i < stateTexts ? ['vector', 'states'] : ['vector']);
        vectors.push(Float32Array.from(result.vector.data));
        if (i < stateTexts) states.push(bytes(Float32Array.from(result.states.data)));
    }
    const alike = meanCosine(vectors, ids);
    if (!(alike < 0.9)) {
        console.error(`${name}: different texts' vectors have a mean cosine of ${alike}: too alike to show an error`);
        process.exit(1);
    }
    fs.writeFileSync(path.join(out, 'texts.txt'), list.map((text) => text + '\n').join(''));
    fs.writeFileSync(path.join(out, 'ids.txt'), ids.map((row) => row + '\n').join(''));
    fs.writeFileSync(path.join(out, 'onnx.states.f32'), Buffer.concat(states));
    fs.writeFileSync(path.join(out, 'onnx.vectors.f32'), Buffer.concat(vectors.map(bytes)));
    const version = (package_) => `${package_} ${readJson(path.join(root, 'node', 'node_modules', package_, 'package.json')).version}`;
    fs.writeFileSync(path.join(out, 'versions.txt'), `${version('onnxruntime-node')}\n${version('tokenizers')}\n`);
    console.log(`${name}: ${list.length} texts through ONNX Runtime in ${((Date.now() - began) / 1000).toFixed(1)} s, mean cosine ${alike.toFixed(2)}`);
}
