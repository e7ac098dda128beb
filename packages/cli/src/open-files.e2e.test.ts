import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { connect as connectSocket, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { connect } from "@cubby/client";
import { SESSION_PREAMBLE } from "@cubby/protocol";
import { afterEach, beforeEach, expect, it } from "vitest";

const CUBBY = fileURLToPath(new URL("../bin/cubby.js", import.meta.url));

let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "cubby-open-files-"));
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

/** Settles when it has been let in, or turned away. */
function knock(address: string): Promise<Socket> {
  const [host = "", port] = address.split(":");
  const socket = connectSocket({ host, port: Number(port) });
  socket.on("error", () => socket.destroy());
  socket.resume();
  socket.write(SESSION_PREAMBLE);
  return new Promise((resolve) => {
    socket.once("close", () => resolve(socket));
    socket.once("connect", () => setTimeout(() => resolve(socket), 100));
  });
}

it("a replica with more clients than files that it may open still opens those of its journal", async () => {
  const lanes = ["session", "peer"].flatMap((lane) => [`--${lane}-address`, "127.0.0.1:0"]);
  const data = ["--data", join(directory, "data"), "--snapshot-every", "100"];
  const script = 'ulimit -n 256; exec "$@"';
  const serve = [CUBBY, "serve", ...data, ...lanes, "--http-address", "none", "--json"];
  const child = spawn("/bin/sh", ["-c", script, "sh", process.execPath, ...serve], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
  const line = await new Promise<string>((resolve) => {
    createInterface(child.stdout).once("line", resolve);
  });
  const { session: address } = JSON.parse(line) as { session: string };
  const session = await connect(`cubby://${address}/local`);
  const sockets = await Promise.all(Array.from({ length: 300 }, () => knock(address)));
  for (let n = 0; n < 300; n += 1) await session.write("/ls/local/file", String(n));
  const { contents } = await session.read("/ls/local/file");
  expect(Buffer.from(contents).toString()).toBe("299");
  await session.close();
  for (const socket of sockets) socket.destroy();
  child.kill("SIGTERM");
  expect(await ended).toBe(0);
});
