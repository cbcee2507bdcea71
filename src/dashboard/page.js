// Asks the servers, and writes what the model says into the page, as text only. Elements are made once and kept, so
// that the focus, a selection and the scroll position survive.

import {
  COLUMNS, FLIGHT, Model, POLL, REPLAY_LATE, TIMEOUT, TOPICS,
  cellText, count, isLoopback, number, textOf, topicOf,
} from "./model.js";

const EVENT_ROWS_MAX = 300;
const MESSAGES_MAX = 64;
const TEST_FILE = "dashboard.txt";
const TEST_KEY = "ede4cd3c";

const byId = (id) => document.getElementById(id);
const still = matchMedia("(prefers-reduced-motion: reduce)");
const now = () => performance.now();

function make(name, attributes = {}, ...children) {
  const type = ["svg", "g", "circle", "path", "text"].includes(name) ? "2000/svg" : "1999/xhtml";
  const element = document.createElementNS(`http://www.w3.org/${type}`, name);
  for (const [attribute, value] of Object.entries(attributes)) {
    element.setAttribute(attribute, value);
  }
  element.append(...children);
  return element;
}

// Only what differs is written: nothing is read out again.
function say(element, text) {
  if (element.textContent !== text) {
    element.textContent = text;
  }
}

function set(element, name, value) {
  if (value === null) {
    element.removeAttribute(name);
  } else if (element.getAttribute(name) !== String(value)) {
    element.setAttribute(name, value);
  }
}

const show = (element, isShown) => set(element, "hidden", isShown ? null : "");

function fit(parent, length, create) {
  const { children } = parent;
  while (length < children.length) {
    parent.lastElementChild.remove();
  }
  while (children.length < length) {
    parent.append(create(children.length));
  }
  return [...children];
}

const termClass = (term) => (Number.isInteger(term) ? `t${term % 7}` : "");

const originOf = ({ id }) => model.origin(id, location.hostname);

async function view(origin, since, ...signals) {
  const signal = AbortSignal.any([AbortSignal.timeout(TIMEOUT), ...signals]);
  const answer = await fetch(`${origin}/view?since=${since}`, { cache: "no-store", credentials: "omit", signal });
  return answer.ok ? answer.json() : Promise.reject({ reason: `it answers HTTP ${answer.status}` });
}

// Asks one server, never twice at a time, nor while the tab is hidden.
class Poll {
  constructor(id) {
    this.id = id;
  }

  wait(pause) {
    this.timer = setTimeout(() => this.ask(), pause);
  }

  hurry() {
    clearTimeout(this.timer);
    if (this.request) {
      this.isHurried = true;
    } else {
      this.ask();
    }
  }

  stop() {
    clearTimeout(this.timer);
    this.request?.abort();
  }

  async ask() {
    if (document.hidden) {
      return;
    }
    const { id } = this;
    const server = model.servers[id];
    const request = (this.request = new AbortController());
    const began = now();
    model.began(id, began);
    try {
      const answer = await view(originOf(server), server.seq, request.signal);
      model.answered(id, began, now(), answer);
    } catch ({ name, reason }) {
      if (!request.signal.aborted) {
        model.failed(id, reason ?? { TimeoutError: "timeout", SyntaxError: "nonsense" }[name] ?? "refused");
      }
    }
    this.request = null;
    write();
    this.wait(this.isHurried ? 0 : Math.max(0, began + model.pause(id) - now()));
    this.isHurried = false;
  }
}

// The answer, a boolean or an int, as text. The values are XML; none has text of a server.
async function call(server, method, ...values) {
  const fail = (text, fault) => Promise.reject({ message: `server ${server.id}: ${text}`, fault });
  const params = values.map((value) => `<param><value>${value}</value></param>`).join("");
  const answer = await fetch(`${originOf(server)}/RPC2`, {
    method: "POST",
    headers: { "Content-Type": "text/xml" },
    body: `<methodCall><methodName>surfstore.${method}</methodName><params>${params}</params></methodCall>`,
    credentials: "omit",
  }).catch(() => fail("the connection fails"));
  const xml = new DOMParser().parseFromString(await answer.text(), "text/xml");
  const text = (selector) => xml.querySelector(selector)?.textContent.trim();
  if (text("fault")) {
    return fail(text("fault string"), Number(text("fault int")));
  }
  return text("params value") ?? fail(`the answer is not XML-RPC (HTTP ${answer.status})`);
}

function confirmed(command) {
  const dialog = byId("question");
  if (isLoopback(location.hostname)) {
    return true;
  }
  say(byId("question-command"), command);
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

const tested = (text) => say(byId("tested"), text);

// Calls all servers that `find` finds once it is confirmed.
async function run(command, method, find) {
  if (await confirmed(command)) {
    const servers = find();
    const answers = await Promise.allSettled(servers.map((server) => call(server, method)));
    const failures = answers.map(({ reason }) => reason?.message);
    const done = servers.length ? "done" : "there is no such server now";
    say(byId("outcome"), `${command}: ${failures.filter(Boolean).join("; ") || done}`);
    servers.forEach(({ id }) => polls[id].hurry());
  }
}

let isTesting = false;
let testVersion = 0;

async function testUpdate() {
  if (isTesting || !(await confirmed(testCommand()))) {
    return;
  }
  isTesting = true;
  const began = now();
  const waiting = setInterval(() => tested("The test update waits for a majority."), POLL);
  while (isTesting) {
    try {
      tested(await updated(began));
      isTesting = false;
    } catch ({ message, fault, isOpen }) {
      // No leader: the update had no effect, and another server will lead.
      if (fault === 1 || fault === 2) {
        await new Promise((resolve) => setTimeout(resolve, POLL / 2));
      } else {
        tested(`Test update, version ${testVersion}: ${message}.${isOpen ? " It may have taken effect." : ""}`);
        isTesting = false;
      }
    }
  }
  clearInterval(waiting);
  polls.forEach((poll) => poll.hurry());
}

async function updated(began) {
  const leader = leaderNow();
  if (!leader) {
    throw { fault: 2 };
  }
  const name = `<string>${TEST_FILE}</string>`;
  testVersion = Number(await call(leader, "tester_getversion", name)) + 1;
  const version = `<int>${testVersion}</int>`;
  const answer = await call(leader, "updatefile", name, version, "<array><data/></array>").catch((error) => {
    // All other faults are definite.
    throw Object.assign(error, { isOpen: [undefined, 3].includes(error.fault) });
  });
  const fate = answer === "1" ? "a majority holds it" : "refused, another update was quicker";
  return `Test update, version ${testVersion}: ${fate}; ${(now() - began).toFixed(0)} ms.`;
}

const leaderNow = () => model.servers[model.state(now()).leader];

function testCommand() {
  const files = model.servers.flatMap(({ view }) => view?.files.shown ?? []);
  const seen = files.map(({ key, version }) => (key === TEST_KEY ? version : 0));
  return `surfstore update ${TEST_FILE} ${Math.max(testVersion, ...seen) + 1}`;
}

// A button with its command line. Without use, it stays and keeps the focus.
function action(onClick, text = "", line = "") {
  const button = make("button", { type: "button" }, text);
  const command = make("code", {}, line);
  button.addEventListener("click", () => button.hasAttribute("aria-disabled") || onClick(command.textContent));
  return make("div", { class: "action" }, button, command);
}

const mayCrash = ({ view }) => view?.mayCrash;

function writeHeader(state) {
  say(byId("headline"), state.headline);
  say(byId("up"), `${state.up} of ${state.total} up`);
  const term = byId("term");
  show(term, 0 < state.term);
  say(term, `term ${state.term}`);
  set(term, "class", `term ${termClass(state.term)}`);
  const { id, address } = model.servers[model.givenBy];
  say(byId("source"), `Page from server ${id}, ${address}`);
  byId("header").classList.toggle("alert", state.alert !== "");
  say(byId("calm"), state.alert ? "" : state.calm);
  say(byId("alert"), state.alert);
  // A screen reader says this once.
  if (state.leader !== null) {
    say(byId("said"), `Server ${state.leader} leads term ${state.term}.`);
  }
  document.title = `${state.alert ? "⚠ " : ""}${state.headline} · SurfStore`;
}

function serverRow(id) {
  const span = (name) => make("span", { class: name });
  const cell = (name, ...children) => make("td", { class: name }, ...children);
  const act = (command) => run(command, command.split(" ")[1], () => [model.servers[id]]);
  return make(
    "tr",
    { id: `server-${id}` },
    make("th", { scope: "row" }, span("name"), span("address")),
    cell("state", make("strong"), span("detail")),
    cell("term-cell", span("term")),
    cell("commit number"),
    cell("waits number"),
    cell("act", action(act)),
  );
}

function writeServers({ servers }) {
  fit(byId("servers"), servers.length, serverRow).forEach((row, id) => {
    const { address, view, word, detail, state, isOld } = servers[id];
    const [head, about, term, commit, waits, act] = row.children;
    set(row, "class", isOld ? `${state} is-old` : state);
    say(head.firstChild, String(id));
    say(head.lastChild, address);
    say(about.firstChild, word);
    say(about.lastChild, detail.join("; "));
    say(term.firstChild, view ? String(view.term) : "–");
    set(term.firstChild, "class", `term ${termClass(view?.term)}`);
    say(commit, view ? `${number(view.commitIndex)} of ${number(view.lastIndex)}` : "–");
    const { updates = 0, reads = 0 } = view?.waiting ?? {};
    const waiting = `${count(updates, "update", "updates")}, ${count(reads, "read", "reads")}`;
    say(waits, updates + reads ? waiting : view ? "0" : "–");
    const deed = state === "crashed" ? "Restore" : "Crash";
    const [button, command] = act.firstChild.children;
    show(act.firstChild, mayCrash(servers[id]));
    say(button, deed);
    set(button, "aria-label", `${deed} server ${id}`);
    say(command, `surfstore ${deed.toLowerCase()} ${id}`);
  });
}

const crashed = () => model.servers.filter(({ view }) => view?.role === "crashed");
const leaders = () => [leaderNow()].filter(Boolean);
const crashLeader = action((line) => run(line, "crash", leaders), "Crash the leader", "surfstore crash leader");
const restoreAll = action((line) => run(line, "restore", crashed), "Restore all", "surfstore restore all");
const update = action(testUpdate, "Test update");
byId("actions").append(crashLeader, restoreAll, update);

function writeActions({ servers, leader }) {
  const enable = ({ firstChild }, isEnabled) => set(firstChild, "aria-disabled", isEnabled ? null : "true");
  show(byId("actions"), servers.some(mayCrash));
  enable(crashLeader, leader !== null);
  enable(restoreAll, servers.some(({ state }) => state === "crashed"));
  enable(update, !isTesting);
  say(update.lastChild, testCommand());
}

// Server 0 is at the top, the others follow clockwise.

const CENTER = 220;
const RADIUS = 155;

function position(id) {
  const angle = (2 * Math.PI * id) / model.servers.length - Math.PI / 2;
  const radius = model.servers.length === 1 ? 0 : RADIUS;
  return { x: CENTER + radius * Math.cos(angle), y: CENTER + radius * Math.sin(angle) };
}

// The labels have no room for the term then.
const isCrowded = () => 7 < model.servers.length;

const SHAPES = {
  leader: "M-14 -26H14L28 0L14 26H-14L-28 0Z",
  candidate: "M0 -29L29 0L0 29L-29 0Z",
  crashed: "M-21 -21H21V21H-21Z",
  round: "M-24 0A24 24 0 1 1 24 0A24 24 0 1 1 -24 0Z",
};

const CROSS = "M-21 -21L21 21M21 -21L-21 21";

function node(id) {
  const { x, y } = position(id);
  return make(
    "g",
    { transform: `translate(${x} ${y}) scale(${isCrowded() ? 0.8 : 1})` },
    make("circle", { class: "track", r: 36 }),
    make("circle", { class: "arc", r: 36, transform: "rotate(-90)", pathLength: 1 }),
    make("path", { class: "shape" }),
    make("path", { class: "cross", d: CROSS }),
    make("text", { class: "id" }, String(id)),
    make("text", { class: "label", y: 56 }),
    make("g"),
  );
}

const MESSAGES = {
  ask: "asks for a vote", grant: "grants it", refuse: "refuses", entries: "entries", heartbeat: "heartbeat",
};
const sample = (text, shape) => {
  return make("li", {}, make("svg", { viewBox: "-32 -32 64 64", "aria-hidden": "true" }, shape), text);
};
byId("legend").append(
  ...["leader", "follower", "candidate", "crashed", "silent"].map((state) => {
    const shape = make("path", { class: "shape", d: SHAPES[state] ?? SHAPES.round });
    const cross = make("path", { class: "cross", d: CROSS });
    return sample(state, make("g", { class: `node ${state}` }, shape, cross));
  }),
  sample("timer", make("path", { class: "arc", d: "M0 -26A26 26 0 1 1 -26 0" })),
  ...Object.entries(MESSAGES).map(([kind, text]) => {
    return sample(text, make("circle", { class: `message ${kind}`, r: kind === "heartbeat" ? 12 : 18 }));
  }),
);

const LABELS = { asking: "", browser: "unreachable", all: "unreachable", stale: "stale", crashed: "crashed" };

function writeRing(at) {
  const nodes = model.ring(at, still.matches);
  const groups = fit(byId("nodes"), nodes.length, node);
  const links = fit(byId("links"), nodes.length, () => make("path"));
  nodes.forEach(({ id, state, term, timer, granted, follows }, place) => {
    const group = groups[place];
    const [track, arc, shape, , , label, votes] = group.children;
    set(group, "class", `node ${state} ${termClass(term)}`);
    set(shape, "d", SHAPES[state] ?? SHAPES.round);
    show(track, timer !== null);
    show(arc, timer);
    set(arc, "stroke-dasharray", `${timer?.toFixed(3) ?? 0} 1`);
    say(label, LABELS[state] ?? (isCrowded() ? state : `${state}, term ${term}`));
    const dots = fit(votes, state === "candidate" ? nodes.length : 0, (voter) => {
      const angle = 16 * (voter - (nodes.length - 1) / 2);
      return make("circle", { r: 4.5, transform: `rotate(${angle}) translate(0 -47)` });
    });
    dots.forEach((dot, voter) => set(dot, "class", granted.includes(voter) ? "vote granted" : "vote"));
    const isLed = nodes[follows]?.state === "leader";
    const ends = [id, follows].map(position).map(({ x, y }) => `${x} ${y}`);
    set(links[place], "d", isLed ? `M${ends.join("L")}` : null);
  });
}

let flights = [];

function take(events, at) {
  flights.push(...events.flatMap(({ messages }) => messages.map((message) => ({ ...message, start: at }))));
  flights.splice(0, flights.length - MESSAGES_MAX);
}

function writeMessages(at) {
  flights = flights.filter(({ start }) => at - start < FLIGHT);
  fit(byId("messages"), flights.length, () => make("circle")).forEach((dot, place) => {
    const { from, to, kind, start } = flights[place];
    const [begin, end] = [position(from), position(to)];
    const length = Math.hypot(end.x - begin.x, end.y - begin.y) || 1;
    const [dx, dy] = [(end.x - begin.x) / length, (end.y - begin.y) / length];
    // On the right: a message and its reply do not meet.
    const way = 40 + (length - 80) * Math.min(1, (at - start) / FLIGHT);
    set(dot, "class", `message ${kind}`);
    set(dot, "r", kind === "heartbeat" ? 4 : 6);
    set(dot, "cx", (begin.x + dx * way - dy * 6).toFixed(1));
    set(dot, "cy", (begin.y + dy * way + dx * 6).toFixed(1));
  });
}

// One stop of the tab key; arrows move in the log.

let chosen = { row: 0, column: COLUMNS - 1 };
let inSight = 0;

function writeGrid({ grid, servers }) {
  const { tHead, tBodies } = byId("log");
  const titles = fit(tHead.rows[0], COLUMNS + 2, () => make("th"));
  say(titles[0], "Server");
  for (let column = 0; column <= COLUMNS; column++) {
    const index = grid.first + column;
    const [label] = fit(titles[column + 1], 1, () => make("span"));
    say(label, String(index));
    set(label, "class", index % 4 || column === COLUMNS ? "unseen" : "quiet");
  }
  const rows = fit(tBodies[0], grid.rows.length, () => make("tr"));
  grid.rows.forEach((row, place) => {
    const line = rows[place];
    set(line, "class", row.isOld ? "is-old" : null);
    const [name, ...cells] = fit(line, COLUMNS + 2, (place) => {
      return place
        ? make("td", { tabindex: -1, role: "gridcell" })
        : make("th", { scope: "row" }, make("span"), " ", make("span", { class: "quiet" }));
    });
    say(name.children[0], String(row.id));
    say(name.children[1], row.note || (servers[place].state === "leader" ? "leader" : ""));
    row.cells.forEach((cell, column) => {
      const entry = cell?.entry ?? null;
      const term = entry?.term ?? null;
      const classes = [
        entry && (cell.isCommitted ? "has" : "open"),
        entry && termClass(term),
        cell?.match && "match",
        cell?.next && "next",
      ];
      set(cells[column], "class", classes.filter(Boolean).join(" ") || null);
      say(cells[column], entry ? (term === null ? "·" : String(term)) : "");
      set(cells[column], "tabindex", place === chosen.row && column === chosen.column ? 0 : -1);
      set(cells[column], "aria-label", cell ? cellText(row.id, cell) : `Server ${row.id}: unknown`);
    });
  });
  // The last entries are in sight until the reader scrolls.
  const frame = byId("log").parentElement;
  const end = titles[grid.last - grid.first + 2];
  if (Math.abs(frame.scrollLeft - Math.min(inSight, frame.scrollWidth - frame.clientWidth)) < 2) {
    frame.scrollLeft = end.offsetLeft + end.offsetWidth - frame.clientWidth;
    inSight = frame.scrollLeft;
  }
}

function cellAt({ row, column }) {
  return byId("log").tBodies[0].rows[row]?.cells[column + 1];
}

byId("log").addEventListener("keydown", (event) => {
  const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
  const next = step && { row: chosen.row + step[0], column: chosen.column + step[1] };
  const cell = next && 0 <= next.column && cellAt(next);
  if (cell) {
    event.preventDefault();
    cell.focus();
  }
});

const told = ({ target }) => target.ariaLabel && say(byId("cell"), target.ariaLabel);
byId("log").addEventListener("mouseover", told);
byId("log").addEventListener("focusin", (event) => {
  set(cellAt(chosen), "tabindex", -1);
  chosen = { row: event.target.parentElement.sectionRowIndex, column: event.target.cellIndex - 1 };
  set(event.target, "tabindex", 0);
  told(event);
});

const topics = new Map();
for (const topic of TOPICS) {
  const box = make("input", { type: "checkbox" });
  box.checked = topic !== "heartbeats";
  box.addEventListener("change", rewriteEvents);
  byId("topics").append(make("label", {}, box, topic));
  topics.set(topic, box);
}

let isPaused = false;
let missed = 0;
let isFollowed = true;

byId("pause").addEventListener("click", () => {
  isPaused = !isPaused;
  set(byId("pause"), "aria-pressed", isPaused);
  if (!isPaused) {
    rewriteEvents();
  }
});

function clock(time) {
  const date = new Date(performance.timeOrigin + time);
  return `${date.toLocaleTimeString("en-GB")}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}

function eventRow(event) {
  const cells = model.servers.map(({ id }) => {
    if (id !== event.id) {
      return make("td");
    }
    const who = make("span", { class: "who" }, `${id} `);
    return make("td", { class: topicOf(event) }, who, textOf(event));
  });
  const time = make("th", { scope: "row" }, clock(event.time));
  return make("tr", { "data-key": event.key }, time, ...cells);
}

const isChosen = (event) => topics.get(topicOf(event)).checked;

function writeEvents(events) {
  const chosen = events.filter(isChosen);
  missed = isPaused ? missed + chosen.length : 0;
  say(byId("missed"), missed ? count(missed, "new event", "new events") : "");
  if (!isPaused && chosen.length) {
    list(chosen);
  }
}

function list(chosen) {
  const frame = byId("events");
  isFollowed = frame.scrollHeight - frame.scrollTop - frame.clientHeight < 32;
  const rows = byId("event-rows");
  rows.append(...chosen.slice(-EVENT_ROWS_MAX).map(eventRow));
  while (EVENT_ROWS_MAX < rows.children.length) {
    rows.firstElementChild.remove();
  }
  // A reader who has scrolled back stays there.
  if (isFollowed) {
    frame.scrollTop = frame.scrollHeight;
  }
}

// Another width changes the heights of the rows.
addEventListener("resize", () => isFollowed && (byId("events").scrollTop = byId("events").scrollHeight));

function rewriteEvents() {
  byId("event-rows").replaceChildren();
  missed = 0;
  list((model?.events ?? []).filter(isChosen));
}

function writeFiles({ files, servers }) {
  const shown = files.rows.length;
  say(byId("files-note"), `${shown} of ${count(files.count, "file", "files")}: the version at each server`);
  for (const [id, rows] of [["files", files.rows], ["blocks", files.blocks]]) {
    const line = () => make("tr", {}, make("th", { scope: "row" }, make("bdi")));
    fit(byId(id), rows.length, line).forEach((row, place) => {
      const { name, cells } = rows[place];
      const [head, ...others] = fit(row, servers.length + 1, () => make("td"));
      say(head.firstChild, name);
      others.forEach((cell, id) => {
        const { text, isBehind } = cells[id];
        set(cell, "class", isBehind ? "number is-behind" : "number");
        say(cell, isBehind ? `${text} ↓` : text);
      });
    });
  }
}

function writeColumns() {
  const names = model.servers.map(({ id }) => `Server ${id}`);
  const title = (text, kind) => make("th", kind, text);
  byId("event-servers").append(...["Time", ...names].map((name) => title(name)));
  byId("file-servers").append(title("File"), ...names.map((name) => title(name, { class: "number" })));
}

let model = null;
let polls = [];

function write() {
  const at = now();
  const state = model.state(at);
  writeHeader(state);
  writeServers(state);
  writeActions(state);
  writeGrid(state);
  writeFiles(state);
  if (still.matches) {
    writeRing(at);
  }
}

function replay() {
  const at = now();
  const events = model.advance(at);
  writeEvents(events);
  if (!still.matches) {
    take(events, at);
    writeRing(at);
    writeMessages(at);
  }
}

function frame() {
  if (!still.matches) {
    replay();
  }
  requestAnimationFrame(frame);
}

// Values grow old without answers.
function tick() {
  if (!document.hidden) {
    replay();
    write();
  }
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    polls.forEach((poll) => poll.stop());
  } else if (model) {
    model.resume(now());
    polls.forEach((poll) => poll.hurry());
  }
});

async function start() {
  try {
    const began = now();
    const first = await view("", 0);
    model = new Model(first.servers, first.id, began);
    model.answered(first.id, began, now(), first);
  } catch {
    say(byId("source"), "This server does not answer. It is asked again every second.");
    setTimeout(start, POLL);
    return;
  }
  writeColumns();
  const late = `replayed ${REPLAY_LATE / 1000} s late, votes in slow motion`;
  say(byId("late"), still.matches ? "without motion" : late);
  polls = model.servers.map(({ id }) => new Poll(id));
  polls.forEach((poll) => (poll.id === model.givenBy ? poll.wait(POLL) : poll.hurry()));
  write();
  setInterval(tick, POLL);
  requestAnimationFrame(frame);
}

start();
