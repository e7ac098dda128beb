/**
 * A nightly job that every machine's cron starts and that must run once: whoever gets the lock runs
 * it, and notes the night in the file, for machines whose cron comes late. Give the night as an
 * argument; today otherwise. Needs a cell: `npx cubby dev`, or CUBBY_CELL.
 */

import { setTimeout as delay } from "node:timers/promises";
import { connect } from "@cubby/client";

const CELL =
  process.env["CUBBY_CELL"] ?? "cubby://127.0.0.1:7070,127.0.0.1:7080,127.0.0.1:7090/local";
const night = process.argv[2] ?? new Date().toISOString().slice(0, 10);

type Outcome = "ran" | "busy" | "done before";

/** What each machine's cron starts. */
async function nightly(machine: string): Promise<Outcome> {
  await using cell = await connect(CELL, { clientName: machine });
  // Should the machine die in the middle, nobody else starts before its requests have drained.
  const path = `${cell.root}/nightly-report`;
  await using file = await cell.open(path, { create: true, lockDelay: "30s" });
  await using lock = await file.tryAcquire();
  if (lock === undefined) return "busy";
  const { contents } = await file.getContentsAndStat();
  if (new TextDecoder().decode(contents) === night) return "done before";
  await delay(50); // The report is made here.
  lock.assertHeld();
  // Refused by the cell if the lock has passed on all the same.
  file.setSequencer(lock.sequencer);
  await file.setContents(night);
  return "ran";
}

const outcomes = await Promise.all(["host1", "host2", "host3"].map(nightly));
const ran = outcomes.filter((outcome) => outcome === "ran").length;
console.log(`the report of ${night}: ${ran} of ${outcomes.length} machines ran it`);
