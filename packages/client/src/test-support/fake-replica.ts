import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { EMPTY_BYTES } from "@cubby/base";
import {
  ERROR_CODES,
  type ErrorCode,
  encodeFrame,
  encodeSequencer,
  FrameDecoder,
  LockMode,
  NodeKind,
  Reply,
  Request,
  SESSION_PREAMBLE,
  type Stat,
} from "@cubby/protocol";

type Result = NonNullable<Reply["result"]>;
/** A result, or undefined to say nothing. */
export type Answer = Result | undefined;

/** A replica in this process that speaks the session lane: just enough of a cell for the shell. */
export class FakeReplica {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly requests: Request[] = [];
  readonly files = new Map<string, { contents: Uint8Array; generation: number }>();
  /** Path to the token that holds its lock. */
  readonly holders = new Map<string, string>();
  /** Path to the session and number of the request that its lock was granted to. */
  readonly #grants = new Map<string, string>();
  readonly #waiters: { path: string; socket: Socket; request: Request }[] = [];
  /** Looks at a request first: an answer, or "default". */
  intercept: (request: Request) => Answer | "default" = () => "default";
  /** It has as many connections as it takes: says so, and holds further ones open for a while. */
  isFull = false;
  cellName = "local";
  epoch = 1;
  leaseMs = 12_000;
  connectionCount = 0;
  #nextSession = 1;
  #lockGeneration = 0;

  private constructor() {
    this.#server = createServer((socket) => this.#onSocket(socket));
  }

  static async start(): Promise<FakeReplica> {
    const replica = new FakeReplica();
    await new Promise<void>((resolve) => replica.#server.listen(0, "127.0.0.1", resolve));
    return replica;
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get url(): string {
    return `cubby://${this.address}/${this.cellName}`;
  }

  get openSockets(): readonly Socket[] {
    return [...this.#sockets];
  }

  /** Cuts every connection, as a process that dies does. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  numbersOf(kind: string): number[] {
    return this.requests.filter((r) => r.call?.$case === kind).map((r) => r.requestNumber);
  }

  /** Bytes as they are, to every connection. */
  sendRaw(bytes: Uint8Array): void {
    for (const socket of this.#sockets) socket.write(bytes);
  }

  #onSocket(socket: Socket): void {
    this.connectionCount += 1;
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
    socket.on("error", () => this.#sockets.delete(socket));
    if (this.isFull) {
      const refusal: Reply = {
        tag: 0,
        clientEpoch: 0,
        result: failure("overloaded", "It is full."),
      };
      socket.resume();
      socket.write(encodeFrame(Reply.encode(refusal).finish()));
      return;
    }
    const decoder = new FrameDecoder();
    let preamble = SESSION_PREAMBLE.length;
    socket.on("data", (chunk: Uint8Array) => {
      const skip = Math.min(preamble, chunk.length);
      preamble -= skip;
      decoder.push(chunk.subarray(skip), (payload) => {
        const request = Request.decode(payload);
        this.requests.push(request);
        this.reply(socket, request);
      });
    });
  }

  reply(socket: Socket, request: Request, answer: Answer | "default" = "default"): void {
    let result = answer === "default" ? this.intercept(request) : answer;
    if (result === "default") result = this.#answer(socket, request);
    if (result === undefined) return;
    const reply: Reply = { tag: request.tag, clientEpoch: this.epoch, result };
    socket.write(encodeFrame(Reply.encode(reply).finish()));
  }

  #answer(socket: Socket, request: Request): Answer {
    const call = request.call;
    switch (call?.$case) {
      case "locate": {
        const self = { cellName: this.cellName, replicaId: 1, masterId: 1 };
        return { $case: "locate", value: { ...self, masterAddress: this.address, replicas: [] } };
      }
      case "createSession": {
        const sessionId = this.#nextSession;
        this.#nextSession += 1;
        const value = { sessionId, leaseMs: call.value.leaseMs || this.leaseMs, inFlightMax: 256 };
        return { $case: "createSession", value };
      }
      case "keepAlive":
        // Held for ever: tests are shorter than the lease, or answer themselves.
        return undefined;
      case "endSession":
        for (const [path, token] of [...this.holders]) {
          if (token.startsWith(`${request.sessionId}.`)) this.#free(path, token);
        }
        return { $case: "endSession", value: {} };
      case "cancel":
        this.#removeWaiter(request.sessionId, call.value.requestNumber);
        return this.#takeBack(`${request.sessionId}.${call.value.requestNumber}`);
      case "close":
        this.#free(pathOf(call.value.handle), tokenOf(call.value.handle));
        return { $case: "close", value: {} };
      case "release":
        this.#free(pathOf(call.value.handle), tokenOf(call.value.handle));
        return { $case: "release", value: {} };
      case "open": {
        const { name, create } = call.value;
        const created = !this.files.has(name);
        if (created && create === 0) return failure("not_found", `${name} is not there.`);
        if (created) this.files.set(name, { contents: call.value.initialContents, generation: 1 });
        const token = `${request.sessionId}.${request.requestNumber}|${name}`;
        const value = { handle: new TextEncoder().encode(token), created, stat: this.statOf(name) };
        return { $case: "open", value };
      }
      case "getContentsAndStat": {
        const path = pathOf(call.value.handle);
        const contents = this.files.get(path)?.contents ?? EMPTY_BYTES;
        return { $case: "getContentsAndStat", value: { contents, stat: this.statOf(path) } };
      }
      case "getStat":
        return { $case: "getStat", value: this.statOf(pathOf(call.value.handle)) };
      case "setContents": {
        const path = pathOf(call.value.handle);
        const generation = (this.files.get(path)?.generation ?? 0) + 1;
        this.files.set(path, { contents: new Uint8Array(call.value.contents), generation });
        return { $case: "setContents", value: this.statOf(path) };
      }
      case "acquire": {
        const path = pathOf(call.value.handle);
        const token = tokenOf(call.value.handle);
        const holder = this.holders.get(path);
        if (holder !== undefined && holder !== token) {
          if (!call.value.wait) return failure("lock_held", `${path} is held.`);
          this.#waiters.push({ path, socket, request });
          return undefined;
        }
        if (holder === undefined) {
          this.#grants.set(path, `${request.sessionId}.${request.requestNumber}`);
        }
        this.holders.set(path, token);
        this.#lockGeneration += 1;
        const lockGeneration = this.#lockGeneration;
        const sequencer = encodeSequencer({
          name: path,
          instance: 1,
          mode: LockMode.EXCLUSIVE,
          lockGeneration,
        });
        return { $case: "acquire", value: { sequencer, lockGeneration } };
      }
      case "checkSequencer":
        return { $case: "checkSequencer", value: { valid: true, reason: "" } };
      default:
        return failure("unsupported", `The fake has no ${call?.$case ?? "call"}.`);
    }
  }

  #free(path: string, token: string): void {
    if (this.holders.get(path) !== token) return;
    this.holders.delete(path);
    this.#grants.delete(path);
    const next = this.#waiters.find((waiter) => waiter.path === path);
    if (next === undefined) return;
    this.#removeWaiter(next.request.sessionId, next.request.requestNumber);
    this.reply(next.socket, next.request);
  }

  #takeBack(grant: string): Answer {
    const [path = ""] = [...this.#grants].find(([, other]) => other === grant) ?? [];
    const token = this.holders.get(path);
    if (token !== undefined) this.#free(path, token);
    return { $case: "cancel", value: { released: token !== undefined } };
  }

  #removeWaiter(sessionId: number, number: number): void {
    const at = this.#waiters.findIndex(
      ({ request }) => request.sessionId === sessionId && request.requestNumber === number,
    );
    if (at >= 0) this.#waiters.splice(at, 1);
  }

  statOf(path: string): Stat {
    const file = this.files.get(path);
    return {
      kind: NodeKind.FILE,
      instance: 1,
      contentGeneration: file?.generation ?? 0,
      lockGeneration: this.#lockGeneration,
      aclGeneration: 1,
      checksum: "0000000000000000",
      sizeBytes: file?.contents.length ?? 0,
      childCount: 0,
      ephemeral: false,
      lockMode: this.holders.has(path) ? LockMode.EXCLUSIVE : LockMode.FREE,
      lockHolders: this.holders.has(path) ? 1 : 0,
      lockDelayed: false,
      readAcl: "",
      writeAcl: "",
      changeAcl: "",
    };
  }
}

/** Waits, without a clock of its own, for what the other side of the socket will do. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

export function failure(code: ErrorCode, detail = "", masterAddress = ""): Result {
  const value = { code: ERROR_CODES[code].id, detail, masterId: 0, masterAddress };
  return { $case: "error", value };
}

function tokenOf(handle: Uint8Array): string {
  return new TextDecoder().decode(handle);
}

function pathOf(handle: Uint8Array): string {
  return tokenOf(handle).split("|")[1] ?? "";
}
