import { utf8Decode } from "@cubby/base";
import type { Call } from "@cubby/client/core";
import type { ClientProcess } from "./client-process.ts";
import type { Coverage } from "./coverage.ts";
import { checkLinearizable, type Operation } from "./linearizability.ts";
import { type FileInput, type FileOutput, fileModel, narrowUnknownWrites } from "./models.ts";
import type { About } from "./script.ts";
import { Violation } from "./violation.ts";

type FileOperation = Operation<FileInput, FileOutput>;
type Open = { readonly call: Call; readonly at: number; readonly process: number };

/** What clients did to files, as a black box: for the search that knows nothing of logs. */
export class History {
  /** By path and instance; a node made anew is another object. */
  readonly #files = new Map<string, FileOperation[]>();
  readonly #open = new Map<Call, Open>();

  onCalled(process: ClientProcess, call: Call, at: number): void {
    const { $case } = call.body;
    const { instance } = call.context as About;
    if (instance === 0 || ($case !== "setContents" && $case !== "getContentsAndStat")) return;
    this.#open.set(call, { call, at, process: process.id });
  }

  onSettled(call: Call, at: number): void {
    const open = this.#open.get(call);
    if (open === undefined) return;
    this.#open.delete(call);
    this.#add(open, at);
  }

  /** 9: each file's history on its own, since linearizability is local. No verdict is no pass. */
  search(coverage: Coverage): void {
    for (const open of this.#open.values()) this.#add(open, undefined);
    this.#open.clear();
    for (const [key, history] of this.#files) {
      const generation = Number(key.slice(key.lastIndexOf("/") + 1));
      const model = fileModel({ value: "", generation });
      const verdict = checkLinearizable(model, narrowUnknownWrites(history));
      coverage.add("histories searched");
      if (verdict.kind === "linearizable") continue;
      const detail = verdict.kind === "violation" ? verdict.explanation : verdict.why;
      throw new Violation(9, `history-${verdict.kind}`, `${key}: ${detail}`);
    }
  }

  #add({ call, at, process }: Open, returned: number | undefined): void {
    const { path, instance } = call.context as About;
    const input = inputOf(call);
    if (input === undefined) return;
    const key = `${path}/${instance}`;
    const history = this.#files.get(key) ?? [];
    this.#files.set(key, history);
    history.push({ process, input, call: at, ...endOf(call, returned) });
  }
}

function inputOf({ body }: Call): FileInput | undefined {
  if (body.$case === "getContentsAndStat") return { kind: "read" };
  if (body.$case !== "setContents") return undefined;
  const { contents, hasIfGeneration, ifGeneration } = body.value;
  const value = tagOf(contents);
  return hasIfGeneration ? { kind: "write", value, ifGeneration } : { kind: "write", value };
}

type End = Pick<FileOperation, "outcome" | "returned" | "output">;

function endOf({ result, failure }: Call, returned: number | undefined): End {
  if (returned === undefined) return { outcome: "unknown" };
  if (result?.$case === "setContents") {
    const output = { kind: "written", generation: result.value.contentGeneration } as const;
    return { outcome: "ok", returned, output };
  }
  if (result?.$case === "getContentsAndStat") {
    const { contents, stat } = result.value;
    const generation = stat?.contentGeneration ?? 0;
    const output = { kind: "contents", value: tagOf(contents), generation } as const;
    return { outcome: "ok", returned, output };
  }
  if (failure?.code === "generation_mismatch") {
    return { outcome: "ok", returned, output: { kind: "mismatch" } };
  }
  return failure?.outcome === "not-applied"
    ? { outcome: "not-applied", returned }
    : { outcome: "unknown" };
}

/** Contents are a tag that nobody writes twice, and padding. */
function tagOf(contents: Uint8Array): string {
  const end = contents.indexOf(0x78);
  return utf8Decode(end < 0 ? contents : contents.subarray(0, end));
}
