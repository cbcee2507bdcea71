// Pure: the answers of GET /view and the page's clock go in, the state to show comes out.
// Times are the page's milliseconds; `at` is a server's.

// The ring and the events are shown this much later: then all have told their part.
export const REPLAY_LATE = 1200;

// How long a message is drawn. What a vote's message causes waits for its arrival, at most SLOW_MAX.
export const FLIGHT = 450;
const SLOW_MAX = 4000;

// The maximum error between two aligned clocks.
const CLOCK_ERROR = 50;

// The time between two polls of a server that answers.
export const POLL = 1000;
const BACK_OFF_MAX = 4000;

// A request makes its server silent after this time, and is given up after TIMEOUT.
const PATIENCE = 1500;
export const TIMEOUT = 2000;

// The maximum age of a server's values, and of a message by which it is said to hear another.
const FRESH = 3000;
const HEARD = 2000;

// Before this time, the others may not have noticed a silence.
const SETTLED = 2500;

const EVENTS_MAX = 512;
export const COLUMNS = 32;

// Each kind's topic, and the event in words.
const KINDS = {
  timeout: ["timers", ({ timer }) => `timeout: ${TIMEOUTS[timer] ?? timer}`],
  preVote: ["votes", ({ to }) => `asks ${list(to ?? [])} for pre-votes`],
  vote: ["votes", ({ to, term }) => `asks ${list(to ?? [])} for votes, term ${term}`],
  granted: ["votes", (event) => `grants its ${ballotOf(event)} to ${event.peer}`],
  refused: ["votes", (event) => `refuses its ${ballotOf(event)} to ${event.peer}`],
  grantedBy: ["votes", (event) => `has the ${ballotOf(event)} of ${event.peer}`],
  refusedBy: ["votes", (event) => `is refused the ${ballotOf(event)} of ${event.peer}`],
  follower: ["roles", ({ term }) => `is a follower, term ${term}`],
  candidate: ["roles", ({ term }) => `is a candidate, term ${term}`],
  leader: ["roles", ({ term }) => `leads term ${term}`],
  crashed: ["roles", () => "crashed"],
  restored: ["roles", () => "restored"],
  founds: ["roles", () => "founds a history"],
  entries: ["entries", (event) => passed(event, count(event.count ?? 1, "entry", "entries"))],
  snapshot: ["entries", (event) => (event.phase === "installed" ? "installs a snapshot" : passed(event, "a snapshot"))],
  conflict: ["entries", ({ index }) => `replaces entries from ${index} on`],
  heartbeat: ["heartbeats", (event) => passed(event, "a heartbeat")],
  silent: ["peers", ({ peer, failure }) => `${peer} ${SILENCES[failure] ?? "does not answer"}`],
  back: ["peers", ({ peer }) => `${peer} answers again`],
  closed: ["peers", ({ peer }) => `connections of ${peer} closed`],
  missing: ["peers", () => "some events are missing"],
};
const TIMEOUTS = {
  silence: "leader silent",
  start: "no leader since the start",
  hurry: "leader gone",
  campaign: "no winner",
  patience: "no new leader",
};
const SILENCES = { ended: "refuses connections", crashed: "says it is crashed" };

export const TOPICS = [...new Set(Object.values(KINDS).map(([topic]) => topic))];
export const topicOf = ({ kind }) => KINDS[kind]?.[0] ?? "peers";
export const textOf = (event) => KINDS[event.kind]?.[1](event) ?? event.kind;

const ballotOf = ({ ballot }) => (ballot === "preVote" ? "pre-vote" : "vote");
const passed = ({ sent, peer }, what) => (sent === false ? `has ${what} from ${peer}` : `sends ${what} to ${peer}`);

export const isLoopback = (host) => /^(localhost|127\.0\.0\.1|\[::1\])$/i.test(host);

// Of a process that has not answered: the bounds of its clock's offset, its newest event, the time of its newest item.
const UNKNOWN = { least: -Infinity, most: Infinity, seq: 0, told: -Infinity };

export class Model {
  // `servers` and `id` are those of the first answer, which came from the server that gave the page.
  constructor(servers, id, now) {
    this.givenBy = id;
    this.servers = servers.map((address, id) => ({
      id,
      address,
      view: null,
      ...UNKNOWN,
      seen: null,
      began: null,
      failure: null,
      failures: 0,
      committedBefore: 0,
      lacks: 0,
      shown: null,
    }));
    this.majority = Math.floor(servers.length / 2) + 1;
    this.resumed = now;
    this.queue = [];
    this.events = [];
    this.arrival = servers.map(() => 0);
  }

  // The time from one poll's beginning to the next one's.
  pause(id) {
    const { failures } = this.servers[id];
    return failures ? Math.min(POLL * 2 ** (failures - 1), BACK_OFF_MAX) : POLL;
  }

  // The origin at which the page asks a server: its own if that server gave it. All loopback names are one machine, of
  // which a browser may know only that of the page. The policy of the page names no IPv6 address.
  origin(id, pageHost) {
    const [, host, port] = /^(.*):(\d+)$/.exec(this.servers[id].address);
    const isAlias = isLoopback(host) && isLoopback(pageHost) && pageHost !== "[::1]";
    return id === this.givenBy ? "" : `http://${isAlias ? pageHost : host}:${port}`;
  }

  began(id, now) {
    this.servers[id].began = now;
  }

  // Nobody was asked while the tab was hidden.
  resume(now) {
    this.resumed = now;
  }

  // `reason` is `refused` if there was no answer because the connection failed, `timeout` if the time was up,
  // `nonsense` if what answered is no such server, or a text.
  failed(id, reason) {
    const server = this.servers[id];
    server.began = null;
    server.failure = reason;
    server.failures += 1;
  }

  // The answer to a request that lasted from `began` to `ended`.
  answered(id, began, ended, view) {
    const server = this.servers[id];
    if (view?.id !== id || !Array.isArray(view.events) || view.servers?.length !== this.servers.length) {
      this.failed(id, "nonsense");
      return;
    }
    const isSame = view.boot === server.view?.boot;
    // A new process counts its events from 1. If it was asked for those after another's, all are asked for next time.
    const isWhole = isSame || server.seq === 0;
    if (!isSame) {
      Object.assign(server, UNKNOWN);
    }
    // The server read its clock, and cut it, between the two moments. Each request narrows what its clock's offset may
    // be, except after a machine has slept.
    const range = { least: began - view.milliseconds - 1, most: ended - view.milliseconds };
    const least = Math.max(server.least, range.least);
    const most = Math.min(server.most, range.most);
    Object.assign(server, least <= most ? { least, most } : range);
    server.offset = (server.least + server.most) / 2;
    server.committedBefore = isSame ? server.view.commitIndex : 0;
    server.lacks = view.role === "leader" && !view.hasMajority ? server.lacks + 1 : 0;
    Object.assign(server, { began: null, failure: null, failures: 0, seen: ended });

    const [first] = view.events;
    const missing = view.dropped && server.view && first ? [{ ...first, seq: first.seq - 1, kind: "missing" }] : [];
    // A server's items stay in order, also if its offset changes.
    const timeOf = (at) => Math.max(server.told, at + server.offset);
    for (const event of isWhole ? [...missing, ...view.events] : []) {
      if (server.seq < event.seq) {
        const time = timeOf(event.at);
        Object.assign(server, { seq: event.seq, told: time });
        this.queue.push({ time, id, event: { ...event, id, time, key: `${id} ${view.boot} ${event.seq}` } });
      }
    }
    server.view = { ...view, events: [] };
    const time = timeOf(view.milliseconds);
    server.told = isWhole ? time : UNKNOWN.told;
    this.queue.push({ time, id, view: server.view });
    this.queue.sort((left, right) => left.time - right.time);
    this.queue.splice(0, this.queue.length - this.servers.length * EVENTS_MAX);
  }

  // Replays everything up to REPLAY_LATE ago, and returns its events, oldest first.
  advance(now) {
    if (now - this.resumed < REPLAY_LATE) {
      return [];
    }
    const events = [];
    const waiting = new Set();
    for (const item of this.queue.filter(({ time }) => time <= now - REPLAY_LATE)) {
      const { time, id, view, event } = item;
      // What was before the first answer is only listed.
      const isSlow = this.servers[id].shown && now - REPLAY_LATE - time < SLOW_MAX;
      const isHeld = event?.kind !== "crashed" && now < this.arrival[id];
      if (isSlow && (waiting.has(id) || isHeld || this.lacksCause(item))) {
        waiting.add(id);
        continue;
      }
      this.queue.splice(this.queue.indexOf(item), 1);
      this.servers[id].shown = view ? still(view, time) : moved(this.servers[id].shown, event, time);
      if (event) {
        const messages = isSlow ? messagesOf(event) : [];
        events.push({ ...event, messages });
        for (const { to } of topicOf(event) === "votes" ? messages : []) {
          this.arrival[to] = now + FLIGHT;
        }
      }
    }
    // Old heartbeats displace nothing.
    const isKept = ({ kind, time }) => kind !== "heartbeat" || now - time < 9000;
    this.events = [...this.events, ...events].filter(isKept).slice(-EVENTS_MAX);
    return events;
  }

  // Whether a vote's message arrives whose sending is still queued: clocks are too coarse to order the two.
  lacksCause({ time, event }) {
    const { id, kind, ballot, peer } = event ?? {};
    const sent = { granted: ballot, refused: ballot, grantedBy: "granted", refusedBy: "refused" }[kind];
    const isSent = (cause) => cause.id === peer && cause.kind === sent && (cause.to?.includes(id) ?? cause.peer === id);
    const near = this.queue.filter((other) => Math.abs(other.time - time) < CLOCK_ERROR);
    return Boolean(sent) && near.some(({ event }) => event && isSent(event) && (event.ballot ?? ballot) === ballot);
  }

  answers(server, now) {
    if (!server.view || server.failure) {
      return false;
    }
    const waited = server.began === null ? 0 : now - server.began;
    return waited < PATIENCE && now - Math.max(server.seen, this.resumed) < FRESH;
  }

  // The servers that can say something about this one: a follower knows of its leader only.
  witnesses(id, now) {
    return this.servers.filter((other) => {
      const { role, leader } = other.view ?? {};
      const isAsked = role !== "follower" || (leader ?? id) === id;
      return other.id !== id && this.answers(other, now) && role !== "crashed" && isAsked;
    });
  }

  // The states are `asking`, `follower`, `candidate`, `leader`, `crashed`,
  // `browser` (unreachable from this browser), `all` (unreachable from all) and `stale`.
  statusOf(server, now) {
    const { id, view, failure, seen } = server;
    if (this.answers(server, now)) {
      return { state: view.role, up: view.role !== "crashed", detail: [] };
    }
    if (!view && !failure) {
      return { state: "asking", up: null, detail: [] };
    }
    const age = view ? now - seen : Infinity;
    const old = view ? `values of ${seconds(age)} ago` : "has never answered this page";
    const silent = (state, up, ...detail) => ({ state, up, detail: [...detail, old] });
    const how = FAILURES[failure ?? "timeout"] ?? failure;
    const witnesses = this.witnesses(id, now);
    const hearing = witnesses.filter((other) => hears(other.view, id));
    if (age < SETTLED) {
      return silent("stale", null, how);
    }
    if (hearing.length) {
      return silent("browser", true, `heard by ${list(hearing.map(({ id }) => id))}`);
    }
    if (!witnesses.length) {
      return silent("browser", null, how, "no other server can say more");
    }
    return silent(failure === "refused" || !view ? "all" : "stale", false, how, "no other server hears it");
  }

  // What is shown now, except the events and the ring.
  state(now) {
    const servers = this.servers.map((server) => ({ ...server, ...this.statusOf(server, now) }));
    const leader = leading(servers);
    const boss = leader?.state === "leader" ? leader : null;
    for (const server of servers) {
      server.word = WORDS[server.state];
      server.isOld = !ROLES.has(server.state);
      server.detail.push(...this.notes(server, boss));
    }
    const up = servers.filter((server) => server.up).length;
    const answering = servers.filter(({ isOld }) => !isOld);
    const term = Math.max(0, ...answering.map(({ view }) => view.term));
    const total = servers.length;
    const down = servers.filter((server) => server.up === false).length;
    const isLost = total - this.majority < down || (boss?.view.hasMajority === false && up < this.majority);
    const state = { servers, leader: leader?.id ?? null, term, up, total, alert: "" };
    state.calm = this.majority <= up ? "A majority is up." : "This browser cannot tell whether a majority is up.";

    if (!answering.length) {
      const asking = servers.some((server) => server.state === "asking");
      state.headline = asking ? "Asking the servers" : "No server answers";
      state.calm = "";
      state.alert = asking ? "" : "No server answers this browser. What is shown is what they said last.";
    } else if (isLost || 1 < boss?.lacks) {
      state.headline = boss ? `Server ${boss.id} leads, without a majority` : "No leader";
      const why = isLost ? `is up (${up} of ${total}; ${this.majority} needed)` : "answers the leader";
      state.alert = `No majority ${why}: updates and reads wait.`;
    } else if (leader) {
      state.headline = `Server ${leader.id} leads`;
    } else {
      state.calm = "Updates and reads wait for a leader.";
      const candidate = servers.find((server) => server.state === "candidate");
      state.headline = candidate ? "Election in progress" : "No leader yet";
    }
    state.files = filesOf(servers);
    state.grid = gridOf(servers, boss);
    return state;
  }

  notes(server, leader) {
    if (server.isOld) {
      return [];
    }
    const { view } = server;
    const notes = [];
    if (leader && leader.id !== server.id && view.role !== "crashed") {
      const { match } = leader.view.peers.find((peer) => peer.id === server.id) ?? {};
      // Until a new leader knows the match, it is 0. Entries committed a poll ago should be here by now.
      const stored = match === 0 ? view.commitIndex : match;
      if (Number.isInteger(stored) && stored < leader.committedBefore) {
        server.lag = leader.view.commitIndex - stored;
        notes.push(`lagging: ${count(server.lag, "entry", "entries")} behind`);
      }
      if (view.history && leader.view.history && view.history !== leader.view.history) {
        notes.push("has another history");
      }
    }
    const roster = leader?.view.roster ?? [];
    if (roster.length && !roster.includes(server.id)) {
      notes.push("started empty, does not count yet");
    }
    if (view.ballot && view.role === "candidate") {
      const { kind, granted } = view.ballot;
      notes.push(`${granted.length} of ${this.servers.length} ${kind === "preVote" ? "pre-votes" : "votes"}`);
    }
    if (view.role === "leader" && !view.hasMajority) {
      notes.push("no majority answers it");
    }
    return notes;
  }

  // The ring at the moment that is replayed, or now if nothing may move.
  ring(now, isStill) {
    const playhead = Math.min(now - REPLAY_LATE, this.queue[0]?.time ?? now);
    return this.servers.map((server) => {
      const { state } = this.statusOf(server, now);
      const view = server.view;
      const shown = view && (isStill || !server.shown) ? still(view, now) : server.shown;
      // A silence is not replayed: it is known now.
      const role = ROLES.has(state) && shown ? shown.role : state;
      const isLive = ROLES.has(role);
      const timer = isLive && !isStill && shown?.timer;
      return {
        id: server.id,
        state: isLive ? role : ROLES.has(state) ? "asking" : state,
        term: shown?.term ?? null,
        timer: timer ? Math.min(1, Math.max(0, (timer.end - playhead) / timer.total)) : null,
        granted: isLive && role === "candidate" ? (shown?.granted ?? []) : [],
        follows: isLive && role === "follower" ? (shown?.leader ?? null) : null,
      };
    });
  }
}

const FAILURES = {
  refused: "the connection fails",
  timeout: "no answer",
  nonsense: "something else answers at its address",
};

const ROLES = new Set(["follower", "candidate", "leader", "crashed"]);
const NAMED = new Set(["asking", "browser", "stale"]);

const WORDS = {
  asking: "Asking …",
  follower: "Follower",
  candidate: "Candidate",
  leader: "Leader",
  crashed: "Crashed",
  browser: "Unreachable from this browser",
  all: "Unreachable from all",
  stale: "Stale",
};

// The leader of the highest term; a silent one if those that hear it name it.
function leading(servers) {
  const answering = servers.filter(({ state }) => ROLES.has(state) && state !== "crashed");
  const term = Math.max(...answering.map(({ view }) => view.term));
  const newest = answering.filter(({ view }) => view.term === term);
  const named = newest.map(({ view }) => servers[view.leader]).find((server) => NAMED.has(server?.state));
  return newest.find(({ state }) => state === "leader") ?? named ?? null;
}

function hears(view, id) {
  const reply = view.peers.find((peer) => peer.id === id)?.lastReply;
  const isAnswered = Number.isFinite(reply) && view.milliseconds - reply < HEARD;
  // A follower sends its leader nothing. That it waits shows that it hears it.
  return isAnswered || (view.role === "follower" && view.leader === id && view.timer?.kind === "silence");
}

function still(view, time) {
  const { role, term, leader, timer, ballot } = view;
  return {
    role,
    term,
    leader,
    timer: timer && { ...timer, end: time + timer.remaining },
    granted: ballot?.granted ?? [],
  };
}

function moved(before, event, time) {
  const { kind, peer } = event;
  const after = before && { ...before, term: event.term ?? before.term };
  const role = kind === "restored" ? "follower" : kind;
  if (after && ROLES.has(role)) {
    Object.assign(after, { role, leader: null, timer: null, granted: [] });
  } else if (after && (kind === "preVote" || kind === "vote")) {
    after.granted = [event.id];
  } else if (after && kind === "grantedBy") {
    after.granted = [...new Set([...after.granted, peer])];
  } else if (after?.role === "follower" && event.sent === false) {
    after.leader = peer;
    after.timer &&= { ...after.timer, end: time + after.timer.total };
  }
  return after;
}

const SENT = {
  preVote: "ask", vote: "ask", granted: "grant", refused: "refuse",
  heartbeat: "heartbeat", entries: "entries", snapshot: "entries",
};

// The messages that an event shows, told by the sender.
export function messagesOf({ id, kind, peer, to, sent }) {
  const isSent = kind in SENT && sent !== false;
  return isSent ? (to ?? [peer]).map((to) => ({ from: id, to, kind: SENT[kind] })) : [];
}

// The last entries of each server, and one more column for what comes next.
function gridOf(servers, leader) {
  const known = servers.filter(({ view }) => view);
  const answering = known.filter(({ isOld }) => !isOld);
  const last = Math.max(0, ...(answering.length ? answering : known).map(({ view }) => view.lastIndex));
  const first = Math.max(1, last - COLUMNS + 1);
  const rows = servers.map((server) => {
    const { id, view, isOld } = server;
    if (!view) {
      return { id, isOld: true, note: "unknown", cells: Array(COLUMNS + 1).fill(null) };
    }
    const peer = leader?.view.peers.find((peer) => peer.id === id);
    const entries = new Map(view.log.map((entry) => [entry.index, entry]));
    const cells = Array.from({ length: COLUMNS + 1 }, (_, column) => {
      const index = first + column;
      const isCommitted = index <= view.commitIndex;
      const marks = { match: peer?.match === index, next: peer?.next === index };
      const entry = entries.get(index) ?? (index <= view.lastIndex ? { index, term: null } : null);
      return { index, entry, isCommitted, ...marks };
    });
    const note = view.lastIndex < first && first < last ? `ends at ${view.lastIndex}` : "";
    return { id, isOld, note, cells };
  });
  return { first, last, rows };
}

// A cell in words. A name that runs from right to left turns nothing around.
export function cellText(id, { index, entry, isCommitted, match, next }) {
  const what = entry?.kind === "update" ? `\u2068${entry.name}\u2069 version ${entry.version}` : entry?.kind;
  const about = entry
    ? [entry.term === null ? "not told" : `term ${entry.term}, ${what}`, isCommitted ? "committed" : "not committed"]
    : ["no entry"];
  const refused = entry?.accepted === false && "refused: not the next version";
  const marks = [refused, match && "stored, as the leader knows", next && "sent next"];
  return `Server ${id}, index ${index}: ${[...about, ...marks].filter(Boolean).join(", ")}`;
}

// Servers cut names differently: the longest is shown.
function filesOf(servers) {
  const shown = servers.map(({ view }) => new Map((view?.files.shown ?? []).map((file) => [file.key, file])));
  const all = shown.flatMap((files) => [...files.values()]).sort((a, b) => a.name.length - b.name.length);
  const names = [...new Map(all.map(({ key, name }) => [key, name]))].sort(([, a], [, b]) => (a < b ? -1 : 1));
  const rows = names.slice(0, 50).map(([key, name]) => {
    const files = shown.map((files) => files.get(key));
    const newest = Math.max(...files.map((file) => file?.version ?? 0));
    const cells = files.map((file, id) => {
      const { view, isOld, lag, state } = servers[id];
      // Beyond the last file that it shows, a server may have more.
      const last = [...shown[id].values()].at(-1)?.name.replace(/…$/, "") ?? "";
      const isUnknown = !view || (!file && shown[id].size < view.files.count && last <= name);
      return {
        text: file ? String(file.version) + (file.deleted ? " deleted" : "") : isUnknown ? "?" : "–",
        // Others are asked at other times.
        isBehind: (lag || isOld || state === "crashed") && !isUnknown && (file?.version ?? 0) < newest,
      };
    });
    return { name, cells };
  });
  const count = Math.max(0, ...servers.map(({ view }) => view?.files.count ?? 0));
  const cell = (text) => ({ view }) => ({ text: view ? text(view.blocks) : "–" });
  const measure = (name, text) => ({ name, cells: servers.map(cell(text)) });
  const blocks = [
    measure("Blocks held", ({ count }) => number(count)),
    measure("Blocks missing", ({ missing }) => (missing === null ? "unknown" : number(missing))),
  ];
  return { rows, count, blocks };
}

export const number = (number) => number.toLocaleString("en");

export const count = (items, one, many) => `${number(items)} ${items === 1 ? one : many}`;

function seconds(milliseconds) {
  const whole = Math.max(0, Math.round(milliseconds / 1000));
  return whole < 120 ? `${whole} s` : `${Math.round(whole / 60)} min`;
}

const list = (ids) => ids.join(", ").replace(/, (\d+)$/, " and $1");
