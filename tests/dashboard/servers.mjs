// Starts and ends sets of servers, and a browser, for `browser.mjs` and `screenshot.mjs`. Servers run as anybody would
// run them: `run-server.sh CONFIG ID`, a process each, on localhost.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import http from "node:http";
import { createRequire } from "node:module";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

// Unlike `import`, this finds packages in NODE_PATH: `run` installs them outside of the repository.
export const require = createRequire(import.meta.url);

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const TARGET = process.env.CARGO_TARGET_DIR ?? path.join(ROOT, "target");

// The browser may ask nobody but the servers.
const BROWSER = {
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
    "--host-resolver-rules=MAP *.example 127.0.0.1",
  ],
};

export const launch = () => require("playwright-core").chromium.launch(BROWSER);

// The first true value of the condition; fails with `what` if there is none in time.
export async function eventually(condition, seconds, what) {
  const deadline = performance.now() + seconds * 1000;
  for (;;) {
    const value = await condition();
    if (value) {
      return value;
    }
    assert.ok(performance.now() < deadline, `not within ${seconds} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

// The answer to an HTTP request: `{ status, headers, text }`.
export function ask(url, { agent, body, headers = {} } = {}) {
  return new Promise((resolve, reject) => {
    const request = http.request(url, { agent, headers, method: body === undefined ? "GET" : "POST" }, (answer) => {
      const parts = [];
      answer.on("data", (part) => parts.push(part));
      answer.on("end", () => {
        resolve({ status: answer.statusCode, headers: answer.headers, text: Buffer.concat(parts).toString() });
      });
      answer.on("error", reject);
    });
    request.on("error", reject);
    request.end(body);
  });
}

const escape = (text) => text.replace(/[&<]/g, (character) => (character === "&" ? "&amp;" : "&lt;"));

// A value of XML-RPC: a string, an int, an array or a struct.
function xml(value) {
  if (typeof value === "string") {
    return `<value><string>${escape(value)}</string></value>`;
  }
  if (Number.isInteger(value)) {
    return `<value><int>${value}</int></value>`;
  }
  if (Array.isArray(value)) {
    return `<value><array><data>${value.map(xml).join("")}</data></array></value>`;
  }
  const members = Object.entries(value).map(([name, value]) => `<member><name>${name}</name>${xml(value)}</member>`);
  return `<value><struct>${members.join("")}</struct></value>`;
}

export function callXml(method, ...values) {
  const params = values.map((value) => `<param>${xml(value)}</param>`).join("");
  return `<?xml version="1.0"?><methodCall><methodName>${method}</methodName><params>${params}</params></methodCall>`;
}

// Ports below those that systems give to outgoing connections, which might use one of these by chance.
async function freePorts(count) {
  const isFree = (port, host) => new Promise((resolve) => {
    const probe = net.createServer();
    probe.once("error", ({ code }) => resolve(code === "EADDRNOTAVAIL" || code === "EAFNOSUPPORT"));
    probe.listen(port, host, () => probe.close(() => resolve(true)));
  });
  const ports = new Set();
  while (ports.size < count) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    if ((await isFree(port, "127.0.0.1")) && (await isFree(port, "::1"))) {
      ports.add(port);
    }
  }
  return [...ports];
}

export class Servers {
  // Starts a set on this host, and waits for a leader.
  static async start(count, host = "localhost") {
    const servers = new Servers();
    servers.folder = await mkdtemp(path.join(os.tmpdir(), "dashboard-"));
    servers.config = path.join(servers.folder, "config.txt");
    servers.ports = await freePorts(count);
    servers.ids = [...servers.ports.keys()];
    servers.processes = [];
    const lines = servers.ports.map((port, id) => `metadata${id}: ${host}:${port}\n`);
    await writeFile(servers.config, `M: ${count}\n${lines.join("")}`);
    try {
      servers.ids.forEach((id) => servers.start(id));
      await servers.leader();
    } catch (error) {
      await servers.stop();
      throw error;
    }
    return servers;
  }

  start(id) {
    const script = path.join(ROOT, "run-server.sh");
    const options = { stdio: ["ignore", "ignore", "inherit"], env: QUIET };
    this.processes[id] = spawn(script, [this.config, String(id)], options);
  }

  // Sends a signal to the process; SIGKILL ends it for good, also if it is stopped.
  async signal(id, name) {
    const process = this.processes[id];
    const ended = new Promise((resolve) => process.once("exit", resolve));
    process.kill(name);
    if (name === "SIGKILL") {
      await ended;
      delete this.processes[id];
    }
  }

  async stop() {
    await Promise.all(Object.keys(this.processes).map((id) => this.signal(id, "SIGKILL")));
    await rm(this.folder, { recursive: true });
  }

  // By address, because the browser alone resolves names such as `member.example`.
  url(id, page = "/") {
    return `http://127.0.0.1:${this.ports[id]}${page}`;
  }

  async call(id, method, ...values) {
    const body = callXml(method, ...values);
    const { text } = await ask(this.url(id, "/RPC2"), { body, headers: { "Content-Type": "text/xml" } });
    assert.ok(!text.includes("<fault>"), `${method} at ${id}: ${text}`);
    return text;
  }

  async get(id, page) {
    return JSON.parse((await ask(this.url(id, page))).text);
  }

  // The leader that all servers know that are up.
  leader() {
    return eventually(async () => {
      const asked = Object.keys(this.processes).map((id) => this.get(id, "/status").catch(() => null));
      const answers = await Promise.all(asked);
      const up = answers.filter((status) => status && status.role !== "crashed");
      const leaders = up.filter(({ role }) => role === "leader");
      const isSettled = leaders.length === 1 && up.every(({ leader }) => leader === leaders[0].address);
      return isSettled && !answers.includes(null) && { id: leaders[0].id };
    }, 10, "one leader that the others follow").then(({ id }) => id);
  }

  async followers() {
    const leader = await this.leader();
    return this.ids.filter((id) => id !== leader);
  }

  // What `surfstore ARGUMENTS` prints.
  async surfstore(...args) {
    const program = path.join(TARGET, "release", "surfstore");
    const { stdout } = await promisify(execFile)(program, [...args, "-f", this.config]).catch((error) => {
      // Exit code 4 means that there is no leader or no majority.
      assert.equal(error.code, 4, error.stderr);
      return error;
    });
    return stdout;
  }
}

const QUIET = { ...process.env, SURFSTORE_LOG: "error" };
