// Takes the picture of README.md: five servers, a moment after the leader was crashed, while the election is replayed.
// As for browser.mjs, NODE_PATH names the folder with playwright-core: `node screenshot.mjs docs/dashboard.png`.

import { Servers, eventually, launch } from "./servers.mjs";

const [, , file] = process.argv;
const servers = await Servers.start(5);
const browser = await launch();
try {
  const page = await browser.newPage({ viewport: { width: 1280, height: 1080 }, deviceScaleFactor: 0.8 });
  await page.goto(servers.url(0, "/").replace("127.0.0.1", "localhost"));
  await eventually(async () => (await page.locator("#up").innerText()) === "5 of 5 up", 5, "all are up");
  const leader = await servers.leader();
  for (let version = 1; version <= 9; version++) {
    await servers.call(leader, "updatefile", `notes-${version % 3}.txt`, Math.ceil(version / 3), ["hash"]);
  }
  // Until then, the replay shows the first election.
  await eventually(() => page.locator("#nodes .leader").count(), 10, "the ring shows the leader");
  await page.getByRole("button", { name: "Crash the leader", exact: true }).click();
  const questions = page.locator("#ring:has(.node.candidate):has(.node.crashed) .message.ask");
  await eventually(async () => 3 <= (await questions.count()), 10, "a candidate asks for votes");
  // The questions move away from their candidate.
  await page.waitForTimeout(150);
  await page.screenshot({ path: file });
} finally {
  await browser.close();
  await servers.stop();
}
