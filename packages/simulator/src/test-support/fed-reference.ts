import { EMPTY_BYTES } from "@cubby/base";
import { Command, CreateMode, encodeMessage, NodeKind } from "@cubby/protocol";
import { ReferenceCell } from "../reference-cell.ts";

export type Body = NonNullable<Command["body"]>;

/** A reference in which session 2 has begun; `feed` is its next command, at the next index. */
export function fedReference() {
  const reference = new ReferenceCell();
  let index = 0;
  const feed = (requestNumber: number, body: Body): void => {
    index += 1;
    const sessionId = requestNumber === 0 ? 0 : 2;
    const ids = { paxosEpoch: 7, proposal: index, sessionId, requestNumber };
    const command = { ...ids, lowestUnanswered: 1, guard: EMPTY_BYTES, body };
    reference.apply(index, encodeMessage(Command, command));
  };
  const epoch = { paxosEpoch: 7, masterId: 1, keyMaterial: EMPTY_BYTES, quotas: undefined };
  feed(0, { $case: "beginEpoch", value: epoch });
  feed(0, { $case: "beginSession", value: { leaseMs: 0, caches: false, clientName: "" } });
  return { reference, feed };
}

export function opening(path: string, kind: NodeKind = NodeKind.FILE): Body {
  const access = { access: 7, create: CreateMode.IF_ABSENT, ephemeral: false, lockDelayMs: 0 };
  const within = { directoryPath: "", directoryInstance: 0, initialContents: EMPTY_BYTES };
  return { $case: "openNode", value: { path, kind, ...access, ...within } };
}
