/**
 * Two web servers, of which one is to run the background tasks: `elect` waits for its turn, and the
 * file tells everybody who leads. Needs a cell: `npx cubby dev`, or CUBBY_CELL.
 */

import { setTimeout as delay } from "node:timers/promises";
import { connect, type LeaderContext } from "@cubby/client";

const CELL =
  process.env["CUBBY_CELL"] ?? "cubby://127.0.0.1:7070,127.0.0.1:7080,127.0.0.1:7090/local";

// In life these are two processes on two machines.
await using web1 = await connect(CELL, { clientName: "web1" });
await using web2 = await connect(CELL, { clientName: "web2" });
const path = `${web1.root}/web-leader`;

async function lead(name: string, { lock, signal }: LeaderContext): Promise<void> {
  console.log(`${name} leads`);
  for (let task = 1; task <= 3; task += 1) {
    // Aborts when the leadership is lost for good; stop then, another leads already.
    signal.throwIfAborted();
    // A check against the clock, right before what only a leader may do.
    lock.assertHeld();
    console.log(`${name} does task ${task}`);
    await delay(20);
  }
  console.log(`${name} resigns`);
}

let second: Promise<void> | undefined;
await web1.elect(path, { value: "web1:8080" }, async (context) => {
  // web2 waits in line, for minutes or for days, and meanwhile knows where to send its users.
  second = web2.elect(path, { value: "web2:8080" }, (itsOwn) => lead("web2", itsOwn));
  const { contents } = await web2.read(path);
  console.log(`web2 sees that ${new TextDecoder().decode(contents)} leads`);
  await lead("web1", context);
});
await second;
