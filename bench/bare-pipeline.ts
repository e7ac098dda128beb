import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { nextMessage, startProcess } from "./child-process.ts";
import type { Scope } from "./scope.ts";

const FOLLOWERS = 4;
const REQUEST_BYTES = 130;

/** The client of a bare pipeline of five processes, whose figures are what this machine allows. */
export class BarePipeline {
  readonly #socket: Socket;
  /** When each unanswered request was sent, the oldest first. */
  readonly #sent: number[] = [];
  #latencies: number[] = [];
  #endsAt = 0;
  #onIdle: () => void = () => undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk) => this.#onAnswers(chunk.length));
  }

  static async start(scope: Scope, directory: string): Promise<BarePipeline> {
    const start = async (name: string, followers: readonly string[]): Promise<string> => {
      const args = [join(directory, `pipeline-${name}`), ...followers];
      const child = startProcess(scope, "pipeline-replica.ts", args);
      return `${(await nextMessage<{ port: number }>(child)).port}`;
    };
    const names = Array.from({ length: FOLLOWERS }, (_, i) => `follower-${i}`);
    const followers = await Promise.all(names.map((name) => start(name, [])));
    const port = Number(await start("leader", followers));
    const socket = connect({ host: "127.0.0.1", port, noDelay: true });
    scope.onEnd(() => {
      socket.destroy();
    });
    socket.on("error", (error) => scope.stop(`bare pipeline: ${error.message}`));
    return new BarePipeline(socket);
  }

  /** Keeps `depth` requests under way for so long; the latency of each, in ms. */
  async run(depth: number, durationMs: number): Promise<number[]> {
    this.#latencies = [];
    this.#endsAt = performance.now() + durationMs;
    await new Promise<void>((resolve) => {
      this.#onIdle = resolve;
      this.#send(depth);
    });
    return this.#latencies;
  }

  #send(count: number): void {
    const now = performance.now();
    for (let i = 0; i < count; i += 1) this.#sent.push(now);
    this.#socket.write(new Uint8Array(count * REQUEST_BYTES));
  }

  #onAnswers(count: number): void {
    const now = performance.now();
    for (const sentAt of this.#sent.splice(0, count)) this.#latencies.push(now - sentAt);
    if (now < this.#endsAt) this.#send(count);
    else if (this.#sent.length === 0) this.#onIdle();
  }
}
