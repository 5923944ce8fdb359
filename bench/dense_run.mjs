#!/usr/bin/env node
// Rankings of a sentence encoder, such as bge-small-en-v1.5, for lmk eval retrieval --run.
//
//   node bench/dense_run.mjs MODEL SET OUT.trec [--length 512] [--depth 1000] [--prefix TEXT] [--vectors FILE]
//
// MODEL: a folder with tokenizer.json, tokenizer_config.json and onnx/model_quantized.onnx (or
// onnx/model.onnx). SET: a folder as bench/make_sets.py makes it. Passages are cut into pieces of
// LENGTH tokens at most, each with the title in front; an entry counts by its best piece. The vector
// is that of the first token, normalised. PREFIX stands before each question (what bge-small was
// trained with, unless given). --vectors keeps the passages' vectors in a file, where a run that was
// interrupted, or one with further passages behind the same ones, goes on.
//
// Needs two packages, in a folder named by NODE_MODULES or found as usual:
//   npm install onnxruntime-node @huggingface/tokenizers
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { parseArgs } from 'node:util';

const folder = process.env.NODE_MODULES ?? path.join(import.meta.dirname ?? '.', 'node_modules');
const require = createRequire(path.join(folder, 'anything.js'));
const runtime = require('onnxruntime-node');
const { Tokenizer } = require('@huggingface/tokenizers');

const BATCH = 16, CHUNK = 1024;

const { values: options, positionals } = parseArgs({
    allowPositionals: true,
    options: {
        length: { type: 'string', default: '512' },
        depth: { type: 'string', default: '1000' },
        prefix: { type: 'string', default: 'Represent this sentence for searching relevant passages: ' },
        vectors: { type: 'string' },
    },
});
const [modelFolder, setFolder, out] = positionals;
if (!out) {
    console.error('usage: dense_run.mjs MODEL SET OUT.trec [--length N] [--depth N] [--prefix TEXT] [--vectors FILE]');
    process.exit(2);
}
const length = Number(options.length), depth = Number(options.depth);

const readJson = (name) => JSON.parse(fs.readFileSync(path.join(modelFolder, name), 'utf8'));
const readLines = (name) => fs.readFileSync(path.join(setFolder, name), 'utf8')
    .split('\n').filter((line) => line.trim()).map((line) => JSON.parse(line));

const tokenizer = new Tokenizer(readJson('tokenizer.json'), readJson('tokenizer_config.json'));
const onnx = ['onnx/model_quantized.onnx', 'onnx/model.onnx']
    .map((name) => path.join(modelFolder, name)).find(fs.existsSync);
const WIDTH = readJson('config.json').hidden_size;
const session = await runtime.InferenceSession.create(onnx, { intraOpNumThreads: Number(process.env.THREADS ?? 0) });

// Token ids of a text without the special tokens at its ends, which are put back around each piece.
const [first, last] = (() => {
    const ids = tokenizer.encode('a').ids;
    return [ids[0], ids.at(-1)];
})();
const encode = (text) => tokenizer.encode(text).ids.slice(1, -1);

function piecesOf(entry) {
    const title = entry.title ? encode(entry.title).slice(0, length / 2) : [];
    const text = encode(entry.text), room = length - 2 - title.length, pieces = [];
    for (let at = 0; at === 0 || at < text.length; at += room)
        pieces.push([first, ...title, ...text.slice(at, at + room), last]);
    return pieces;
}

async function embedBatch(batch) {
    const width = Math.max(...batch.map((ids) => ids.length));
    const ids = new BigInt64Array(batch.length * width), mask = new BigInt64Array(ids.length);
    batch.forEach((piece, row) => piece.forEach((id, column) => {
        ids[row * width + column] = BigInt(id);
        mask[row * width + column] = 1n;
    }));
    const tensor = (data) => new runtime.Tensor('int64', data, [batch.length, width]);
    const feeds = { input_ids: tensor(ids), attention_mask: tensor(mask) };
    if (session.inputNames.includes('token_type_ids'))
        feeds.token_type_ids = tensor(new BigInt64Array(ids.length));
    const { data, dims } = (await session.run(feeds))[session.outputNames[0]];
    return batch.map((_, row) => {
        const vector = data.slice(row * dims[1] * dims[2], row * dims[1] * dims[2] + dims[2]);
        const norm = Math.hypot(...vector);
        return vector.map((value) => value / norm);
    });
}

// Vectors of all pieces; those of a like length go together, so that little is padded.
async function embed(pieces) {
    const order = pieces.map((_, i) => i).sort((a, b) => pieces[a].length - pieces[b].length);
    const vectors = new Array(pieces.length);
    for (let at = 0; at < order.length; at += BATCH) {
        const places = order.slice(at, at + BATCH);
        (await embedBatch(places.map((i) => pieces[i]))).forEach((vector, j) => vectors[places[j]] = vector);
    }
    return vectors;
}

// The same, in chunks that are added to a file as they come; those that it has are read.
async function embedKept(pieces, file) {
    const vectors = [];
    if (file && fs.existsSync(file)) {
        const bytes = fs.readFileSync(file), values = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
        const whole = Math.floor(values.length / WIDTH);
        fs.truncateSync(file, whole * WIDTH * 4);
        for (let i = 0; i < Math.min(whole, pieces.length); i++)
            vectors.push(values.slice(i * WIDTH, (i + 1) * WIDTH));
    }
    while (vectors.length < pieces.length) {
        const chunk = await embed(pieces.slice(vectors.length, vectors.length + CHUNK));
        if (file)
            fs.appendFileSync(file, Buffer.concat(chunk.map((vector) => Buffer.from(Float32Array.from(vector).buffer))));
        vectors.push(...chunk);
        process.stderr.write(`\r${vectors.length} of ${pieces.length} pieces`);
    }
    process.stderr.write('\n');
    return vectors;
}

const corpus = readLines('corpus.jsonl'), queries = readLines('queries.jsonl');
const pieces = [], owners = [];
corpus.forEach((entry, i) => piecesOf(entry).forEach((piece) => {
    pieces.push(piece);
    owners.push(i);
}));
const passages = await embedKept(pieces, options.vectors);
const questions = await embed(queries.map((query) => [first, ...encode(options.prefix + query.text).slice(0, 510), last]));

const product = (a, b) => {
    let sum = 0;
    for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
    return sum;
};
const name = path.basename(out).replace(/\.[^.]*$/, '');
const file = fs.createWriteStream(out);
queries.forEach((query, q) => {
    const best = new Float64Array(corpus.length).fill(-Infinity);
    passages.forEach((vector, i) => {
        best[owners[i]] = Math.max(best[owners[i]], product(questions[q], vector));
    });
    const order = [...best.keys()].sort((a, b) => best[b] - best[a]).slice(0, depth);
    file.write(order.map((i, rank) => `${query._id} Q0 ${corpus[i]._id} ${rank + 1} ${best[i]} ${name}\n`).join(''));
});
file.end();
