/**
 * One process of the bare pipeline: what a replicated log costs on this machine without a protocol, a
 * state or a recovery. The leader gathers what arrives during its disk write, sends each batch to the
 * followers, writes it itself, and answers when three of five have it on disk. A batch is one
 * append and one fdatasync on each, into a file written before. Not a consensus: nothing is handled
 * but the good case.
 *
 * Arguments: a file, then the followers' ports if this is the leader.
 */

import { fdatasync, fdatasyncSync, openSync, writeSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";

/** As in bare-pipeline.ts. */
const REQUEST_BYTES = 130;
const FILE_BYTES = 32 * 1024 * 1024;
const CHUNK_BYTES = 1024 * 1024;
const HEADER_BYTES = 4;

const [path = "", ...followerPorts] = process.argv.slice(2);
const file = openSync(path, "w");
const zeros = new Uint8Array(CHUNK_BYTES);
for (let at = 0; at < FILE_BYTES; at += CHUNK_BYTES) writeSync(file, zeros, 0, CHUNK_BYTES, at);
fdatasyncSync(file);

let fileAt = 0;
function append(bytes: Uint8Array, done: () => void): void {
  if (fileAt + bytes.length > FILE_BYTES) fileAt = 0;
  writeSync(file, bytes, 0, bytes.length, fileAt);
  fileAt += bytes.length;
  fdatasync(file, (error) => {
    if (error !== null) throw error;
    done();
  });
}

/** Answers each batch, in order, with one byte. */
function follow(socket: Socket): void {
  let waiting: Buffer = Buffer.alloc(0);
  let writing = false;
  const next = (): void => {
    if (writing) return;
    let end = 0;
    let batches = 0;
    while (end + HEADER_BYTES <= waiting.length) {
      const size = HEADER_BYTES + waiting.readUInt32LE(end);
      if (end + size > waiting.length) break;
      end += size;
      batches += 1;
    }
    if (batches === 0) return;
    const bytes = waiting.subarray(0, end);
    waiting = waiting.subarray(end);
    writing = true;
    append(bytes, () => {
      writing = false;
      socket.write(new Uint8Array(batches));
      next();
    });
  };
  socket.on("data", (chunk) => {
    waiting = Buffer.concat([waiting, chunk]);
    next();
  });
}

/** Answers each request, in order, with one byte. */
function lead(client: Socket, followers: readonly Socket[]): void {
  const batches: number[] = [];
  /** Batches on the disk of each; the leader's own comes last. */
  const durable = new Array<number>(followers.length + 1).fill(0);
  let answered = 0;
  let waiting: Buffer[] = [];
  let partBytes = 0;
  let writing = false;
  const answer = (): void => {
    const chosen = durable.toSorted((a, b) => b - a)[followers.length / 2] ?? 0;
    let requests = 0;
    for (; answered < chosen; answered += 1) requests += batches[answered] ?? 0;
    if (requests > 0) client.write(new Uint8Array(requests));
  };
  const next = (): void => {
    if (writing) return;
    const bytes = Buffer.concat([Buffer.alloc(HEADER_BYTES), ...waiting]);
    const requests = Math.floor((bytes.length - HEADER_BYTES + partBytes) / REQUEST_BYTES);
    if (requests === 0) return;
    waiting = [];
    partBytes = (bytes.length - HEADER_BYTES + partBytes) % REQUEST_BYTES;
    bytes.writeUInt32LE(bytes.length - HEADER_BYTES);
    for (const follower of followers) follower.write(bytes);
    batches.push(requests);
    writing = true;
    append(bytes, () => {
      writing = false;
      durable[followers.length] = (durable[followers.length] ?? 0) + 1;
      answer();
      next();
    });
  };
  followers.forEach((socket, i) => {
    socket.on("data", (chunk) => {
      durable[i] = (durable[i] ?? 0) + chunk.length;
      answer();
    });
  });
  client.on("data", (chunk) => {
    if (waiting.length === 0) setImmediate(next);
    waiting.push(chunk);
  });
}

const followers = followerPorts.map((port) =>
  connect({ host: "127.0.0.1", port: Number(port), noDelay: true }),
);
const server = createServer({ noDelay: true }, (socket) => {
  socket.on("error", () => socket.destroy());
  if (followers.length === 0) follow(socket);
  else lead(socket, followers);
});
server.listen({ host: "127.0.0.1", port: 0 }, () => {
  const address = server.address();
  if (address !== null && typeof address === "object") process.send?.({ port: address.port });
});
process.once("disconnect", () => process.exit(0));
