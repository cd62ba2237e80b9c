// Restate's figures as a table, and Tiffin's beside the best of them.
//   compare.mjs RESTATE.json [TIFFIN.json]
import { readFileSync } from "node:fs";

const GOAL = 8;

const [restate, tiffin] = process.argv.slice(2).map((file) => JSON.parse(readFileSync(file, "utf8")));

const line = (...cells) =>
  console.log(cells.map((cell, i) => (i === 0 ? cell.padEnd(34) : cell.padStart(11))).join("").trimEnd());

console.log(`\nRestate ${restate.restate}, Node ${restate.node}, ${restate.seconds} s each`);
line("settings, sagas in flight", "sagas/s", "p50 ms", "p99 ms", "CPU-µs", "server", "handler", "(load)");
for (const { settings, inFlight, perSecond, p50, p99, cpu } of restate.results) {
  const costs = [cpu.server + cpu.handler, cpu.server, cpu.handler, cpu.load].map((cost) => cost.toFixed(0));
  line(`${settings}, ${inFlight}`, perSecond.toFixed(0), p50.toFixed(1), p99.toFixed(1), ...costs);
}

/** Tiffin's rows of a figure that end so, with the engine's name. */
function rows(figure, end) {
  const found = tiffin.figures.find(({ name }) => name === figure)?.rows ?? [];
  const wanted = found.filter(({ what }) => what.endsWith(end));
  if (wanted.length === 0) throw new Error(`Tiffin's result has no "${end}" in ${figure}`);
  return wanted.map(({ what, tiffin: value }) => [what.split(":")[0], value]);
}

if (tiffin) {
  const fastest = [...restate.results].sort((a, b) => b.perSecond - a.perSecond)[0];
  const alone = restate.results.filter(({ inFlight }) => inFlight === 1);
  const soonest = alone.sort((a, b) => a.p50 - b.p50)[0];
  console.log(`\nTiffin beside Restate's best (${fastest.settings}, ${fastest.inFlight} in flight)`);
  line("", "Tiffin", "Restate", "ratio", "goal");
  for (const [engine, rate] of rows("sagas", "per second")) {
    const ratio = rate / fastest.perSecond;
    const met = ratio >= GOAL ? "met" : "MISSED";
    line(`${engine}, sagas/s`, rate.toFixed(0), fastest.perSecond.toFixed(0), ratio.toFixed(1), `≥ ${GOAL} ${met}`);
  }
  for (const [engine, cost] of rows("sagas", "CPU-µs each")) {
    const cheapest = Math.min(...restate.results.map(({ cpu }) => cpu.server + cpu.handler));
    line(`${engine}, CPU-µs a saga`, cost.toFixed(0), cheapest.toFixed(0), (cost / cheapest).toFixed(2));
  }
  for (const [engine, micros] of rows("saga-alone", "µs at p50")) {
    const ours = micros / 1e3;
    line(`${engine}, one alone, p50 ms`, ours.toFixed(2), soonest.p50.toFixed(1), (ours / soonest.p50).toFixed(2));
  }
}
