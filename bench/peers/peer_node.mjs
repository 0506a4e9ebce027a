// ONNX Runtime, Hugging Face's tokenizers and usearch behind the protocol of measure.py.
//
//     node peer_node.mjs PEERS_FOLDER        (packages in PEERS_FOLDER/node/node_modules)
//
// In: one command a line on stdin, "work key=value ...". Out: one JSON line each: {"seconds": [...]} of every run, or
// {"error": text}. With out=FILE the work is done once, its result is written there and nothing is timed.
import fs from 'node:fs';
import path from 'node:path';
import readline from 'node:readline';
import { createRequire } from 'node:module';

const root = process.argv[2];
const require = createRequire(path.resolve(root, 'node', 'package.json'));
const ort = require('onnxruntime-node');
const { Tokenizer } = require('tokenizers');
const usearch = require('usearch');

const kept = new Map(); // sessions and large arrays, until "forget"
async function keep(key, make) {
    if (!kept.has(key)) kept.set(key, await make());
    return kept.get(key);
}

const bytes = (array) => Buffer.from(array.buffer, array.byteOffset, array.byteLength);
const lines = (file) => fs.readFileSync(file, 'utf8').split('\n').slice(0, -1);

/** A file of f32. Read in pieces: Node reads no file of 2 GiB at once. */
function floats(file, pieces = 16) {
    const array = new Float32Array(fs.statSync(file).size / 4);
    const target = bytes(array), step = Math.ceil(target.length / pieces), fd = fs.openSync(file);
    for (let at = 0; at < target.length; at += step) fs.readSync(fd, target, at, Math.min(step, target.length - at), at);
    fs.closeSync(fd);
    return array;
}

const session = (file, threads) => keep(`${file} ${threads}`, () => ort.InferenceSession.create(file, {
    executionProviders: ['cpu'], graphOptimizationLevel: 'all', executionMode: 'sequential',
    intraOpNumThreads: threads, interOpNumThreads: 1,
}));

/** Texts' ids as tensors of `batch` texts, padded to the longest of each. */
function batches(file, count, batch) {
    const rows = lines(file).slice(0, count).map((line) => line.split(' ').map(Number));
    const made = [];
    for (let first = 0; first < rows.length; first += batch) {
        const part = rows.slice(first, first + batch), length = Math.max(...part.map((row) => row.length));
        const ids = new Int32Array(part.length * length), mask = new Int32Array(part.length * length);
        part.forEach((row, i) => { ids.set(row, i * length); mask.fill(1, i * length, i * length + row.length); });
        const shape = [part.length, length];
        made.push({ ids: new ort.Tensor('int32', ids, shape), mask: new ort.Tensor('int32', mask, shape) });
    }
    return made;
}

// Each work: options -> { run, result } where run() does it once and result(run's value) is what is compared.
const works = {
    async encode(o) {
        const graph = await session(o.model, Number(o.threads));
        const feeds = batches(o.ids, Number(o.count), Number(o.batch));
        const run = async () => {
            const vectors = [];
            for (const feed of feeds) vectors.push((await graph.run(feed)).vector.data);
            return vectors;
        };
        return { run, result: (vectors) => Buffer.concat(vectors.map(bytes)) };
    },
    async gru(o) {
        const graph = await session(o.model, Number(o.threads));
        const shape = [Number(o.steps), Number(o.sequences), Number(o.hidden)];
        const x = new ort.Tensor('float32', floats(o.x).subarray(0, shape[0] * shape[1] * shape[2]), shape);
        return { run: async () => (await graph.run({ x })).states.data, result: bytes };
    },
    async call(o) {
        const graph = await session(o.model, Number(o.threads));
        const x = new ort.Tensor('float32', new Float32Array(1), [1]);
        return { run: async () => (await graph.run({ x })).y.data, result: bytes };
    },
    async search(o) {
        const dim = Number(o.dim), rows = await keep(o.rows, () => floats(o.rows));
        const users = floats(o.queries).subarray(0, Number(o.users) * dim);
        const run = () => usearch.exactSearch(rows, users, dim, Number(o.k), usearch.MetricKind.IP, Number(o.threads));
        return { run, result: (found) => bytes(Int32Array.from(found.keys, Number)) };
    },
    async tokenize(o) {
        const json = JSON.parse(fs.readFileSync(o.tokenizer, 'utf8'));
        json.padding = null;
        json.truncation = { direction: 'Right', max_length: Number(o.max_length), strategy: 'LongestFirst', stride: 0 };
        const tokenizer = Tokenizer.fromString(JSON.stringify(json));
        const texts = lines(o.texts).slice(0, Number(o.count));
        const result = (all) => all.map((encoding) => encoding.getIds().join(' ') + '\n').join('');
        return { run: () => tokenizer.encodeBatch(texts), result };
    },
};

async function answer(line) {
    const [name, ...pairs] = line.split(' ');
    const o = Object.fromEntries(pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]));
    if (name === 'forget') {
        for (const value of kept.values()) await value.release?.();
        kept.clear();
        return {};
    }
    if (name === 'versions') {
        const version = (of) => JSON.parse(fs.readFileSync(path.join(root, 'node/node_modules', of, 'package.json'))).version;
        return { Node: process.version, 'ONNX Runtime (Node)': version('onnxruntime-node'),
            'Hugging Face tokenizers (Node)': version('tokenizers'), 'usearch (Node)': version('usearch') };
    }
    if (!works[name]) return { error: `no work ${name}` };
    const { run, result } = await works[name](o);
    if (o.out) {
        fs.writeFileSync(o.out, result(await run()));
        return {};
    }
    const seconds = [], began = performance.now();
    do {
        const start = performance.now();
        await run();
        seconds.push((performance.now() - start) / 1000);
    } while (performance.now() - began < Number(o.seconds) * 1000);
    return { seconds };
}

for await (const line of readline.createInterface({ input: process.stdin })) {
    let reply;
    try {
        reply = await answer(line);
    } catch (error) {
        reply = { error: String(error.message ?? error).split('\n')[0] };
    }
    process.stdout.write(JSON.stringify(reply) + '\n');
}
