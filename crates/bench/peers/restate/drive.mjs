// Sagas per second of Restate: some settings, some numbers of sagas in flight; or, again, the fastest of an earlier
// result. Prints one JSON object.
//   drive.mjs SECONDS [RESULT.json]
import { Agent, request } from "node:http";
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { cpu, eventually, start, version } from "./peer.mjs";

const SECONDS = Number(process.argv[2]);
const EARLIER = process.argv[3];
const IN_FLIGHT = [1, 64, 256, 512];
const PRODUCTS = JSON.stringify({ products: [{ name: "Dal", quantity: 2 }, { name: "Roti", quantity: 4 }] });

// Restate as it comes, and what was found to help it on few cores (see crates/bench/README.md for what was not).
const SETTINGS = {
  "as it comes": {},
  "2 partitions": { RESTATE_DEFAULT_NUM_PARTITIONS: "2" },
  "4 partitions": { RESTATE_DEFAULT_NUM_PARTITIONS: "4" },
};

function place(agent, port) {
  return new Promise((done, failed) => {
    const options = { agent, port, host: "127.0.0.1", method: "POST", path: `/order/${randomUUID()}/place` };
    const call = request({ ...options, headers: { "content-type": "application/json" } }, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (part) => (text += part));
      answer.on("error", failed).on("end", () => {
        const { status, version } = answer.statusCode === 200 ? JSON.parse(text) : {};
        if (status === "DELIVERED" && version === 5) done();
        else failed(new Error(`a saga ended with ${answer.statusCode}: ${text}`));
      });
    });
    call.on("error", failed).end(PRODUCTS);
  });
}

/** `count` sagas at a time for some seconds. */
async function sagas(port, count, seconds) {
  const agent = new Agent({ keepAlive: true, maxSockets: count });
  const until = performance.now() + seconds * 1e3;
  const latencies = [];
  const one = async () => {
    while (performance.now() < until) {
      const begun = performance.now();
      await place(agent, port);
      latencies.push(performance.now() - begun);
    }
  };
  const begun = performance.now();
  await Promise.all(Array.from({ length: count }, one));
  agent.destroy();
  return { latencies, seconds: (performance.now() - begun) / 1e3 };
}

async function measure(peer, inFlight) {
  const warm = await sagas(peer.ingress, inFlight, SECONDS / 4);
  const before = { ...peer.used(), load: cpu(process.pid) };
  const { latencies, seconds } = await sagas(peer.ingress, inFlight, SECONDS);
  const after = { ...peer.used(), load: cpu(process.pid) };
  latencies.sort((a, b) => a - b);
  const at = (share) => latencies[Math.min(latencies.length - 1, Math.floor(share * latencies.length))];
  const each = (part) => (after[part] - before[part]) / latencies.length;
  return {
    placed: warm.latencies.length + latencies.length,
    row: {
      inFlight,
      perSecond: latencies.length / seconds,
      p50: at(0.5),
      p99: at(0.99),
      cpu: { server: each("server"), handler: each("handler"), load: each("load") },
    },
  };
}

/** The settings to measure, each with its numbers of sagas in flight. */
function plan() {
  if (!EARLIER) return Object.keys(SETTINGS).map((name) => [name, IN_FLIGHT]);
  const { results } = JSON.parse(readFileSync(EARLIER, "utf8"));
  const fastest = results.reduce((best, row) => (row.perSecond > best.perSecond ? row : best));
  return [[fastest.settings, [fastest.inFlight]]];
}

/** Every order that was placed is delivered, and nothing is left half done. */
async function check(peer, placed) {
  const states = `SELECT COUNT(*) AS n FROM state
    WHERE service_name = 'order' AND value_utf8 LIKE '%"DELIVERED","version":5%'`;
  const open = `SELECT COUNT(*) AS n FROM sys_invocation WHERE status <> 'completed'`;
  await eventually(`${placed} delivered orders in Restate's state`, async () => {
    const [[delivered], [unfinished]] = [await peer.query(states), await peer.query(open)];
    return delivered.n === placed && unfinished.n === 0;
  });
}

// With the process end those that it started.
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));
const results = [];
for (const [name, numbers] of plan()) {
  const peer = await start(SETTINGS[name]);
  try {
    let placed = 0;
    for (const inFlight of numbers) {
      const measured = await measure(peer, inFlight);
      placed += measured.placed;
      results.push({ settings: name, ...measured.row });
      const { perSecond, p50, p99 } = measured.row;
      const line = `${perSecond.toFixed(0)} sagas/s, p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`;
      console.error(`  ${name}, ${inFlight} in flight: ${line}`);
    }
    await check(peer, placed);
  } finally {
    await peer.stop();
  }
}
console.log(JSON.stringify({ restate: version, node: process.version, seconds: SECONDS, results }));
