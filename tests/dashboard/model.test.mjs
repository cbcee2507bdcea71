// What src/dashboard/model.js makes of the servers' answers. Run by Node: `node --test tests/dashboard/model.test.mjs`.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

// By its name, Node 18 would take the file for a CommonJS module; a browser goes by its type.
const source = readFileSync(new URL("../../src/dashboard/model.js", import.meta.url));
const url = `data:text/javascript;base64,${source.toString("base64")}`;
const { COLUMNS, FLIGHT, Model, POLL, REPLAY_LATE, cellText, messagesOf, textOf } = await import(url);

const SERVERS = ["localhost:9001", "localhost:9002", "localhost:9003", "localhost:9004", "localhost:9005"];

// The servers' clocks began at different times: `at` of server i is the page's time plus this.
const clockOf = (id) => 5000 * (id + 1);

// The answer of a server at the page's time `now`.
function view(id, now, changes = {}) {
  const entries = Array.from({ length: changes.lastIndex ?? 3 }, (_, place) => ({
    index: place + 1, term: 1, kind: "update", name: `file ${place}`, version: 1, accepted: true,
  }));
  return {
    boot: `boot of ${id}`, milliseconds: now + clockOf(id), id, servers: SERVERS, role: "follower", term: 1, leader: 0,
    hasMajority: false, history: "h", roster: [0, 1, 2, 3, 4], timer: { kind: "silence", remaining: 500, total: 750 },
    ballot: null, commitIndex: 3, lastIndex: 3, peers: peers(id, {}), waiting: { updates: 0, reads: 0, bytes: 0 },
    log: entries.slice(-32), files: { count: 0, shown: [] }, blocks: { count: 0, bytes: 0, missing: 0 }, mayCrash: true,
    events: [], ...changes,
  };
}

function peers(id, changes) {
  const unknown = { next: null, match: null, lastReply: null };
  return SERVERS.flatMap((_, peer) => (peer === id ? [] : { id: peer, ...unknown, ...changes[peer] }));
}

// A leader that has just heard all others, except those named.
function leaderView(now, changes = {}, unheard = []) {
  const heard = Object.fromEntries(
    SERVERS.map((_, id) => [id, { next: 4, match: 3, lastReply: unheard.includes(id) ? null : now + clockOf(0) }]),
  );
  return view(0, now, { role: "leader", hasMajority: true, peers: peers(0, heard), timer: null, ...changes });
}

const answer = (model, now, view) => model.answered(view.id, now - 2, now + 2, view);

// All five servers have answered, and 0 leads.
function settled(now = 10_000) {
  const model = new Model(SERVERS, 2, 0);
  answer(model, now, leaderView(now));
  [1, 2, 3, 4].forEach((id) => answer(model, now, view(id, now)));
  return model;
}

// A server is silent for six seconds; the others answer, and the leader hears it or not.
function silent(id, reason, isHeard) {
  const model = settled();
  for (let now = 11_000; now <= 16_000; now += POLL) {
    const unheard = isHeard ? [] : [id];
    const views = SERVERS.map((_, other) => (other === 0 ? leaderView(now, {}, unheard) : view(other, now)));
    views.forEach((view, other) => (other === id ? model.failed(id, reason) : answer(model, now, view)));
  }
  return model.state(16_000);
}

test("the headline names the leader, its term and how many are up", () => {
  const state = settled().state(10_100);
  assert.equal(state.headline, "Server 0 leads");
  assert.deepEqual([state.term, state.up, state.total, state.alert], [1, 5, 5, ""]);
});

test("of two leaders, the one of the higher term leads", () => {
  const model = settled();
  answer(model, 10_500, view(3, 10_500, { role: "leader", hasMajority: true, term: 2, leader: 3 }));
  assert.equal(model.state(10_600).leader, 3);
});

test("a leader that only the others reach still leads", () => {
  const state = silent(0, "timeout", true);
  assert.equal(state.servers[0].state, "browser");
  assert.equal(state.leader, 0);
  assert.equal(state.up, 5);
});

test("the four states of a silent server have four words", () => {
  const crashed = settled();
  answer(crashed, 10_500, view(1, 10_500, { role: "crashed", timer: null }));
  const states = [
    crashed.state(10_600).servers[1],
    silent(1, "refused", true).servers[1],
    silent(1, "refused", false).servers[1],
    silent(1, "timeout", false).servers[1],
  ];
  assert.deepEqual(states.map(({ state }) => state), ["crashed", "browser", "all", "stale"]);
  assert.equal(new Set(states.map(({ word }) => word)).size, 4);
});

test("a page that reaches a follower alone does not say that a majority is down", () => {
  const model = new Model(SERVERS, 1, 0);
  for (let now = 1000; now <= 6000; now += POLL) {
    answer(model, now, view(1, now));
    [0, 2, 3, 4].forEach((id) => model.failed(id, "refused"));
  }
  const { headline, alert, calm, servers } = model.state(6010);
  const seen = [headline, alert, calm];
  assert.deepEqual(seen, ["Server 0 leads", "", "This browser cannot tell whether a majority is up."]);
  assert.match(servers[2].detail.join("; "), /^the connection fails; no other server can say more/);
});

test("the age of old values is told", () => {
  assert.match(silent(1, "timeout", false).servers[1].detail.join("; "), /values of 6 s ago/);
});

test("a server that has never answered is not said to have been seen", () => {
  const model = new Model(SERVERS, 0, 0);
  answer(model, 10_000, leaderView(10_000, {}, [4]));
  assert.equal(model.state(10_000).servers[4].state, "asking");
  model.failed(4, "refused");
  const { state, detail } = model.state(10_000).servers[4];
  assert.equal(state, "all");
  assert.match(detail.join(), /has never answered this page/);
});

test("without another server to ask, a silent one is unreachable from this browser only", () => {
  const model = settled();
  SERVERS.forEach((_, id) => model.failed(id, "refused"));
  const state = model.state(15_000);
  assert.ok(state.servers.every((server) => server.state === "browser"));
  assert.match(state.servers[1].detail.join(), /no other server can say more/);
  assert.match(state.alert, /No server answers this browser/);
});

test("a request without an answer makes its server stale before it is given up", () => {
  const model = settled();
  model.began(1, 10_900);
  assert.equal(model.state(12_300).servers[1].state, "follower");
  assert.equal(model.state(12_500).servers[1].state, "stale");
});

test("a hidden tab makes no server stale", () => {
  const model = settled();
  model.resume(90_000);
  assert.equal(model.state(90_100).servers[1].state, "follower");
});

test("what is no server of the set is not shown as one", () => {
  const model = settled();
  for (const wrong of [null, [], 7, view(2, 10_000), { id: 1 }, view(1, 10_000, { servers: SERVERS.slice(1) })]) {
    model.answered(1, 9_998, 10_002, wrong);
    assert.equal(model.servers[1].failure, "nonsense");
  }
});

test("three crashed servers of five raise the alert, two do not", () => {
  const model = settled();
  const crash = (id) => answer(model, 10_500, view(id, 10_500, { role: "crashed", timer: null }));
  [1, 2].forEach(crash);
  assert.equal(model.state(10_600).alert, "");
  crash(3);
  const { alert, headline } = model.state(10_600);
  assert.equal(alert, "No majority is up (2 of 5; 3 needed): updates and reads wait.");
  assert.equal(headline, "Server 0 leads, without a majority");
});

test("a leader whom no majority answers raises the alert, but not in its first moment", () => {
  const model = settled();
  answer(model, 11_000, leaderView(11_000, { hasMajority: false }));
  assert.equal(model.state(11_100).alert, "");
  answer(model, 12_000, leaderView(12_000, { hasMajority: false }));
  assert.match(model.state(12_100).alert, /No majority answers the leader/);
});

test("without a leader, updates and reads wait for one", () => {
  const model = settled();
  answer(model, 10_500, view(0, 10_500, { role: "crashed", leader: null, timer: null }));
  const ballot = { kind: "vote", granted: [1, 2] };
  answer(model, 10_500, view(1, 10_500, { role: "candidate", leader: null, ballot }));
  const state = model.state(10_600);
  assert.deepEqual([state.headline, state.calm], ["Election in progress", "Updates and reads wait for a leader."]);
  assert.match(state.servers[1].detail.join(), /2 of 5 votes/);
});

test("a server lags if it lacks what was committed a poll ago, not what was committed just now", () => {
  const model = settled();
  const leader = (now, commitIndex, match) => {
    const peer = { next: match + 1, match, lastReply: now + clockOf(0) };
    const all = Object.fromEntries(SERVERS.map((_, id) => [id, peer]));
    answer(model, now, leaderView(now, { commitIndex, lastIndex: commitIndex, peers: peers(0, all) }));
    answer(model, now, view(1, now));
    return model.state(now + 10).servers[1].detail.join();
  };
  assert.equal(leader(11_000, 1000, 990), "");
  assert.equal(leader(12_000, 2000, 1000), "");
  assert.equal(leader(13_000, 3000, 1001), "lagging: 1,999 entries behind");
});

test("after an election, a server that the new leader has not reached yet lags by what it has not committed", () => {
  const lagging = (commitIndex) => {
    const model = settled();
    const unreached = peers(0, { 1: { next: 3001, match: 0, lastReply: null } });
    for (const now of [11_000, 12_000]) {
      answer(model, now, view(1, now, { commitIndex }));
      answer(model, now, leaderView(now, { commitIndex: 3000, lastIndex: 3000, peers: unreached }));
    }
    return model.state(12_010).servers[1].detail.join();
  };
  assert.equal(lagging(3000), "");
  assert.equal(lagging(2990), "lagging: 10 entries behind");
});

test("a server that does not count, and one of another history, are named", () => {
  const model = settled();
  answer(model, 10_500, leaderView(10_500, { roster: [0, 1, 2, 3] }));
  answer(model, 10_500, view(3, 10_500, { history: "other" }));
  const details = model.state(10_600).servers.map(({ detail }) => detail.join());
  assert.deepEqual(details, ["", "", "", "has another history", "started empty, does not count yet"]);
});

test("a silent server is asked after 1, 2, 4 and 4 seconds, and after an answer every second again", () => {
  const model = settled();
  const pauses = [0, 1, 2, 3].map(() => (model.failed(1, "refused"), model.pause(1)));
  assert.deepEqual(pauses, [1000, 2000, 4000, 4000]);
  answer(model, 20_000, view(1, 20_000));
  assert.equal(model.pause(1), 1000);
});

// An election as two servers with different clocks tell it.
const election = (now) => [
  [1, { seq: 1, at: now - 100 + clockOf(1), kind: "timeout", timer: "silence", term: 1 }],
  [1, { seq: 2, at: now - 90 + clockOf(1), kind: "preVote", to: [0, 2, 3, 4], term: 1 }],
  [2, { seq: 1, at: now - 85 + clockOf(2), kind: "granted", ballot: "preVote", peer: 1, term: 1 }],
  [1, { seq: 3, at: now - 82 + clockOf(1), kind: "grantedBy", ballot: "preVote", peer: 2, term: 1 }],
  [1, { seq: 4, at: now - 80 + clockOf(1), kind: "vote", to: [0, 2, 3, 4], term: 2 }],
  [2, { seq: 2, at: now - 75 + clockOf(2), kind: "granted", ballot: "vote", peer: 1, term: 2 }],
  [1, { seq: 5, at: now - 72 + clockOf(1), kind: "grantedBy", ballot: "vote", peer: 2, term: 2 }],
  [1, { seq: 6, at: now - 70 + clockOf(1), kind: "leader", term: 2 }],
];
const eventsOf = (events, id) => events.flatMap(([server, event]) => (server === id ? event : []));

// Two servers have told of the election; the replay has not come to it.
function elected() {
  const model = settled();
  model.advance(12_000);
  const events = election(20_000);
  answer(model, 20_010, view(2, 20_010, { events: eventsOf(events, 2) }));
  answer(model, 20_030, view(1, 20_030, { role: "leader", term: 2, leader: 1, events: eventsOf(events, 1) }));
  return model;
}
const kinds = (events) => events.map(({ kind }) => kind);

test("events of servers with different clocks are replayed in their order, 1.2 s late", () => {
  const model = elected();
  assert.deepEqual(model.advance(20_000 - 101 + REPLAY_LATE), []);
  assert.deepEqual(kinds(model.advance(20_000 - 99 + REPLAY_LATE)), ["timeout"]);
  // After a pause of some seconds, everything is told at once.
  const rest = ["preVote", "granted", "grantedBy", "vote", "granted", "grantedBy", "leader"];
  assert.deepEqual(kinds(model.advance(30_000)), rest);
});

test("what follows from the message of a vote is told when it has arrived", () => {
  const model = elected();
  const start = 20_000 + REPLAY_LATE;
  const steps = [0, 1, 2, 3, 4].map((flights) => kinds(model.advance(start + flights * FLIGHT)));
  assert.deepEqual(steps, [
    ["timeout", "preVote"], ["granted"], ["grantedBy", "vote"], ["granted"], ["grantedBy", "leader"],
  ]);
  assert.deepEqual(model.advance(start + 1 + 4 * FLIGHT), []);
});

test("what happened before the first answer of its server holds nothing up, and nothing of it flies", () => {
  const model = new Model(SERVERS, 1, 10_000);
  answer(model, 10_100, view(1, 10_100, { events: eventsOf(election(10_090), 1) }));
  answer(model, 10_100, view(2, 10_100, { events: eventsOf(election(10_090), 2) }));
  const events = model.advance(10_110 + REPLAY_LATE);
  assert.equal(events.length, 8);
  assert.ok(events.every(({ messages }) => messages.length === 0));
});

test("a grant is told after what asked for it, although the clocks say otherwise", () => {
  const model = settled();
  model.advance(12_000);
  const grant = { seq: 1, at: 20_000 + clockOf(2), kind: "granted", ballot: "vote", peer: 1, term: 2 };
  const ask = { seq: 1, at: 20_002 + clockOf(1), kind: "vote", to: [2], term: 2 };
  const has = { seq: 2, at: 20_003 + clockOf(1), kind: "grantedBy", ballot: "vote", peer: 2, term: 2 };
  answer(model, 20_100, view(2, 20_100, { events: [grant] }));
  answer(model, 20_100, view(1, 20_100, { events: [ask, has] }));
  const start = 20_100 + REPLAY_LATE;
  const steps = [0, 1, 2].map((flights) => kinds(model.advance(start + flights * FLIGHT)));
  assert.deepEqual(steps, [["vote"], ["granted"], ["grantedBy"]]);
});

test("a crash is told at once, also if its server has just been asked for its vote", () => {
  const model = settled();
  model.advance(12_000);
  const ask = { seq: 1, at: 20_000 + clockOf(1), kind: "preVote", to: [0, 2], term: 1 };
  // By the clocks, it came a moment later than what it has caused.
  const crash = { seq: 1, at: 20_001 + clockOf(0), kind: "crashed", term: 1 };
  answer(model, 20_100, view(1, 20_100, { events: [ask] }));
  answer(model, 20_100, view(0, 20_100, { role: "crashed", events: [crash] }));
  assert.deepEqual(kinds(model.advance(20_050 + REPLAY_LATE)), ["preVote", "crashed"]);
  assert.equal(model.ring(20_050 + REPLAY_LATE, false)[0].state, "crashed");
});

test("heartbeats and entries hold nothing up", () => {
  const model = settled();
  model.advance(12_000);
  const beat = (seq) => ({ seq, at: 12_000 + seq + clockOf(0), kind: "heartbeat", sent: true, peer: 1, term: 1 });
  answer(model, 13_000, leaderView(13_000, { events: [1, 2, 3].map(beat) }));
  assert.equal(model.advance(14_000).length, 3);
});

test("at first, nothing is told before every server had the time to tell its part", () => {
  const model = new Model(SERVERS, 1, 10_000);
  answer(model, 10_100, view(1, 10_100, { events: [{ seq: 1, at: 2000 + clockOf(1), kind: "timeout", term: 1 }] }));
  assert.deepEqual(model.advance(10_000 + REPLAY_LATE - 1), []);
  assert.equal(model.advance(10_000 + REPLAY_LATE).length, 1);
});

test("what happened before the page was opened has its own times, in their order", () => {
  const opened = 500;
  const model = new Model(SERVERS, 1, opened);
  const event = (id, time) => ({ seq: 1, at: time + clockOf(id), kind: "timeout", term: 1 });
  answer(model, opened, view(1, opened, { events: [event(1, -2000)] }));
  answer(model, opened, view(2, opened, { events: [event(2, -3000)] }));
  const told = model.advance(opened + REPLAY_LATE).map(({ id, time }) => [id, Math.round(time / 100) * 100]);
  assert.deepEqual(told, [[2, -3000], [1, -2000]]);
});

test("heartbeats displace no other events", () => {
  const model = settled();
  const beat = (seq, time) => ({ seq, at: time + clockOf(1), kind: "heartbeat", sent: false, peer: 0, term: 1 });
  const role = { seq: 1, at: 10_000 + clockOf(1), kind: "follower", term: 1 };
  answer(model, 10_500, view(1, 10_500, { events: [role] }));
  for (let now = 11_000, seq = 2; now <= 40_000; now += POLL, seq += 40) {
    const events = Array.from({ length: 40 }, (_, place) => beat(seq + place, now - POLL + 25 * place));
    answer(model, now, view(1, now, { events }));
    model.advance(now);
  }
  const [first, ...beats] = model.events;
  assert.equal(first.kind, "follower");
  assert.ok(0 < beats.length && beats.length < 500, `${beats.length} heartbeats`);
});

test("the ring follows the replay, not the newest answer", () => {
  const model = settled();
  model.advance(12_000);
  const events = election(20_000);
  answer(model, 20_030, view(1, 20_030, { role: "leader", term: 2, leader: 1, events: eventsOf(events, 1) }));
  answer(model, 20_030, view(2, 20_030, { term: 2, leader: 1 }));
  const before = model.advance(20_000 - 95 + REPLAY_LATE) && model.ring(20_000 - 95 + REPLAY_LATE, false)[1];
  assert.deepEqual([before.state, before.term], ["follower", 1]);
  answer(model, 24_000, view(1, 24_000, { role: "leader", term: 2, leader: 1 }));
  model.advance(25_000);
  const after = model.ring(25_000, false)[1];
  assert.deepEqual([after.state, after.term], ["leader", 2]);
});

test("the ring shows the newest answer, and no timer, if nothing may move", () => {
  const model = settled();
  model.advance(12_000);
  answer(model, 12_000, view(1, 12_000, { role: "candidate", term: 7 }));
  const { state, term, timer } = model.ring(12_000, true)[1];
  assert.deepEqual([state, term, timer], ["candidate", 7, null]);
});

test("a heartbeat that arrives starts a follower's timer again", () => {
  const model = settled();
  model.advance(11_300);
  assert.ok(Math.abs(model.ring(10_400 + REPLAY_LATE, false)[1].timer - (500 - 400) / 750) < 0.001);
  const beat = { seq: 1, at: 10_400 + clockOf(1), kind: "heartbeat", sent: false, peer: 0, term: 1 };
  answer(model, 11_000, view(1, 11_000, { events: [beat] }));
  model.advance(10_500 + REPLAY_LATE);
  assert.ok(Math.abs(model.ring(10_500 + REPLAY_LATE, false)[1].timer - 650 / 750) < 0.01);
});

test("each request narrows the error of a server's clock", () => {
  const model = settled();
  // The answers are slow on one way and on the other: each alone is wrong by half a second.
  model.answered(1, 20_000, 21_000, view(1, 20_001));
  model.answered(1, 22_000, 23_000, view(1, 22_999));
  assert.ok(Math.abs(model.servers[1].offset + clockOf(1)) <= 1);
});

test("no event is told twice, although an answer repeats it", () => {
  const model = settled();
  model.advance(12_000);
  const event = { seq: 1, at: 12_000 + clockOf(1), kind: "timeout", term: 1 };
  answer(model, 12_500, view(1, 12_500, { events: [event] }));
  assert.equal(model.servers[1].seq, 1);
  answer(model, 12_600, view(1, 12_600, { events: [event, { ...event, seq: 2 }] }));
  assert.equal(model.advance(15_000).length, 2);
});

test("a server that was started again tells its events from the first on", () => {
  const model = settled();
  model.advance(12_000);
  const event = ([seq, at]) => ({ seq, at, kind: "timeout", term: 1 });
  const events = (boot, ...pairs) => ({ boot, events: pairs.map(event) });
  answer(model, 12_500, view(1, 12_500, events("first", [1, 12_400 + clockOf(1)])));
  // It was asked for the events after the first.
  answer(model, 13_500, { ...view(1, 0, events("second", [2, 150])), milliseconds: 200 });
  assert.equal(model.servers[1].seq, 0);
  answer(model, 14_500, { ...view(1, 0, events("second", [1, 100], [2, 150])), milliseconds: 1200 });
  const told = model.advance(20_000);
  assert.deepEqual(told.map(({ key }) => key), ["1 first 1", "1 second 1", "1 second 2"]);
  assert.ok(Math.abs(told[1].time - 13_400) <= 2, "the new process has a new clock");
});

test("what the model keeps is bounded", () => {
  const model = settled();
  for (let round = 1; round <= 200; round++) {
    const now = 12_000 + round * POLL;
    for (const id of [1, 2]) {
      const events = Array.from({ length: 256 }, (_, place) => ({
        seq: round * 256 + place, at: now + place + clockOf(id), kind: "heartbeat", sent: false, peer: 0, term: 1,
      }));
      answer(model, now, view(id, now, { events }));
    }
    model.advance(now);
  }
  assert.ok(model.events.length <= 512 && model.queue.length <= 5 * 512);
  assert.ok(model.servers.every(({ view }) => view.events.length === 0));
});

test("a message is shown by its sender, to everybody it was sent to", () => {
  const ask = { id: 1, kind: "preVote", to: [0, 2] };
  assert.deepEqual(messagesOf(ask), [{ from: 1, to: 0, kind: "ask" }, { from: 1, to: 2, kind: "ask" }]);
  assert.deepEqual(messagesOf({ id: 2, kind: "granted", peer: 1 }), [{ from: 2, to: 1, kind: "grant" }]);
  assert.deepEqual(messagesOf({ id: 1, kind: "grantedBy", peer: 2 }), []);
  assert.deepEqual(messagesOf({ id: 1, kind: "heartbeat", sent: false, peer: 0 }), []);
});

test("an unknown event is shown by its kind", () => {
  assert.equal(textOf({ kind: "news" }), "news");
});

test("the log grid shows the last 32 indexes and the next, dashed beyond the commit index", () => {
  const model = settled();
  const log = Array.from({ length: 32 }, (_, place) => ({ index: place + 69, term: 2, kind: "update", name: "a" }));
  answer(model, 10_500, leaderView(10_500, { log, lastIndex: 100, commitIndex: 99 }));
  const { grid } = model.state(10_600);
  const cells = grid.rows[0].cells;
  assert.deepEqual([grid.first, grid.last, cells.length], [69, 100, COLUMNS + 1]);
  const last = cells.slice(-3).map(({ entry, isCommitted }) => [entry?.term, isCommitted]);
  assert.deepEqual(last, [[2, true], [2, false], [undefined, false]]);
  assert.equal(grid.rows[1].note, "ends at 3");
});

test("the log grid marks what the leader knows to be stored, and what it sends next", () => {
  const { cells } = settled().state(10_100).grid.rows[1];
  assert.deepEqual(cells.slice(0, 5).map(({ match, next }) => [match, next]),
    [[false, false], [false, false], [true, false], [false, true], [false, false]]);
  const last = "Server 1, index 3: term 1, \u2068file 2\u2069 version 1, committed, stored, as the leader knows";
  assert.equal(cellText(1, cells[2]), last);
  assert.equal(cellText(1, cells[3]), "Server 1, index 4: no entry, sent next");
});

test("a version is behind only if the server lags or is crashed, and surely has an older one", () => {
  const shown = (...names) => names.map(([name, version]) => ({ key: name, name, version, deleted: false }));
  const cellsOf = ({ cells }) => cells.slice(0, 3).map(({ text, isBehind }) => [text, isBehind]);
  const rows = (changes) => {
    const model = settled();
    const peer = { next: 4, match: 3, lastReply: 0 };
    const lagging = peers(0, { 1: peer, 2: peer });
    for (const now of [11_000, 12_000]) {
      const files = { count: 2, shown: shown(["a", 2], ["b", 1]) };
      answer(model, now, leaderView(now, { files, peers: lagging, ...changes.leader }));
      answer(model, now, view(1, now, { files: { count: 2, shown: shown(["a", 1]) }, ...changes.others }));
      answer(model, now, view(2, now, { files: { count: 1, shown: shown(["a", 2]) }, ...changes.others }));
    }
    return model.state(12_010).files.rows.map(cellsOf);
  };
  const behind = [[["2", false], ["1", true], ["2", false]], [["1", false], ["?", false], ["–", true]]];
  assert.deepEqual(rows({ leader: { commitIndex: 9, lastIndex: 9 } }), behind);
  assert.deepEqual(rows({ others: { role: "crashed" } }), behind);
  // Just asked at another moment.
  const level = behind.map((cells) => cells.map(([text]) => [text, false]));
  assert.deepEqual(rows({}), level);
});

test("the server that gave the page is asked at the page's own address, whatever that is called", () => {
  const model = new Model(["localhost:9001", "store.example:80"], 1, 0);
  assert.equal(model.origin(1, "192.0.2.7"), "");
  assert.equal(model.origin(0, "192.0.2.7"), "http://localhost:9001");
});

test("another loopback server is asked at the page's own name if the policy has it, other hosts at theirs", () => {
  const addresses = ["a.example:1", "localhost:9002", "[::1]:9003", "127.0.0.2:9004", "store.example:9005"];
  const model = new Model(addresses, 0, 0);
  const asked = (pageHost) => [1, 2, 3, 4].map((id) => model.origin(id, pageHost));
  const others = ["http://127.0.0.2:9004", "http://store.example:9005"];
  assert.deepEqual(asked("127.0.0.1"), ["http://127.0.0.1:9002", "http://127.0.0.1:9003", ...others]);
  assert.deepEqual(asked("localhost"), ["http://localhost:9002", "http://localhost:9003", ...others]);
  for (const pageHost of ["[::1]", "a.localhost", "store.example"]) {
    assert.deepEqual(asked(pageHost), ["http://localhost:9002", "http://[::1]:9003", ...others]);
  }
});

test("a leader that the page has not heard for a moment, or not yet, still leads if the others name it", () => {
  const model = settled();
  model.failed(0, "timeout");
  assert.equal(model.state(10_100).servers[0].state, "stale");
  assert.equal(model.state(10_100).headline, "Server 0 leads");
  const started = new Model(SERVERS, 2, 0);
  [1, 2].forEach((id) => answer(started, 10_000, view(id, 10_000)));
  assert.equal(started.state(10_100).servers[0].state, "asking");
  assert.equal(started.state(10_100).headline, "Server 0 leads");
});

test("an answer that contradicts the samples of a clock replaces them", () => {
  const model = settled();
  // The page's clock stood still while its machine slept for an hour.
  answer(model, 11_000, view(1, 11_000 + 3_600_000));
  assert.ok(Math.abs(model.servers[1].offset + clockOf(1) + 3_600_000) <= 2);
});

test("a server's milliseconds are cut, not rounded: its clock may be almost one further", () => {
  const model = settled();
  model.answered(1, 20_000, 20_000, view(1, 20_000, { boot: "second", milliseconds: 700 }));
  assert.equal(model.servers[1].offset, 19_299.5);
});

test("the events of a server stay in its order when what is known of its clock changes", () => {
  const model = settled();
  model.advance(12_000);
  const event = (seq, at) => ({ seq, at, kind: "heartbeat", sent: false, peer: 0, term: 1 });
  const slow = view(1, 20_000, { boot: "second", milliseconds: 1000, events: [event(1, 990)] });
  model.answered(1, 20_000, 22_000, slow);
  const quick = view(1, 22_000, { boot: "second", milliseconds: 2010, events: [event(1, 990), event(2, 1000)] });
  model.answered(1, 21_011, 21_012, quick);
  assert.deepEqual(model.advance(30_000).map(({ seq }) => seq), [1, 2]);
});

test("that some events are missing is told before those that follow, but not of a first answer", () => {
  const model = new Model(SERVERS, 1, 0);
  const events = (...seqs) => seqs.map((seq) => ({ seq, at: 9000 + seq + clockOf(1), kind: "timeout", term: 1 }));
  answer(model, 10_000, view(1, 10_000, { dropped: true, events: events(7, 8) }));
  answer(model, 11_000, view(1, 11_000, { dropped: true, events: events(20, 21) }));
  answer(model, 12_000, view(1, 12_000, { events: events(22) }));
  const told = model.advance(20_000);
  assert.deepEqual(told.map(({ seq, kind }) => [seq, kind === "missing"]),
    [[7, false], [8, false], [19, true], [20, false], [21, false], [22, false]]);
  assert.equal(textOf(told[2]), "some events are missing");
});

test("files are told apart by their keys, although their names are cut to the same text, or to different ones", () => {
  const model = settled();
  const file = (key, name, version) => ({ key, name, version, deleted: false });
  const shown = (...files) => ({ files: { count: files.length, shown: files } });
  answer(model, 10_500, leaderView(10_500, shown(file("01", "photo-of-a-cat", 3), file("02", "photo-of-a-dog", 1))));
  answer(model, 10_500, view(1, 10_500, shown(file("01", "photo-of…", 3), file("02", "photo-of…", 1))));
  answer(model, 10_500, view(2, 10_500, { files: { count: 9, shown: [file("03", "photo-of…", 1)] } }));
  const texts = (cells) => cells.slice(0, 3).map(({ text }) => text);
  const rows = model.state(10_600).files.rows.map(({ name, cells }) => [name, ...texts(cells)]);
  assert.deepEqual(rows, [
    ["photo-of-a-cat", "3", "3", "?"], ["photo-of-a-dog", "1", "1", "?"], ["photo-of…", "–", "–", "1"],
  ]);
});

test("what else answers is told by its HTTP status", () => {
  const model = settled();
  model.failed(1, "it answers HTTP 503");
  assert.match(model.state(10_100).servers[1].detail.join(), /^it answers HTTP 503,/);
});

test("an event names the other server after what is sent, granted or refused", () => {
  assert.equal(textOf({ kind: "entries", sent: true, peer: 0, count: 1 }), "sends 1 entry to 0");
  assert.equal(textOf({ kind: "granted", peer: 1, ballot: "preVote" }), "grants its pre-vote to 1");
  assert.equal(textOf({ kind: "refused", peer: 1, ballot: "vote" }), "refuses its vote to 1");
});

test("the text of a cell keeps a name that runs from right to left to itself", () => {
  const entry = { term: 1, kind: "update", name: "\u202Etxt.exe", version: 2 };
  const text = cellText(1, { index: 3, entry, isCommitted: true });
  assert.match(text, /, \u2068\u202Etxt.exe\u2069 version 2, committed$/);
});

test("a set of one and a set of ten have the right majorities", () => {
  const one = new Model(["localhost:9001"], 0, 0);
  answer(one, 1000, view(0, 1000, { role: "leader", hasMajority: true, peers: [], servers: ["localhost:9001"] }));
  assert.deepEqual([one.state(1100).headline, one.state(1100).calm], ["Server 0 leads", "A majority is up."]);
  assert.equal(new Model(Array(10).fill("localhost:1"), 0, 0).majority, 6);
});
