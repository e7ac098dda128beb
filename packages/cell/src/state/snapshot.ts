import { ByteReader, ByteWriter, checksum64, DecodeError } from "@cubby/base";
import { LockMode, NodeKind, Reply } from "@cubby/protocol";
import { CellState } from "./cell-state.ts";
import { HandleRecord } from "./handle-record.ts";
import { beginOpener } from "./handles.ts";
import type { LockDelay } from "./lock-delay.ts";
import { setClaims } from "./locks.ts";
import { Node } from "./node.ts";
import type { Result } from "./result.ts";
import { Session } from "./session.ts";

/*
 * The whole replicated state, sorted, so that equal states are equal bytes: the hash that replicas
 * compare is taken over them. What follows from the rest (lock mode, counts) is not written.
 */
const MAGIC = 0x31534243; // "CBS1", lowest byte first.
const SNAPSHOT_VERSION = 1;

const writer = new ByteWriter();

export function encodeSnapshot(state: CellState): Uint8Array {
  write(state);
  const bytes = writer.finish();
  writer.reset();
  return bytes;
}

/** Equal for equal states, and practically never for different ones. */
export function stateHash(state: CellState): string {
  write(state);
  const hash = checksum64(writer.written());
  writer.reset();
  return hash;
}

function write(state: CellState): void {
  writer.reset();
  writer.u32(MAGIC);
  writer.varint(SNAPSHOT_VERSION);
  writer.string(state.cellName);
  writeEpochs(state);
  writeNodes(state);
  writeSessions(state);
}

/** Throws DecodeError when the bytes are not a snapshot of this cell that this version can read. */
export function decodeSnapshot(bytes: Uint8Array, cellName: string): CellState {
  const reader = new ByteReader(bytes);
  if (reader.u32() !== MAGIC) throw new DecodeError("not a snapshot of a cell", 0);
  const version = reader.varint();
  if (version !== SNAPSHOT_VERSION) {
    throw new DecodeError(`a snapshot of version ${version}, which this program cannot read`, 4);
  }
  const name = reader.string();
  if (name !== cellName) throw new DecodeError(`a snapshot of another cell, ${name}`, 5);
  const state = new CellState(cellName);
  readEpochs(reader, state);
  readNodes(reader, state);
  readSessions(reader, state);
  reader.expectEnd();
  return state;
}

function writeEpochs(state: CellState): void {
  writer.varint(state.paxosEpoch);
  writer.varint(state.clientEpoch);
  writer.varint(state.masterId);
  writer.bytes(state.handleKey);
  writer.varint(state.quotas.sessionsMax);
  writer.varint(state.quotas.nodesMax);
  writer.varint(state.quotas.childrenMax);
  writer.varint(state.quotas.handlesPerSessionMax);
  writer.varint(state.stretchMs);
}

function readEpochs(reader: ByteReader, state: CellState): void {
  state.paxosEpoch = reader.varint();
  state.clientEpoch = reader.varint();
  state.masterId = reader.varint();
  state.handleKey = reader.bytes().slice();
  state.quotas = {
    sessionsMax: reader.varint(),
    nodesMax: reader.varint(),
    childrenMax: reader.varint(),
    handlesPerSessionMax: reader.varint(),
  };
  state.stretchMs = reader.varint();
}

function writeNodes(state: CellState): void {
  const { namespace } = state;
  writer.varint(namespace.generationCounter);
  writer.varint(namespace.size);
  for (const path of namespace.sortedPaths()) {
    const node = namespace.get(path);
    if (node !== undefined) writeNode(node);
  }
  writer.varint(namespace.delayMarkers.size);
  for (const [path, delay] of namespace.delayMarkers) {
    writer.string(path);
    writeDelay(delay);
  }
}

function readNodes(reader: ByteReader, state: CellState): void {
  const { namespace } = state;
  namespace.generationCounter = reader.varint();
  for (let left = reader.varint(); left > 0; left -= 1) readNode(reader, state);
  for (let left = reader.varint(); left > 0; left -= 1) {
    const at = reader.position;
    const path = reader.string();
    const delay = readDelay(reader);
    if (namespace.get(path) !== undefined || namespace.delayMarkers.has(path)) {
      throw new DecodeError("the delay of a name that is there, or twice", at);
    }
    if (delay !== undefined) namespace.leaveDelay(path, delay);
  }
}

function writeNode(node: Node): void {
  writer.string(node.path);
  writer.u8(node.kind);
  writer.u8(node.isEphemeral ? 1 : 0);
  writer.varint(node.instance);
  writer.varint(node.contentGeneration);
  writer.varint(node.lockGeneration);
  writer.varint(node.aclGeneration);
  writer.string(node.readAcl);
  writer.string(node.writeAcl);
  writer.string(node.changeAcl);
  writer.bytes(node.contents);
  writeDelay(node.lockDelay);
}

function readNode(reader: ByteReader, state: CellState): void {
  const at = reader.position;
  const path = reader.string();
  const kind = reader.u8() === NodeKind.DIRECTORY ? NodeKind.DIRECTORY : NodeKind.FILE;
  const isEphemeral = reader.u8() === 1;
  const instance = reader.varint();
  const { root } = state.namespace;
  let node = root;
  if (path !== root.path) {
    const parent = state.namespace.parentFor(path);
    if (parent === undefined || parent.kind !== NodeKind.DIRECTORY) {
      throw new DecodeError("a node outside the tree", at);
    }
    if (state.namespace.get(path) !== undefined) throw new DecodeError("a node twice", at);
    node = new Node({ path, kind, parent, isEphemeral, generation: instance });
    state.namespace.attach(node);
  }
  node.contentGeneration = reader.varint();
  node.lockGeneration = reader.varint();
  node.aclGeneration = reader.varint();
  node.readAcl = reader.string();
  node.writeAcl = reader.string();
  node.changeAcl = reader.string();
  state.namespace.setContents(node, reader.bytes());
  node.lockDelay = readDelay(reader);
}

function writeDelay(delay: LockDelay | undefined): void {
  writer.u8(delay === undefined ? LockMode.FREE : delay.mode);
  if (delay === undefined) return;
  writer.varint(delay.lengthMs);
  writer.varint(delay.beganAt);
}

function readDelay(reader: ByteReader): LockDelay | undefined {
  const mode = readMode(reader);
  if (mode === LockMode.FREE) return undefined;
  return { mode, lengthMs: reader.varint(), beganAt: reader.varint() };
}

function readMode(reader: ByteReader): LockMode {
  const at = reader.position;
  const mode = reader.u8();
  if (mode === LockMode.FREE || mode === LockMode.EXCLUSIVE || mode === LockMode.SHARED)
    return mode;
  throw new DecodeError(`no lock mode ${mode}`, at);
}

function writeSessions(state: CellState): void {
  writer.varint(state.sessions.size);
  for (const session of state.sessions.values()) {
    writer.varint(session.id);
    writer.varint(session.leaseMs);
    writer.u8(session.caches ? 1 : 0);
    writer.string(session.clientName);
    writer.varint(session.lowestUnanswered);
    writeHandles(session);
    writeResults(session);
  }
}

function readSessions(reader: ByteReader, state: CellState): void {
  for (let left = reader.varint(); left > 0; left -= 1) {
    const id = reader.varint();
    const leaseMs = reader.varint();
    const caches = reader.u8() === 1;
    const clientName = reader.string();
    const session = new Session(id, { leaseMs, caches, clientName }, state.resultTally);
    session.lowestUnanswered = reader.varint();
    readHandles(reader, state, session);
    readResults(reader, session);
    state.sessions.set(id, session);
  }
}

function writeHandles(session: Session): void {
  const records = session.sortedHandles();
  writer.varint(records.length);
  for (const record of records) {
    writer.varint(record.handleId);
    writer.string(record.node.path);
    writer.u8(record.isOpener ? 1 : 0);
    writer.u8(record.holds);
    writer.varint(record.lockDelayMs);
    writer.varint(record.claims.length);
    for (const claim of record.claims) writer.varint(claim);
  }
}

function readHandles(reader: ByteReader, state: CellState, session: Session): void {
  for (let left = reader.varint(); left > 0; left -= 1) {
    const at = reader.position;
    const handleId = reader.varint();
    const node = state.namespace.get(reader.string());
    if (node === undefined) throw new DecodeError("a handle of no node", at);
    const record = new HandleRecord(session.id, handleId, node);
    session.handles ??= new Map();
    session.handles.set(handleId, record);
    node.records ??= new Set();
    node.records.add(record);
    state.handleBytes += record.sizeBytes;
    const isOpener = reader.u8() === 1;
    if (isOpener && !node.isEphemeral) throw new DecodeError("an opener of a permanent node", at);
    if (isOpener) beginOpener(session, record);
    const mode = readMode(reader);
    if (mode !== LockMode.FREE) restoreHolder(state, record, mode, at);
    record.lockDelayMs = reader.varint();
    const claims: number[] = [];
    for (let count = reader.varint(); count > 0; count -= 1) claims.push(reader.varint());
    setClaims(state, record, claims);
  }
}

/** The lock as it was: no generation rises. */
function restoreHolder(state: CellState, record: HandleRecord, mode: LockMode, at: number): void {
  const node = record.node;
  const isAlone = node.lockMode === LockMode.FREE;
  if (!isAlone && (mode !== LockMode.SHARED || node.lockMode !== LockMode.SHARED)) {
    throw new DecodeError("two holders of an exclusive lock", at);
  }
  if (isAlone) state.locksHeld += 1;
  node.lockMode = mode;
  node.holderCount += 1;
  record.holds = mode;
}

function writeResults(session: Session): void {
  const numbers = [...(session.results?.keys() ?? [])].sort((a, b) => a - b);
  writer.varint(numbers.length);
  for (const number of numbers) {
    const stored = session.results?.get(number);
    if (stored === undefined) continue;
    writer.varint(number);
    writer.bytes(stored.bytes);
  }
}

function readResults(reader: ByteReader, session: Session): void {
  for (let left = reader.varint(); left > 0; left -= 1) {
    const number = reader.varint();
    const at = reader.position;
    session.storeResult(number, readResult(reader.bytes().slice(), at));
  }
}

function readResult(bytes: Uint8Array, at: number): Result {
  let reply: Reply;
  try {
    reply = Reply.decode(bytes);
  } catch {
    throw new DecodeError("a result that cannot be read", at);
  }
  if (reply.result === undefined) throw new DecodeError("an empty result", at);
  return reply.result;
}
