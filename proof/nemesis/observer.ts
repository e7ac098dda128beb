/** The process that makes the nodes before the clients come, and then says who is master. */

import { connect } from "@cubby/client";
import { askReplica } from "../../packages/cli/src/ask-replica.ts";
import { sleep } from "../../packages/cli/src/process/sleep.ts";
import type { Beginning } from "./history.ts";

export type ObserverTask = {
  readonly cell: string;
  readonly replicas: readonly string[];
  readonly files: readonly string[];
  readonly locks: readonly string[];
};

export type ObserverNews =
  | { readonly kind: "made"; readonly beginning: Beginning }
  /** Which replicas answer, by their place in the task, and the one that says it is master. */
  | { readonly kind: "seen"; readonly answering: readonly number[]; readonly master: number };

const ASK_EVERY_MS = 250;
const ANSWER_MS = 250;
const CONNECT_MS = 30_000;

const task = JSON.parse(process.argv[2] ?? "{}") as ObserverTask;

async function makeNodes(): Promise<Beginning> {
  const session = await connect(task.cell, { connectTimeoutMs: CONNECT_MS });
  const files: Record<string, Beginning["files"][string]> = {};
  const locks: Record<string, Beginning["locks"][string]> = {};
  for (const path of task.files) {
    const { contentGeneration: generation } = await session.write(path, "in the beginning");
    files[path] = { value: "in the beginning", generation };
  }
  for (const path of task.locks) {
    const { lockGeneration: generation } = await session.write(path, "");
    locks[path] = { generation, holder: "", phase: "free" };
  }
  await session.close();
  return { files, locks };
}

function tell(news: ObserverNews): void {
  process.send?.(news);
}

process.once("disconnect", () => process.exit(0));
tell({ kind: "made", beginning: await makeNodes() });
for (;;) {
  const answers = await Promise.all(
    task.replicas.map((address) => askReplica(address, ANSWER_MS).catch(() => undefined)),
  );
  const answering = answers.flatMap((answer, index) => (answer === undefined ? [] : [index]));
  const master = answers.findIndex((answer) => answer?.role === "master");
  tell({ kind: "seen", answering, master });
  await sleep(ASK_EVERY_MS);
}
