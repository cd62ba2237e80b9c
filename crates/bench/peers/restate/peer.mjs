// Restate's server and one handler process, started with given settings, and what they have used.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const require = createRequire(import.meta.url);
const SERVER = require.resolve(
  `@restatedev/restate-server-${process.platform}-${process.arch}/bin/restate-server`,
);
const HANDLER = fileURLToPath(new URL("handler.mjs", import.meta.url));
const TICKS_PER_SECOND = 100;

export const version = require("@restatedev/restate-server/package.json").version;

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  await new Promise((closed) => server.close(closed));
  return port;
}

export async function eventually(what, attempt) {
  const until = Date.now() + 60_000;
  for (;;) {
    const done = await attempt().catch(() => undefined);
    if (done) return done;
    if (Date.now() > until) throw new Error(`${what}: not within a minute`);
    await new Promise((later) => setTimeout(later, 50));
  }
}

/** CPU time that a process has used, in microseconds. */
export function cpu(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return ((Number(fields[11]) + Number(fields[12])) * 1e6) / TICKS_PER_SECOND;
}

/** Starts both with `settings` in the server's environment; the data is in a folder of its own. */
export async function start(settings) {
  const folder = mkdtempSync(join(process.env.PEER_DATA ?? tmpdir(), "restate-"));
  const [ingress, admin, node, handler] = await Promise.all([1, 2, 3, 4].map(freePort));
  const output = openSync(join(folder, "output"), "a");
  const children = [];
  const kill = () => children.forEach((child) => child.kill("SIGKILL"));
  process.once("exit", kill);
  const run = (program, args, env) => {
    const child = spawn(program, args, {
      env: { ...process.env, ...env },
      stdio: ["ignore", output, output],
    });
    children.push(child);
    return child;
  };
  const server = run(SERVER, ["--no-logo"], {
    RESTATE_DISABLE_TELEMETRY: "true",
    RESTATE_NODE_NAME: "bench",
    RESTATE_BASE_DIR: join(folder, "data"),
    RESTATE_BIND_IP: "127.0.0.1",
    RESTATE_ADVERTISED_HOST: "127.0.0.1",
    RESTATE_LISTEN_MODE: "tcp",
    RESTATE_BIND_PORT: String(node),
    RESTATE_INGRESS__BIND_PORT: String(ingress),
    RESTATE_ADMIN__BIND_PORT: String(admin),
    RESTATE_LOG_FILTER: "warn",
    ...settings,
  });
  const worker = run(process.execPath, [HANDLER, String(handler)], {
    NODE_ENV: "production",
    RESTATE_LOGGING: "WARN",
  });
  const post = (path, body) =>
    fetch(`http://127.0.0.1:${admin}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/json" },
      body: JSON.stringify(body),
    });
  const peer = {
    ingress,
    used: () => ({ server: cpu(server.pid), handler: cpu(worker.pid) }),
    /** The rows that Restate's own SQL gives. */
    query: async (query) => {
      const answer = await post("/query", { query });
      if (!answer.ok) throw new Error(`${query}: ${await answer.text()}`);
      return (await answer.json()).rows;
    },
    stop: async () => {
      const ended = children.map((child) => child.exitCode ?? child.signalCode ?? once(child, "exit"));
      kill();
      await Promise.all(ended);
      rmSync(folder, { recursive: true });
    },
  };
  try {
    const deployment = { uri: `http://127.0.0.1:${handler}` };
    await eventually("the registration", async () => (await post("/deployments", deployment)).ok);
  } catch (error) {
    console.error(readFileSync(join(folder, "output"), "utf8"));
    await peer.stop();
    throw error;
  }
  return peer;
}
