import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CubbyError } from "@cubby/protocol";
import { describe, expect, test } from "vitest";
import { environmentName, SETTING_NAMES } from "./config.ts";
import { clientAddresses } from "./config-addresses.ts";
import {
  type ConfigSources,
  configFlags,
  configReference,
  effectiveConfig,
  loadConfig,
  readConfigFile,
} from "./config-load.ts";

const FLAGS = { dataDir: "/tmp/replica" };

function file(values: object): ConfigSources["file"] {
  return { path: "/etc/cubby.json", text: JSON.stringify(values) };
}

function problem(sources: ConfigSources): string {
  try {
    loadConfig(sources);
  } catch (error) {
    if (!(error instanceof CubbyError)) throw error;
    expect(error.code).toBe("config_invalid");
    return error.message;
  }
  throw new Error("the configuration was accepted");
}

describe("the configuration", () => {
  test("needs a directory and nothing else", () => {
    const { config, sources } = loadConfig({ flags: FLAGS });
    expect(config.sessionAddress).toEqual({ host: "127.0.0.1", port: 7070 });
    expect(config.peers).toEqual([]);
    expect(config.masterLeaseMs).toBe(600);
    expect(sources.dataDir).toBe("--data");
    expect(sources.masterLeaseMs).toBe("default");
    expect(Object.isFrozen(config)).toBe(true);
    expect(problem({})).toContain("dataDir must be given: --data, CUBBY_DATA_DIR, or the file");
  });

  test("takes a flag before the environment, that before the file, that before the default", () => {
    const sources = {
      flags: { ...FLAGS, cellName: "flag" },
      environment: { CUBBY_CELL_NAME: "environment", CUBBY_REPLICA_ID: "2" },
      file: file({ cellName: "file", replicaId: 3, logLevel: "debug" }),
    };
    const loaded = loadConfig(sources);
    const { cellName, replicaId, logLevel, heartbeatMs } = loaded.config;
    expect({ cellName, replicaId, logLevel, heartbeatMs }).toEqual({
      cellName: "flag",
      replicaId: 2,
      logLevel: "debug",
      heartbeatMs: 100,
    });
    expect([loaded.sources.cellName, loaded.sources.replicaId]).toEqual([
      "--cell",
      "CUBBY_REPLICA_ID",
    ]);
    expect([loaded.sources.logLevel, loaded.sources.heartbeatMs]).toEqual([
      "/etc/cubby.json",
      "default",
    ]);
    const printed = effectiveConfig(loaded);
    expect(printed).toContain("cellName = flag  (--cell)\n");
    expect(printed).toContain("logLevel = debug  (/etc/cubby.json)\n");
    expect(printed.trim().split("\n")).toHaveLength(SETTING_NAMES.length);
  });

  test("reads the same value from text and from the file", () => {
    const text = {
      peers: "2@[::1]:7521,1@127.0.0.1:7071",
      masterLeaseMs: "1s",
      segmentBytes: "8MiB",
      httpAddress: "none",
      insecureRemote: "true",
    };
    const json = {
      peers: ["1@127.0.0.1:7071", "2@[::1]:7521"],
      masterLeaseMs: 1000,
      segmentBytes: 8 * 1024 * 1024,
      httpAddress: "none",
      insecureRemote: true,
    };
    const one = loadConfig({ flags: { ...FLAGS, ...text } }).config;
    const other = loadConfig({ flags: FLAGS, file: file(json) }).config;
    expect(one).toEqual(other);
    expect(one.peers).toEqual([
      { replicaId: 1, host: "127.0.0.1", port: 7071 },
      { replicaId: 2, host: "::1", port: 7521 },
    ]);
    expect(one.httpAddress).toBeUndefined();
    expect(one.segmentBytes).toBe(8 << 20);
  });

  test.each([
    ["masterLease", "masterLeaseMs"],
    ["datadir", "dataDir"],
    ["sessionadress", "sessionAddress"],
    ["log_level", "logLevel"],
    ["__proto__", ""],
  ])("names the wrong key %s, its file and the nearest right one", (key, nearest) => {
    const message = problem({
      flags: FLAGS,
      file: { path: "/etc/cubby.json", text: `{"${key}": 1}` },
    });
    expect(message).toContain(`/etc/cubby.json has the key "${key}"`);
    expect(message).toContain(`Did you mean "${nearest}`);
  });

  test.each([
    ["replicaId", "0"],
    ["replicaId", "1.5"],
    ["replicaId", "1e1"],
    ["replicaId", "1024"],
    ["masterLeaseMs", "10"],
    ["masterLeaseMs", "600 ms"],
    ["masterLeaseMs", "600s"],
    ["segmentBytes", "1KiB"],
    ["segmentBytes", "99999999999999999999"],
    ["cellName", "Has Spaces"],
    ["cellName", "../up"],
    ["dataDir", ""],
    ["sessionAddress", "127.0.0.1"],
    ["sessionAddress", "127.0.0.1:70000"],
    ["sessionAddress", "::1:7420"],
    ["peers", "127.0.0.1:7071"],
    ["peers", "1@a:1,1@b:2"],
    ["peers", "1@a:0"],
    ["logLevel", "loud"],
    ["insecureRemote", "yes"],
  ])("refuses %s = %s and says what is right", (name, value) => {
    const message = problem({ flags: { ...FLAGS, [name]: value } });
    expect(message).toMatch(new RegExp(`--[a-z-]+: ${name} is .* but must be .*\\.$`));
  });

  test.each([
    ["a list for a number", { replicaId: [1] }],
    ["a number for a name", { cellName: 5 }],
    ["null", { cellName: null }],
    ["a number in a list", { peers: [1] }],
    ["a boolean for a number", { replicaId: true }],
  ])("refuses %s in the file and names the file", (_what, values) => {
    expect(problem({ flags: FLAGS, file: file(values) })).toContain("/etc/cubby.json: ");
  });

  test("refuses what is not a JSON object", () => {
    for (const text of ["", "{", "[]", "null", "5"]) {
      expect(problem({ flags: FLAGS, file: { path: "/etc/cubby.json", text } })).toContain(
        "/etc/cubby.json",
      );
    }
  });

  test("refuses to be reached by other machines unless that is asked for by name", () => {
    for (const name of ["sessionAddress", "peerAddress", "httpAddress"]) {
      for (const host of ["0.0.0.0", "10.0.0.1", "[::]", "replica1.example"]) {
        const flags = { ...FLAGS, [name]: `${host}:7000` };
        const message = problem({ flags });
        expect(message).toContain(`${name} ${host}:7000`);
        expect(message).toContain("--insecure-remote");
        loadConfig({ flags: { ...flags, insecureRemote: true } });
      }
    }
    loadConfig({ flags: { ...FLAGS, sessionAddress: "localhost:0", peerAddress: "[::1]:0" } });
  });

  test("refuses settings that contradict each other", () => {
    const two = "1@127.0.0.1:1,2@127.0.0.1:2";
    expect(problem({ flags: { ...FLAGS, replicaId: "3", peers: two } })).toContain("replicaId 3");
    const other = "1@127.0.0.1:1,3@127.0.0.1:2";
    expect(problem({ flags: { ...FLAGS, peers: two, sessionAddresses: other } })).toContain(
      "sessionAddresses names replicas 1, 3; peers names 1, 2",
    );
    expect(problem({ flags: { ...FLAGS, masterLeaseMs: "200" } })).toContain("at most 45");
    loadConfig({ flags: { ...FLAGS, masterLeaseMs: "200", masterLeaseRenewMs: "45" } });
    expect(problem({ flags: { ...FLAGS, heartbeatMs: "200" } })).toContain("heartbeatMs");
    expect(problem({ flags: { ...FLAGS, segmentBytes: "1025KiB" } })).toContain("whole pages");
  });

  test("refuses to have two replicas at one address", () => {
    const flags = { ...FLAGS, peers: "1@Host-A:7071,2@host-a:7071,3@host-b:7071" };
    expect(problem({ flags })).toContain("peers gives host-a:7071 to replicas 1 and 2");
    const peers = "1@host-a:7071,2@host-b:7071";
    const sessionAddresses = "1@[::1]:7070,2@[::1]:7070";
    expect(problem({ flags: { ...FLAGS, peers, sessionAddresses } })).toContain(
      "sessionAddresses gives [::1]:7070 to replicas 1 and 2",
    );
  });

  test.each(["0.0.0.0", "[::]", "[0:0:0:0:0:0:0:0]"])("refuses to send clients to %s", (host) => {
    const flags = { ...FLAGS, peers: "1@127.0.0.1:7071", sessionAddresses: `1@${host}:7070` };
    expect(problem({ flags })).toContain(`sessionAddresses gives ${host}:7070 for replica 1`);
  });

  test("refuses to listen twice on one port, and takes port 0 and port numbers of other hosts", () => {
    const at = "127.0.0.1:7070";
    expect(problem({ flags: { ...FLAGS, peerAddress: at } })).toContain(
      `sessionAddress and peerAddress are both ${at}`,
    );
    expect(problem({ flags: { ...FLAGS, peerAddress: "127.0.0.1:1", httpAddress: at } })).toContain(
      `sessionAddress and httpAddress are both ${at}`,
    );
    const zero = "127.0.0.1:0";
    const free = { sessionAddress: zero, peerAddress: zero, httpAddress: zero };
    loadConfig({ flags: { ...FLAGS, ...free } });
    loadConfig({ flags: { ...FLAGS, peerAddress: "127.0.0.2:7070", httpAddress: "none" } });
  });

  test("lets a replica alone on all addresses say where clients find it", () => {
    const all = { sessionAddress: "0.0.0.0:7070", insecureRemote: true };
    const { config } = loadConfig({
      flags: { ...FLAGS, ...all, sessionAddresses: "1@cubby.example:7070" },
    });
    expect(clientAddresses(config)).toEqual([{ replicaId: 1, host: "cubby.example", port: 7070 }]);
    const sessionAddresses = "1@cubby.example:7070,2@other.example:7070";
    expect(problem({ flags: { ...FLAGS, ...all, sessionAddresses } })).toContain(
      "sessionAddresses names replicas 1, 2; the cell is replica 1 alone, since peers names none",
    );
  });

  test("warns of a variable that is nearly a setting's, and of no others", () => {
    const environment = {
      CUBBY_DATADIR: "/data",
      CUBBY_MASTER_LEASE: "1s",
      CUBBY_PEER: "1@127.0.0.1:7071",
      CUBBY_LOG_LEVEL: "warn",
      CUBBY_CELL: "cubby://127.0.0.1/local",
      CUBBY_SEQUENCER: "cs1.abc",
      CUBBY_LOCK_PATH: "/ls/local/x",
      // As Kubernetes gives them to every container beside a service of this name.
      CUBBY_SERVICE_HOST: "10.0.0.1",
      CUBBY_SERVICE_PORT: "7070",
      CUBBY_PORT: "tcp://10.0.0.1:7070",
      CUBBY_PORT_7070_TCP_PROTO: "tcp",
      PEERS: "",
    };
    expect(loadConfig({ flags: FLAGS, environment }).warnings).toEqual([
      "CUBBY_DATADIR is no setting and has no effect. Did you mean CUBBY_DATA_DIR?",
      "CUBBY_MASTER_LEASE is no setting and has no effect. Did you mean CUBBY_MASTER_LEASE_MS?",
      "CUBBY_PEER is no setting and has no effect. Did you mean CUBBY_PEERS?",
    ]);
  });

  test("reads a file that begins with a byte-order mark", () => {
    const directory = mkdtempSync(join(tmpdir(), "cubby-config-"));
    const path = join(directory, "replica.json");
    writeFileSync(path, '\uFEFF{"replicaId": 3}');
    const { config } = loadConfig({ flags: FLAGS, file: readConfigFile(path) });
    expect(config.replicaId).toBe(3);
    rmSync(directory, { recursive: true });
  });

  test("says which file cannot be read", () => {
    expect(() => readConfigFile("/nowhere/cubby.json")).toThrow(
      "[config_invalid] The configuration file /nowhere/cubby.json cannot be read: does not exist.",
    );
  });

  test("has a flag, a variable and a line of the reference for each setting, all different", () => {
    const flags = configFlags();
    expect(new Set(flags.map(({ flag }) => flag)).size).toBe(SETTING_NAMES.length);
    expect(new Set(SETTING_NAMES.map(environmentName)).size).toBe(SETTING_NAMES.length);
    const lines = configReference().trim().split("\n");
    expect(lines).toHaveLength(SETTING_NAMES.length + 2);
    expect(lines[2]).toBe(
      "| `dataDir` | `--data` | `CUBBY_DATA_DIR` | a path | must be given | Directory of this replica alone; formatted by `cubby init`. |",
    );
  });
});
