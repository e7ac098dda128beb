/** Sends back what it receives, one write for what a turn of the event loop brought. */

import { createServer } from "node:net";

const server = createServer({ noDelay: true }, (socket) => {
  let waiting: Uint8Array[] = [];
  socket.on("error", () => socket.destroy());
  socket.on("data", (chunk) => {
    if (waiting.length === 0) {
      setImmediate(() => {
        socket.write(Buffer.concat(waiting));
        waiting = [];
      });
    }
    waiting.push(chunk);
  });
});
server.listen({ host: "127.0.0.1", port: 0 }, () => {
  const address = server.address();
  if (address !== null && typeof address === "object") process.send?.({ port: address.port });
});
process.once("disconnect", () => process.exit(0));
