import { readFileSync } from "node:fs";
import { DRIFT_PER_MILLE, leaseRenewMsMax } from "@cubby/paxos";
import { CubbyError, quoted } from "@cubby/protocol";
import { type Address, addressText, isLoopback } from "./address.ts";
import {
  environmentName,
  SETTING_NAMES,
  type ServerConfig,
  type SettingName,
  settingOf,
} from "./config.ts";
import { checkAddresses } from "./config-addresses.ts";
import { PAGE_BYTES } from "./core/segment-sector.ts";
import { messageOf, platformCode } from "./platform-errors.ts";

/** Where the settings may be said; an earlier one of these wins. */
export type ConfigSources = {
  /** By the name of the setting, as typed after the flag; `true` for a switch. */
  readonly flags?: Readonly<Record<string, string | boolean | undefined>>;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly file?: ConfigFile | undefined;
};

export type ConfigFile = { readonly path: string; readonly text: string };

export type LoadedConfig = {
  readonly config: ServerConfig;
  /** For each setting where its value comes from: "--flag", "CUBBY_…", the file's path, "default". */
  readonly sources: Readonly<Record<SettingName, string>>;
  /** What is probably a mistake, and yet may be right. */
  readonly warnings: readonly string[];
};

const FILE_BYTES_MAX = 1024 * 1024;

export function readConfigFile(path: string): ConfigFile {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    const why = platformCode(error) === "ENOENT" ? "does not exist" : messageOf(error);
    throw invalid(`The configuration file ${path} cannot be read: ${why}.`, error);
  }
  if (text.length > FILE_BYTES_MAX) {
    throw invalid(`The configuration file ${path} is longer than ${FILE_BYTES_MAX} bytes.`);
  }
  // Editors put a byte-order mark before it, which JSON does not know.
  return { path, text: text.replace(/^\uFEFF/, "") };
}

/** The settings in effect, or a CubbyError config_invalid that names the culprit and the remedy. */
export function loadConfig(from: ConfigSources): LoadedConfig {
  const fileValues = from.file === undefined ? new Map() : parseFile(from.file);
  const values = new Map<SettingName, unknown>();
  const sources = new Map<SettingName, string>();
  for (const name of SETTING_NAMES) {
    const said = whatIsSaid(name, from, fileValues);
    if (said.input === undefined) {
      throw invalid(
        `${name} must be given: --${settingOf(name).flag}, ${environmentName(name)}, or the file.`,
      );
    }
    const parsed = settingOf(name).kind.parse(said.input);
    if (!parsed.ok) {
      throw invalid(
        `${said.source}: ${name} is ${shown(said.input)}, but must be ${parsed.wanted}.`,
      );
    }
    values.set(name, parsed.value);
    sources.set(name, said.source);
  }
  const config = Object.freeze(Object.fromEntries(values)) as ServerConfig;
  checkTogether(config);
  const named = Object.fromEntries(sources) as Record<SettingName, string>;
  return { config, sources: Object.freeze(named), warnings: misspelled(from.environment ?? {}) };
}

/** The configuration in effect as text, one `name = value  (source)` a line. */
export function effectiveConfig(loaded: LoadedConfig): string {
  const lines = SETTING_NAMES.map((name) => {
    const value = settingOf(name).kind.print(loaded.config[name]);
    return `${name} = ${value === "" ? '""' : value}  (${loaded.sources[name]})`;
  });
  return `${lines.join("\n")}\n`;
}

/** One row per flag, for the command line to declare. */
export function configFlags(): {
  name: SettingName;
  flag: string;
  argument: string | undefined;
  help: string;
}[] {
  return SETTING_NAMES.map((name) => {
    const { flag, kind, help, default: defaultValue } = settingOf(name);
    const suffix = defaultValue === undefined || defaultValue === "" ? "" : ` [${defaultValue}]`;
    return { name, flag, argument: kind.argument, help: `${help}${suffix}` };
  });
}

/** The table of settings in Markdown, for `docs/reference/config.md`. */
export function configReference(): string {
  const rows = SETTING_NAMES.map((name) => {
    const { flag, kind, help, default: defaultValue } = settingOf(name);
    const otherwise = defaultValue === undefined ? "must be given" : `\`${defaultValue}\``;
    const cells = [
      `\`${name}\``,
      `\`--${flag}\``,
      `\`${environmentName(name)}\``,
      kind.description.replaceAll("|", "\\|"),
      defaultValue === "" ? "none" : otherwise,
      help,
    ];
    return `| ${cells.join(" | ")} |`;
  });
  const head = "| key in the file | flag | environment | value | default | meaning |";
  return [head, "| --- | --- | --- | --- | --- | --- |", ...rows, ""].join("\n");
}

function whatIsSaid(
  name: SettingName,
  from: ConfigSources,
  fileValues: ReadonlyMap<string, unknown>,
): { input: unknown; source: string } {
  const row = settingOf(name);
  const flag = from.flags?.[name];
  if (flag !== undefined) return { input: flag, source: `--${row.flag}` };
  const variable = environmentName(name);
  const fromEnvironment = from.environment?.[variable];
  if (fromEnvironment !== undefined) return { input: fromEnvironment, source: variable };
  if (fileValues.has(name)) {
    return { input: fileValues.get(name), source: from.file?.path ?? "file" };
  }
  return { input: row.default, source: "default" };
}

const PREFIX = "CUBBY_";
/** Read by other commands, or set for what they start. */
const OTHER_VARIABLES: ReadonlySet<string> = new Set([
  "CUBBY_CELL",
  "CUBBY_SEQUENCER",
  "CUBBY_LOCK_PATH",
  "CUBBY_LOCK_GENERATION",
  "CUBBY_EXIT_WITH_PARENT",
]);
const MISSPELLED_EDITS_MAX = 2;

/**
 * Variables that miss a setting's by a few letters, or are named as its flag. No error, and nothing of
 * the others: an environment is not ours alone. Kubernetes puts CUBBY_SERVICE_HOST and its like there.
 */
function misspelled(environment: NonNullable<ConfigSources["environment"]>): string[] {
  const known = new Set(SETTING_NAMES.map(environmentName));
  const warnings: string[] = [];
  for (const [variable, value] of Object.entries(environment)) {
    const isOurs = variable.startsWith(PREFIX) && value !== undefined;
    if (!isOurs || known.has(variable) || OTHER_VARIABLES.has(variable)) continue;
    const flag = variable.slice(PREFIX.length).toLowerCase().replaceAll("_", "-");
    const meant = SETTING_NAMES.find((name) => settingOf(name).flag === flag) ?? near(variable);
    if (meant === undefined) continue;
    warnings.push(
      `${variable} is no setting and has no effect. Did you mean ${environmentName(meant)}?`,
    );
  }
  return warnings;
}

function near(variable: string): SettingName | undefined {
  const name = nearest(variable, environmentName);
  const edits = editDistance(variable.slice(0, 64), environmentName(name));
  return edits <= MISSPELLED_EDITS_MAX ? name : undefined;
}

function parseFile(file: ConfigFile): ReadonlyMap<string, unknown> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(file.text);
  } catch (error) {
    throw invalid(`${file.path} is not JSON: ${messageOf(error)}.`, error);
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) {
    throw invalid(`${file.path} must hold one JSON object of settings.`);
  }
  const values = new Map<string, unknown>(Object.entries(parsed));
  for (const key of values.keys()) {
    if (SETTING_NAMES.some((name) => name === key)) continue;
    throw invalid(
      `${file.path} has the key ${quoted(key)}, which is no setting. Did you mean "${nearest(key)}"?`,
    );
  }
  return values;
}

/** What no single setting can be blamed for. */
function checkTogether(config: ServerConfig): void {
  if (!config.insecureRemote) refuseRemote(config);
  checkAddresses(config);
  const renewMsMax = leaseRenewMsMax(config.masterLeaseMs, DRIFT_PER_MILLE);
  if (config.masterLeaseRenewMs > renewMsMax) {
    throw invalid(
      `masterLeaseRenewMs is ${config.masterLeaseRenewMs}: a lease of ${config.masterLeaseMs} ms must survive two lost renewals, so at most ${renewMsMax}.`,
    );
  }
  if (config.heartbeatMs * 3 > config.electionTimeoutMs) {
    throw invalid(
      `heartbeatMs is ${config.heartbeatMs}: a leader must survive two lost heartbeats, so at most a third of electionTimeoutMs (${config.electionTimeoutMs}).`,
    );
  }
  if (config.segmentBytes % PAGE_BYTES !== 0) {
    throw invalid(
      `segmentBytes is ${config.segmentBytes}: a segment is whole pages, so a multiple of ${PAGE_BYTES}.`,
    );
  }
  const ids = config.peers.map((peer) => peer.replicaId);
  if (ids.length > 0 && !ids.includes(config.replicaId)) {
    throw invalid(`peers names ${ids.join(", ")}, but not replicaId ${config.replicaId} itself.`);
  }
  const clientIds = config.sessionAddresses.map((at) => at.replicaId);
  const isAlone = ids.length === 0;
  const wanted = isAlone ? [config.replicaId] : ids;
  if (clientIds.join() !== wanted.join() && clientIds.length > 0) {
    const cell = isAlone
      ? `the cell is replica ${config.replicaId} alone, since peers names none`
      : `peers names ${ids.join(", ")}`;
    throw invalid(
      `sessionAddresses names replicas ${clientIds.join(", ")}; ${cell}. They must be the same.`,
    );
  }
}

/** Without TLS and authentication whoever reaches a port is the cell's owner. */
function refuseRemote(config: ServerConfig): void {
  const bound: [SettingName, Address | undefined][] = [
    ["sessionAddress", config.sessionAddress],
    ["peerAddress", config.peerAddress],
    ["httpAddress", config.httpAddress],
  ];
  for (const [name, at] of bound) {
    if (at === undefined || isLoopback(at.host)) continue;
    throw invalid(
      `${name} ${addressText(at)} can be reached from other machines, and there is no TLS or authentication yet. Use 127.0.0.1, or ask for it by name with --${settingOf("insecureRemote").flag}.`,
    );
  }
}

function invalid(detail: string, cause?: unknown): CubbyError {
  return new CubbyError("config_invalid", detail, cause === undefined ? {} : { cause });
}

function shown(input: unknown): string {
  const json = JSON.stringify(input) ?? String(input);
  return json.length > 80 ? `${json.slice(0, 77)}...` : json;
}

/** The setting whose name, as written there, takes the fewest edits to reach. */
function nearest(
  key: string,
  written: (name: SettingName) => string = (name) => name,
): SettingName {
  let best: SettingName = "dataDir";
  let fewest = Number.MAX_SAFE_INTEGER;
  for (const name of SETTING_NAMES) {
    const edits = editDistance(key.slice(0, 64).toLowerCase(), written(name).toLowerCase());
    if (edits >= fewest) continue;
    fewest = edits;
    best = name;
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const substituted = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substituted, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
