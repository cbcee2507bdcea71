// What people see of running servers, in a real browser: the twelve checks of the dashboard. Run by `run`, with the
// packages of package-lock.json in NODE_PATH. The tests wait for states with deadlines; they measure no speed.
//
// CHAOS_MINUTES=30 adds the twelfth check, a benchmark.

import assert from "node:assert/strict";
import http from "node:http";
import { readFileSync } from "node:fs";
import { after, afterEach, before, test } from "node:test";
import { Servers, ask, callXml, eventually, launch, require } from "./servers.mjs";

const PAGE_BYTES_MAX = 60 * 1024;

let browser;
const opened = [];

before(async () => {
  browser = await launch();
});
after(() => browser?.close());
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) {
    await close();
  }
});

async function start(count, host) {
  const servers = await Servers.start(count, host);
  opened.push(() => servers.stop());
  return servers;
}

// Opens the page at a server, and records what the browser asks and complains about.
async function open(url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  opened.push(() => context.close());
  const page = await context.newPage();
  page.complaints = [];
  page.asked = [];
  page.on("console", (message) => page.complaints.push(message.text()));
  page.on("pageerror", (error) => page.complaints.push(String(error)));
  page.on("request", (request) => page.asked.push(request.url()));
  await page.goto(url);
  return page;
}

const text = (page, selector) => page.locator(selector).innerText();
const row = (page, id, cell) => text(page, `#server-${id} .${cell}`);
const word = (page, id) => text(page, `#server-${id} .state strong`);
const button = (page, name) => page.getByRole("button", { name, exact: true });

// Waits until the page shows this. The error says what it shows instead.
async function shows(page, selector, expected, seconds) {
  let seen;
  await eventually(async () => {
    seen = await text(page, selector);
    return expected instanceof RegExp ? expected.test(seen) : seen === expected;
  }, seconds, `${selector} shows ${expected}`).catch((error) => {
    error.message += `; it shows ${JSON.stringify(seen)}`;
    throw error;
  });
}

async function ready(page, count = 5) {
  await shows(page, "#up", `${count} of ${count} up`, 10);
  await shows(page, "#headline", /^Server \d leads$/, 10);
}

// The events that a server's column shows, in their order.
async function eventsOf(page, id) {
  const cells = await page.locator(`#event-rows tr td:nth-child(${id + 2})`).allTextContents();
  return cells.filter(Boolean).map((text) => text.replace(/^\d /, ""));
}

// Whether these are matched in this order, with others between them.
function inOrder(events, ...patterns) {
  let from = 0;
  return patterns.every((pattern) => {
    const found = events.slice(from).findIndex((event) => pattern.test(event));
    from += found + 1;
    return 0 <= found;
  });
}

test("1: from every server, the page has no complaint, asks the set only, and is at most 60 KiB", async () => {
  const servers = await start(5);
  for (const host of ["localhost", "127.0.0.1"]) {
    for (const id of servers.ids) {
      const parts = [];
      const page = await open("about:blank");
      page.on("response", (answer) => answer.url().includes("/view?") || parts.push(answer.body()));
      await page.goto(`http://${host}:${servers.ports[id]}/`);
      await ready(page);
      await shows(page, "#source", `Page from server ${id}, localhost:${servers.ports[id]}`, 1);
      assert.deepEqual(page.complaints, []);
      const hosts = new Set(page.asked.filter((url) => url.startsWith("http")).map((url) => new URL(url).host));
      assert.deepEqual([...hosts].sort(), servers.ports.map((port) => `${host}:${port}`).sort());
      const bytes = (await Promise.all(parts)).reduce((sum, part) => sum + part.length, 0);
      assert.ok(parts.length === 4 && bytes <= PAGE_BYTES_MAX, `${parts.length} parts of ${bytes} bytes`);
      await page.close();
    }
  }
});

test("2: within 2 s, the page equals the output of surfstore status", async () => {
  const servers = await start(5);
  const page = await open(servers.url(0));
  await ready(page);
  const leader = await servers.leader();
  await servers.call(leader, "updatefile", "a.txt", 1, ["hash"]);
  await servers.call((leader + 1) % 5, "crash");
  const number = (text) => Number(text.replaceAll(",", ""));
  await eventually(async () => {
    const told = JSON.parse(await servers.surfstore("status", "-o", "json"));
    const shown = await Promise.all(servers.ids.map(async (id) => ({
      role: (await word(page, id)).toLowerCase(),
      term: number(await row(page, id, "term-cell")),
      log: (await row(page, id, "commit")).split(" of ").map(number),
    })));
    return told.every((status, id) => status.role === shown[id].role && status.term === shown[id].term
      && status.commitIndex === shown[id].log[0] && status.lastLogIndex === shown[id].log[1]);
  }, 2, "the page equals the status");
});

test("3: the leader is crashed within 2 s, and its successor leads within 3 s and is announced once", async () => {
  const servers = await start(5);
  const page = await open(servers.url(0));
  await ready(page);
  const old = await servers.leader();
  await page.evaluate(() => {
    const said = document.getElementById("said");
    window.announced = [];
    new MutationObserver(() => window.announced.push(said.textContent)).observe(said, { childList: true });
  });
  await button(page, "Crash the leader").click();
  await shows(page, `#server-${old} .state strong`, "Crashed", 2);
  await shows(page, "#headline", new RegExp(`^Server [^${old}] leads$`), 3);
  const leader = await servers.leader();
  const { term } = await servers.get(leader, "/status");
  await shows(page, "#headline", `Server ${leader} leads`, 1);
  let events;
  await eventually(async () => {
    events = await eventsOf(page, leader);
    return inOrder(events, /timeout/, /for pre-votes/, /for votes/, new RegExp(`leads term ${term}$`));
  }, 8, "the election is told in order").catch((error) => assert.fail(`${error.message}: ${events.join("; ")}`));
  assert.deepEqual(await page.evaluate(() => window.announced), [`Server ${leader} leads term ${term}.`]);
});

test("4: a killed server that gave the page goes stale, the others live on; started again, it is back", async () => {
  const servers = await start(5);
  const page = await open(servers.url(2));
  await ready(page);
  await page.getByLabel("heartbeats").check();
  await eventually(async () => 0 < (await eventsOf(page, 2)).length, 4, "it has told events");
  await servers.signal(2, "SIGKILL");
  await shows(page, "#server-2 .state strong", "Stale", 2);
  await shows(page, "#server-2 .state strong", "Unreachable from all", 6);
  assert.match(await row(page, 2, "state"), /values of \d+ s ago/);
  await shows(page, "#headline", /^Server [^2] leads$/, 5);
  await shows(page, "#up", "4 of 5 up", 1);
  const boots = () => page.locator("#event-rows tr").evaluateAll((rows) => rows.map((row) => row.dataset.key));
  servers.start(2);
  await shows(page, "#server-2 .state strong", "Follower", 8);
  await eventually(async () => {
    const own = (await boots()).filter((key) => key.startsWith("2 "));
    return new Set(own.map((key) => key.split(" ")[1])).size === 2;
  }, 5, "events of the new process");
  const keys = await boots();
  assert.equal(new Set(keys).size, keys.length, "no event is told twice");
});

test("5: three of five crashed: an alert within 2 s, and a test update waits until they are restored", async () => {
  const servers = await start(5);
  const page = await open(servers.url(0));
  await ready(page);
  for (const id of (await servers.followers()).slice(0, 3)) {
    await button(page, `Crash server ${id}`).click();
  }
  await shows(page, "[role=alert]", "No majority is up (2 of 5; 3 needed): updates and reads wait.", 2);
  await button(page, "Test update").click();
  await shows(page, "#tested", "The test update waits for a majority.", 3);
  await button(page, "Restore all").click();
  await shows(page, "#tested", /^Test update, version 1: a majority holds it/, 5);
  await shows(page, "[role=alert]", "", 3);
  await ready(page);
});

test("6: a killed, a stopped, a crashed and a lagging server are told apart in words", async () => {
  const servers = await start(5);
  const [killed, stopped, crashed, lagging] = await servers.followers();
  const leader = await servers.leader();
  for (const version of [1, 2, 3]) {
    await servers.call(leader, "updatefile", "a.txt", version, ["hash"]);
  }
  const page = await open("about:blank");
  // A follower on this machine lags for a few milliseconds only, so the leader's answer is changed on its way.
  await page.route(`${servers.url(leader, "/view")}?*`, async (route) => {
    const answer = await route.fetch();
    const view = await answer.json();
    view.peers.find(({ id }) => id === lagging).match = 1;
    await route.fulfill({ response: answer, json: view });
  });
  await page.goto(servers.url(leader));
  await ready(page);
  await servers.signal(killed, "SIGKILL");
  await servers.signal(stopped, "SIGSTOP");
  await servers.call(crashed, "crash");
  await shows(page, `#server-${killed} .state`, /^Unreachable from all\s+the connection fails/, 8);
  await shows(page, `#server-${stopped} .state`, /^Stale\s+no answer; no other server hears it/, 8);
  await shows(page, `#server-${crashed} .state`, /^Crashed$/, 3);
  await shows(page, `#server-${lagging} .state`, /^\w+\s+lagging: \d+ entries behind/, 3);
});

test("7: an isolated leader's entries are dashed, then overwritten; 100,000 entries add no elements", async () => {
  const servers = await start(5);
  const page = await open(servers.url(0));
  await ready(page);
  const old = await servers.leader();
  const others = servers.ids.filter((id) => id !== old);
  await Promise.all(others.map((id) => servers.call(id, "crash")));
  const lost = assert.rejects(servers.call(old, "updatefile", "lost.txt", 1, ["hash"]));
  await shows(page, `#server-${old} .waits`, "1 update, 0 reads", 3);
  const { lastIndex, term } = await servers.get(old, "/view?since=0");
  const cell = page.locator(`#log tbody tr:nth-child(${old + 1}) td[aria-label*="index ${lastIndex}:"]`);
  const style = () => cell.evaluate((cell) => getComputedStyle(cell).borderTopStyle);
  await eventually(async () => (await style()) === "dashed", 3, "the entry is dashed");
  const told = new RegExp(`term ${term}, \\u2068lost.txt\\u2069 version 1, not committed`);
  assert.match(await cell.getAttribute("aria-label"), told);
  await servers.call(old, "crash");
  await lost;
  await Promise.all(others.map((id) => servers.call(id, "restore")));
  const leader = await servers.leader();
  await servers.call(leader, "updatefile", "kept.txt", 1, ["hash"]);
  await servers.call(old, "restore");
  const isOver = async () => !/lost.txt|not committed/.test(await cell.getAttribute("aria-label"));
  await eventually(isOver, 4, "it is overwritten");
  assert.notEqual(await style(), "dashed");

  const elements = () => page.evaluate(() => document.querySelectorAll("*").length);
  await page.evaluate(() => document.querySelectorAll("#topics input").forEach((box) => box.checked && box.click()));
  await load(servers, leader, 100_000);
  await shows(page, `#server-${leader} .commit`, /^\d{3},\d{3} of/, 4);
  assert.ok((await elements()) < 2000, `${await elements()} elements without events`);
  await page.evaluate(() => document.querySelectorAll("#topics input").forEach((box) => box.click()));
  assert.ok((await elements()) < 2000 + 300 * 9, `${await elements()} elements`);
});

// So many updates, in calls of many each, several at a time.
async function load(servers, leader, updates) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 16 });
  const headers = { "Content-Type": "text/xml" };
  const workers = Array.from({ length: 16 }, async (_, worker) => {
    for (let version = 0; version < updates / 16; version += 50) {
      const calls = Array.from({ length: 50 }, (_, place) => (
        { methodName: "updatefile", params: [`${worker}.txt`, version + place + 1, ["h"]] }
      ));
      const body = callXml("system.multicall", calls);
      const { text } = await ask(servers.url(leader, "/RPC2"), { agent, body, headers });
      assert.ok(!/fault|<boolean>0/.test(text), text.slice(0, 500));
    }
  });
  await Promise.all(workers);
  agent.destroy();
}

test("8: 20 s are at most 21 requests a server, none while hidden; the servers' own traffic is unchanged", async () => {
  const servers = await start(5);
  const page = await open("about:blank");
  await page.addInitScript(() => {
    let isHidden = false;
    Object.defineProperty(document, "hidden", { get: () => isHidden });
    window.hide = (value) => {
      isHidden = value;
      document.dispatchEvent(new Event("visibilitychange"));
    };
  });
  const leader = await servers.leader();
  const traffic = async () => (await servers.get((leader + 1) % 5, "/status")).peerRequests;
  // The requests of the leader to a follower in this time.
  const measured = async (seconds) => {
    const before = await traffic();
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    return ((await traffic()) - before) / seconds;
  };
  await page.goto(servers.url(0));
  await ready(page);
  page.asked.length = 0;
  const visible = await measured(20);
  for (const port of servers.ports) {
    const count = page.asked.filter((url) => new URL(url).port === String(port)).length;
    assert.ok(17 <= count && count <= 21, `${count} requests in 20 s`);
  }
  await page.evaluate(() => window.hide(true));
  page.asked.length = 0;
  const hidden = await measured(8);
  assert.deepEqual(page.asked, []);
  assert.ok(Math.abs(visible - hidden) <= 0.5, `${visible} and ${hidden} requests a second between two servers`);
  await page.evaluate(() => window.hide(false));
  await eventually(() => 5 <= page.asked.length, 1, "all are asked at once when the page is shown again");
});

test("9: names that look like a page, run from right to left or are 4 KiB long are shown as text", async () => {
  const servers = await start(3);
  const leader = await servers.leader();
  const names = ["<img src=x onerror=window.broken=1>", "\u202Etxt.exe", "long".repeat(1024)];
  for (const name of names) {
    await servers.call(leader, "updatefile", name, 1, ["hash"]);
  }
  const page = await open(servers.url(0));
  await ready(page, 3);
  await shows(page, "#files", /<img src=x onerror=window\.broken=1>/, 2);
  const shown = await page.locator("#files bdi").allTextContents();
  assert.ok(shown.includes(names[1]) && shown.some((name) => /^(long)+l?o?n?…$/.test(name)), shown.join("\n"));
  await page.locator('#log td[aria-label*="onerror"]').first().hover();
  await shows(page, "#cell", /<img src=x/, 1);
  assert.equal(await page.locator("img").count(), 0);
  assert.equal(await page.evaluate(() => window.broken), undefined);
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "the page is not wider");
  assert.deepEqual(page.complaints, []);
});

test("10: a foreign page, name and frame are refused, and crash nothing; a member's page is not", async () => {
  const servers = await start(3);
  const foreign = http.createServer((_, answer) => {
    answer.setHeader("Content-Type", "text/html");
    answer.end(`<!doctype html><title>foreign</title><iframe src="http://localhost:${servers.ports[0]}/"></iframe>`);
  });
  await new Promise((resolve) => foreign.listen(0, "127.0.0.1", resolve));
  opened.push(() => new Promise((resolve) => foreign.close(resolve)));
  const page = await open(`http://127.0.0.1:${foreign.address().port}/`);
  for (const type of ["text/xml", "text/plain"]) {
    for (const path of ["/RPC2", "/view"]) {
      const url = `http://localhost:${servers.ports[0]}${path}`;
      const isRead = await page.evaluate(async ([url, type, body]) => {
        const request = url.endsWith("/view") ? {} : { method: "POST", headers: { "Content-Type": type }, body };
        return fetch(url, request).then(() => true, () => false);
      }, [url, type, callXml("crash")]);
      assert.equal(isRead, false, `${type} to ${path}`);
    }
  }
  const isRefused = () => page.complaints.some((text) => /^Framing .* violates .*frame-ancestors/.test(text));
  await eventually(isRefused, 2, "the frame is refused");
  for (const path of ["/", "/view"]) {
    const answer = await page.goto(`http://rebound.example:${servers.ports[0]}${path}`);
    assert.equal(answer.status(), 421, path);
  }
  await Promise.all(servers.ids.map(async (id) => assert.match(await servers.call(id, "isCrashed"), /<boolean>0/)));

  const member = await open(servers.url(1));
  await ready(member, 3);
  await button(member, "Crash server 0").click();
  await shows(member, "#server-0 .state strong", "Crashed", 2);
  assert.match(await servers.call(0, "isCrashed"), /<boolean>1/);
});

// What axe-core finds. It is run by the debugger, because the page's policy allows no foreign script.
async function violations(page) {
  await page.evaluate(readFileSync(require.resolve("axe-core/axe.min.js"), "utf8"));
  const { violations } = await page.evaluate(() => window.axe.run());
  return violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html}\n${node.failureSummary}`));
}

test("11a: axe-core finds nothing: all up, no majority, servers silent; light and dark", async () => {
  const servers = await start(5);
  for (const colorScheme of ["light", "dark"]) {
    const page = await open(servers.url(0), { colorScheme });
    await ready(page);
    assert.deepEqual(await violations(page), []);
  }
  const page = await open(servers.url(0));
  await ready(page);
  const [a, b, c] = await servers.followers();
  await Promise.all([a, b, c].map((id) => servers.call(id, "crash")));
  await shows(page, "[role=alert]", /No majority/, 3);
  assert.deepEqual(await violations(page), []);
  await Promise.all([a, b].map((id) => servers.signal(id, "SIGKILL")));
  await shows(page, `#server-${a} .state strong`, "Unreachable from all", 8);
  assert.deepEqual(await violations(page), []);
});

test("11b: everything can be done with the keyboard, and the focus survives updates", async () => {
  const servers = await start(3);
  const leader = await servers.leader();
  await servers.call(leader, "updatefile", "a.txt", 1, ["hash"]);
  const page = await open(servers.url(0));
  await ready(page, 3);
  const focused = () => page.evaluate(() => document.activeElement.textContent || document.activeElement.id);
  const reached = [];
  for (let stop = 0; stop < 20; stop++) {
    await page.keyboard.press("Tab");
    reached.push(await page.evaluate(() => {
      const { activeElement: at } = document;
      return at.ariaLabel ?? (at.id || at.textContent || at.parentElement.textContent);
    }));
  }
  const buttons = ["Crash server 0", "Crash the leader", "Restore all", "Test update"];
  for (const name of [...buttons, "heartbeats", "pause", "List of events"]) {
    assert.ok(reached.includes(name), `${name} in ${reached.join("; ")}`);
  }
  await button(page, "Test update").focus();
  await page.keyboard.press("Enter");
  await shows(page, "#tested", /a majority holds it/, 3);
  await shows(page, "#files", /dashboard\.txt\s+1\s+1\s+1/, 3);
  assert.equal(await focused(), "Test update");
  await button(page, `Crash server ${leader}`).focus();
  await page.keyboard.press("Space");
  await shows(page, `#server-${leader} .state strong`, "Crashed", 2);
  assert.equal(await focused(), "Restore");
  await page.keyboard.press("Space");
  await shows(page, `#server-${leader} .state strong`, "Follower", 3);
  await page.locator("#log td[tabindex='0']").focus();
  const before = await text(page, "#cell");
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("ArrowDown");
  assert.notEqual(await text(page, "#cell"), before);
  assert.match(await text(page, "#cell"), /^Server 1, index 31: /);
  await page.locator("#pause").focus();
  await page.keyboard.press("Space");
  await shows(page, "#pause[aria-pressed=true]", "Pause", 1);
  assert.match(await page.locator("#pause").evaluate((element) => getComputedStyle(element).outlineStyle), /solid/);
});

test("11c: with reduced motion nothing moves, and the page tells the same", async () => {
  const servers = await start(3);
  const page = await open(servers.url(0), { reducedMotion: "reduce" });
  await ready(page, 3);
  await page.getByLabel("heartbeats").check();
  await eventually(async () => 0 < await page.locator("#event-rows tr").count(), 4, "events are told");
  const moved = await page.evaluate(() => new Promise((resolve) => {
    const changes = [];
    new MutationObserver((records) => changes.push(...records.map(({ target }) => target.id || target.tagName)))
      .observe(document.getElementById("ring"), { subtree: true, childList: true, attributes: true });
    let frames = 0;
    const count = () => (++frames === 90 ? resolve(changes) : requestAnimationFrame(count));
    count();
  }));
  assert.deepEqual(moved, []);
  assert.equal(await page.evaluate(() => document.getAnimations().length), 0);
  await servers.call(await servers.leader(), "crash");
  await eventually(async () => 0 < await page.locator("#nodes .crashed").count(), 3, "the ring follows");
});

test("11d: with forced colours, at 200 % and 360 pixels wide, everything can be read and reached", async () => {
  const servers = await start(10);
  for (const id of (await servers.followers()).slice(0, 6)) {
    await servers.call(id, "crash");
  }
  const settings = [
    { viewport: { width: 360, height: 740 } },
    { viewport: { width: 640, height: 450 }, deviceScaleFactor: 2 },
    { viewport: { width: 1024, height: 768 } },
    { viewport: { width: 1216, height: 768 } },
    { viewport: { width: 1280, height: 900 }, forcedColors: "active" },
    { viewport: { width: 2560, height: 1440 } },
  ];
  for (const setting of settings) {
    const page = await open(servers.url(0), setting);
    await shows(page, "[role=alert]", /No majority is up \(4 of 10; 6 needed\)/, 4);
    const excess = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(excess <= 0, `${JSON.stringify(setting)}: nothing is wider than the window`);
    const beyond = await page.evaluate(() => [...document.querySelectorAll("main button")].filter((button) => {
      const { left, right, height } = button.getBoundingClientRect();
      return left < 0 || innerWidth < right || height < 24;
    }).map((button) => button.ariaLabel ?? button.textContent));
    assert.deepEqual(beyond, [], JSON.stringify(setting));
    if (setting.forcedColors || setting.viewport.width === 360) {
      assert.deepEqual(await violations(page), [], JSON.stringify(setting));
    }
    await page.close();
  }
});

test("11e: a long address widens nothing", async () => {
  const servers = await start(1, `${"metadata-of-".repeat(5)}0.example`);
  for (const width of [360, 768, 1216, 1280]) {
    const page = await open(servers.url(0), { viewport: { width, height: 740 } });
    await ready(page, 1);
    const excess = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(excess <= 0, `${width} pixels wide: ${excess} too many`);
    await page.close();
  }
});

test("11f: in a narrow window, the newest entries and events are in sight until the reader scrolls", async () => {
  const servers = await start(3);
  const leader = await servers.leader();
  const page = await open(servers.url(0));
  await ready(page, 3);
  const update = async (from, to) => {
    for (let version = from; version <= to; version++) {
      await servers.call(leader, "updatefile", "a.txt", version, ["hash"]);
    }
    const entry = page.locator(`#log td[aria-label^="Server 0, index ${to + 1}: term"]`);
    await entry.waitFor({ state: "attached", timeout: 3000 });
    return entry.evaluate((cell) => {
      const frame = cell.closest(".scroll").getBoundingClientRect();
      const { left, right } = cell.getBoundingClientRect();
      return frame.left <= left && right <= frame.right;
    });
  };
  const isAtEnd = () => page.locator("#events").evaluate((list) => {
    return list.scrollHeight - list.scrollTop - list.clientHeight < 2 && list.clientHeight < list.scrollHeight;
  });
  assert.ok(await update(1, 20));
  await eventually(isAtEnd, 5, "the newest event is in sight");
  await page.setViewportSize({ width: 360, height: 740 });
  assert.ok(await update(21, 24), "the newest entry is in sight");
  await eventually(isAtEnd, 5, "the newest event is in sight again");
  await page.locator(".scroll:has(#log)").evaluate((frame) => (frame.scrollLeft = 0));
  await page.locator("#events").evaluate((list) => (list.scrollTop = 0));
  const rows = await page.locator("#event-rows tr").count();
  assert.equal(await update(25, 28), false, "a reader who has scrolled back stays there");
  await eventually(async () => rows < await page.locator("#event-rows tr").count(), 5, "events are added");
  assert.equal(await page.locator("#events").evaluate((list) => list.scrollTop), 0);
});

test("a page that is not on this machine asks before it crashes a server", async () => {
  const servers = await start(1, "member.example");
  const page = await open(`http://member.example:${servers.ports[0]}/`);
  await ready(page, 1);
  await button(page, "Crash server 0").click();
  await shows(page, "#question-command", "surfstore crash 0", 1);
  assert.deepEqual(await violations(page), []);
  await button(page, "Cancel").click();
  assert.match(await servers.call(0, "isCrashed"), /<boolean>0/);
  await button(page, "Crash server 0").click();
  await button(page, "Do it").click();
  await shows(page, "#server-0 .state strong", "Crashed", 2);
});

test("a page that was opened by address shows the server that gave it, and can crash it", async () => {
  const servers = await start(1, "member.example");
  const page = await open(servers.url(0));
  await ready(page, 1);
  page.asked.length = 0;
  await eventually(() => 2 <= page.asked.length, 4, "it is asked again");
  await shows(page, "#server-0 .state strong", "Leader", 1);
  await button(page, "Crash the leader").click();
  await shows(page, "#server-0 .state strong", "Crashed", 2);
  await shows(page, "#outcome", "surfstore crash leader: done", 1);
  assert.deepEqual(page.complaints, []);
});

if (process.env.CHAOS_MINUTES) {
  const minutes = Number(process.env.CHAOS_MINUTES);
  test(`12: in ${minutes} minutes of chaos at 1,000 updates a second, the heap grows by less than 10 MB`, async () => {
    const servers = await start(5);
    const page = await open(servers.url(0));
    await ready(page);
    const session = await page.context().newCDPSession(page);
    const heap = async () => {
      await session.send("HeapProfiler.collectGarbage");
      return (await session.send("Runtime.getHeapUsage")).usedSize / 1e6;
    };
    const run = { isOver: false, updates: 0 };
    const updating = Promise.all(Array.from({ length: 10 }, (_, worker) => update(servers, worker, run)));
    const crashing = crash(servers, run);
    const end = performance.now() + minutes * 60_000;
    const wait = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    await wait(20);
    const first = await heap();
    while (performance.now() < end) {
      await wait(10);
      console.log(`heap ${(await heap()).toFixed(2)} MB, ${run.updates} updates`);
    }
    const growth = (await heap()) - first;
    run.isOver = true;
    await Promise.all([updating, crashing]);
    assert.ok(growth < 10, `the heap grew by ${growth.toFixed(2)} MB`);
    assert.ok((await page.locator("#event-rows tr").count()) <= 300, "the list of events is bounded");
    assert.ok(0 < run.updates);
  });

  // Updates a file of its own 100 times a second, at whichever server leads.
  async function update(servers, worker, run) {
    const agent = new http.Agent({ keepAlive: true });
    for (let [version, leader] = [1, 0]; !run.isOver; ) {
      const began = performance.now();
      const body = callXml("updatefile", `${worker}.txt`, version, ["h"]);
      const { text } = await ask(servers.url(leader, "/RPC2"), { agent, body });
      if (text.includes("<fault>")) {
        leader = (leader + 1) % 5;
      } else {
        // Also if it is refused: an update whose outcome was unknown has been applied.
        version += 1;
        run.updates += 1;
      }
      await new Promise((resolve) => setTimeout(resolve, Math.max(1, 10 - (performance.now() - began))));
    }
    agent.destroy();
  }

  async function crash(servers, run) {
    while (!run.isOver) {
      const id = Math.floor(Math.random() * 5);
      await servers.call(id, "crash");
      await new Promise((resolve) => setTimeout(resolve, 500 + Math.random() * 2000));
      await servers.call(id, "restore");
    }
  }
}
