// Restate's figures as a table; or Tiffin's beside the best of them, which was measured before and after.
//   compare.mjs RESTATE.json [TIFFIN.json RESTATE-AGAIN.json]
// Ends with 1 when the goal is missed, and when the comparison is void, which then judges nothing.
import { readFileSync } from "node:fs";

const GOAL = 8;
/** As for the floors: above it the machine was doing something else. */
const DRIFT = 0.2;

const [restate, tiffin, again] = process.argv.slice(2).map((file) => JSON.parse(readFileSync(file, "utf8")));

const line = (...cells) =>
  console.log(cells.map((cell, i) => (i === 0 ? cell.padEnd(34) : cell.padStart(11))).join("").trimEnd());

if (!tiffin) {
  console.log(`Restate ${restate.restate}, Node ${restate.node}, ${restate.seconds} s each`);
  line("settings, sagas in flight", "sagas/s", "p50 ms", "p99 ms", "CPU-µs", "server", "handler", "(load)");
  for (const { settings, inFlight, perSecond, p50, p99, cpu } of restate.results) {
    const costs = [cpu.server + cpu.handler, cpu.server, cpu.handler, cpu.load].map((cost) => cost.toFixed(0));
    line(`${settings}, ${inFlight}`, perSecond.toFixed(0), p50.toFixed(1), p99.toFixed(1), ...costs);
  }
} else {
  const [after] = again.results;
  const rate = Math.max(...restate.results.map(({ perSecond }) => perSecond), after.perSecond);
  const before = restate.results.find((row) => row.settings === after.settings && row.inFlight === after.inFlight);
  const cheapest = Math.min(...restate.results.map(({ cpu }) => cpu.server + cpu.handler));
  const rates = [before, after].map(({ perSecond }) => perSecond.toFixed(0)).join(" before, ");
  const drift = Math.abs(before.perSecond - after.perSecond) / Math.min(before.perSecond, after.perSecond);
  const held = drift <= DRIFT;
  console.log(`Tiffin beside Restate's best (${after.settings}, ${after.inFlight} in flight: ${rates} after)`);
  if (!held) console.log("VOID: Restate's rate differs too much before and after; is the machine busy?");
  line("", "Tiffin", "Restate", "ratio", "goal");
  const ratios = rows("per second").map(([engine, ours]) => {
    const ratio = ours / rate;
    const judged = !held ? "void" : ratio >= GOAL ? "met" : "MISSED";
    line(`${engine}, sagas/s`, ours.toFixed(0), rate.toFixed(0), ratio.toFixed(1), `≥ ${GOAL} ${judged}`);
    return ratio;
  });
  for (const [engine, cost] of rows("CPU-µs each")) {
    line(`${engine}, CPU-µs a saga`, cost.toFixed(0), cheapest.toFixed(0), (cost / cheapest).toFixed(2));
  }
  if (!held || !ratios.every((ratio) => ratio >= GOAL)) process.exitCode = 1;
}

/** Tiffin's sagas by engine, as the rows say that end so. */
function rows(end) {
  const found = tiffin.figures.find(({ name }) => name === "sagas")?.rows ?? [];
  const wanted = found.filter(({ what }) => what.endsWith(end));
  if (wanted.length === 0) throw new Error(`Tiffin's result has no "${end}" of sagas`);
  return wanted.map(({ what, tiffin: value }) => [what.split(":")[0], value]);
}
