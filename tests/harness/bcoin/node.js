// A Bitcoin node in regtest for tests, told by JSON lines on standard input what is to happen on its chain.
//   node node.js NODE_MODULES API_KEY [HTTP_PORT]  ->  {"ok": {"port": ...}} when its JSON-RPC is there
// Its blocks are in memory. Coins come from blocks that it has mined for itself.
'use strict';

process.env.NODE_BACKEND = 'js';
const Module = require('module');
const readline = require('readline');

const [modules, apiKey, port] = process.argv.slice(2);
const load = Module._load; // the database's native part is not built and, with everything in memory, not used
Module._load = (name, ...rest) => name === 'leveldown' ? function () {} : load(name, ...rest);
const { FullNode, KeyRing, MTX, Coin, Script } = Module.createRequire(modules + '/')('bcoin');

const FEE = 10000;
const ring = KeyRing.generate('regtest');
ring.witness = true;
const node = new FullNode({
  network: 'regtest', memory: true, indexTX: true, listen: false, logLevel: 'none', noDns: true,
  httpHost: '127.0.0.1', httpPort: Number(port || 0), apiKey,
});
const coins = []; // of blocks that we have mined: [transaction, height]

async function mine({ count = 1, from, empty = false }) {
  let tip = from === undefined ? node.chain.tip : await node.chain.getEntryByHeight(from);
  const mempool = node.miner.mempool;
  if (empty)
    node.miner.mempool = null;
  for (let i = 0; i < count; i++) {
    const block = await node.miner.cpu.mineBlock(tip, ring.getAddress());
    tip = await node.chain.add(block);
    coins.push([block.txs[0], tip.height]);
  }
  node.miner.mempool = mempool;
  return { height: node.chain.height, hash: node.chain.tip.rhash() };
}

async function matureCoin() {
  while (coins.length && !(await node.chain.getCoin(coins[0][0].hash('hex'), 0)))
    coins.shift(); // of a block that was undone
  if (!coins.length || coins[0][1] + 100 > node.chain.height)
    throw new Error('no coin is mature');
  const [tx, height] = coins.shift();
  return Coin.fromTX(tx, 0, height);
}

async function publish(mtx) {
  const tx = mtx.toTX();
  const missing = await node.mempool.addTX(tx);
  if (missing)
    throw new Error('the transaction was not taken');
  return { txid: tx.txid() };
}

function pay(mtx, outputs) {
  for (const [script, value] of outputs)
    mtx.addOutput(Script.fromRaw(Buffer.from(script, 'hex')), value);
}

// One transaction with these outputs, [[script, satoshi], ...], for the next block; what is over is its last output.
async function fund({ outputs }) {
  const mtx = new MTX();
  let over = -FEE - outputs.reduce((sum, [, value]) => sum + value, 0);
  while (over < 1000) {
    const coin = await matureCoin();
    mtx.addCoin(coin);
    over += coin.value;
  }
  pay(mtx, [...outputs, [Script.fromAddress(ring.getAddress()).toRaw().toString('hex'), over]]);
  mtx.sign(ring);
  return publish(mtx);
}

// Spend a 2-of-2 output into others, in the next block.
async function spend({ txid, output, secrets, outputs }) {
  const rings = secrets.map((secret) => KeyRing.fromPrivate(Buffer.from(secret, 'hex'), true, 'regtest'));
  const script = Script.fromMultisig(2, 2, rings.map((ring) => ring.publicKey));
  for (const ring of rings) {
    ring.witness = true;
    ring.script = script;
  }
  const mtx = new MTX();
  mtx.addCoin(await node.chain.getCoin(Buffer.from(txid, 'hex').reverse().toString('hex'), output));
  pay(mtx, outputs);
  mtx.sign(rings);
  if (!mtx.isSigned())
    throw new Error('the keys do not sign');
  return publish(mtx);
}

// Where in the last block an output with this script is.
async function find({ script }) {
  const block = await node.chain.getBlock(node.chain.tip.hash);
  for (const [transaction, tx] of block.txs.entries())
    for (const [output, { script: found }] of tx.outputs.entries())
      if (found.toRaw().toString('hex') === script)
        return { transaction, output };
  throw new Error('it is not there');
}

const commands = { mine, fund, spend, find };

async function main() {
  await node.open();
  console.log(JSON.stringify({ ok: { port: node.http.http.address().port } }));
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { command, ...args } = JSON.parse(line);
    try {
      console.log(JSON.stringify({ ok: await commands[command](args) || null }));
    } catch (error) {
      console.log(JSON.stringify({ error: String(error.message) }));
    }
  }
  process.exit(0);
}

main();
