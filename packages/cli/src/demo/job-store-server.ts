import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { CubbyError, ERROR_CODES } from "@cubby/protocol";
import type { JobResult, JobStore } from "./job-store.ts";

const BODY_BYTES_MAX = 8 * 1024;

export type JobStoreServer = { readonly url: string; close(): Promise<void> };

/**
 * The job store over loopback HTTP: `GET /state`, `GET /jobs`, and `POST /jobs` with a result. A
 * stale sequencer is answered with 412, as HTTP calls a precondition that no longer holds.
 */
export async function serveJobStore(store: JobStore, port = 0): Promise<JobStoreServer> {
  const server = createServer((request, response) => {
    answer(store, request, response).catch((error: unknown) => {
      const status = error instanceof CubbyError ? ERROR_CODES[error.code].httpStatus : 400;
      reply(response, status, { error: error instanceof Error ? error.message : String(error) });
    });
  });
  // A worker that was stopped for a while finds its connection as it left it.
  server.keepAliveTimeout = 0;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host: "127.0.0.1", port }, resolve);
  });
  const { port: bound } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${bound}`,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function answer(
  store: JobStore,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const route = `${request.method} ${request.url}`;
  switch (route) {
    case "GET /state":
      return reply(response, 200, store.state());
    case "GET /jobs":
      return reply(response, 200, store.jobs());
    case "POST /jobs": {
      const result = store.store(jobResultOf(await readBody(request)));
      return reply(response, result.kind === "refused" ? 412 : 200, result);
    }
    default:
      return reply(response, 404, { error: `No such call: ${route}` });
  }
}

function reply(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(`${JSON.stringify(body)}\n`);
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > BODY_BYTES_MAX) throw new CubbyError("invalid_argument", "The body is too long.");
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch (cause) {
    throw new CubbyError("invalid_argument", "The body is not JSON.", { cause });
  }
}

function jobResultOf(body: unknown): JobResult {
  if (typeof body === "object" && body !== null) {
    const { job, worker, sequencer } = body as Partial<Record<keyof JobResult, unknown>>;
    const sound =
      typeof job === "number" &&
      Number.isSafeInteger(job) &&
      typeof worker === "string" &&
      typeof sequencer === "string";
    if (sound) return { job, worker, sequencer };
  }
  throw new CubbyError("invalid_argument", "A result has a job, a worker and a sequencer.");
}
