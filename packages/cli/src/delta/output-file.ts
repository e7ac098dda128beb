import { randomBytes } from "node:crypto";
import type { Stats } from "node:fs";
import {
  chmod,
  chown,
  type FileHandle,
  link,
  open,
  realpath,
  rename,
  rm,
  stat,
} from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { CubbyError } from "@cubby/protocol";
import type { Context } from "../context.ts";
import { whenToldToEnd } from "../process/told-to-end.ts";
import { STANDARD } from "./input-file.ts";

const PERMISSION_BITS = 0o777;
const PERMISSION_BITS_BUT_GROUP = 0o707;
/** For chown: the file stays whose it is. */
const SAME_USER = -1;

/** What file systems without hard links say when they are asked for one. */
const NO_LINKS = new Set(["EPERM", "ENOSYS", "ENOTSUP", "EOPNOTSUPP", "EMLINK", "EINVAL"]);

/**
 * Where a command's result goes. A file appears under its name when it is whole, and not before; one
 * that is there already is kept unless `force` is given.
 */
export class Output {
  readonly path: string;
  readonly #context: Context;
  readonly #force: boolean;
  /** Not a file that could be put in another's place: a device or a pipe. */
  readonly #isDirect: boolean;

  private constructor(context: Context, path: string, force: boolean, isDirect: boolean) {
    this.#context = context;
    this.path = path;
    this.#force = force;
    this.#isDirect = isDirect;
  }

  /** Refuses at once what cannot be written later. */
  static async at(context: Context, path: string, force: boolean): Promise<Output> {
    if (path === STANDARD) return new Output(context, path, force, true);
    const there = await stat(path).catch(() => undefined);
    if (there?.isDirectory()) {
      throw new CubbyError("file_not_writable", `${path} is a directory.`);
    }
    if (there?.isFile() && !force) throw existsAlready(path);
    const isDirect = there !== undefined && !there.isFile();
    const target = there === undefined || isDirect ? path : await realpath(path);
    const parent = await stat(dirname(target)).catch(() => undefined);
    if (parent?.isDirectory() !== true) {
      throw new CubbyError("file_not_writable", `There is no directory ${dirname(target)}.`);
    }
    return new Output(context, target, force, isDirect);
  }

  get isStandard(): boolean {
    return this.path === STANDARD;
  }

  /** Answers how many bytes were written, or, if a signal came, the exit code for that. */
  async write(parts: Iterable<Uint8Array>): Promise<{ bytes: number } | { exitCode: number }> {
    if (this.isStandard) {
      let bytes = 0;
      for (const part of parts) {
        this.#context.writeOut(part);
        bytes += part.length;
      }
      return { bytes };
    }
    // In a pipe or device there is nothing to take back, and a pipe without a reader has no end.
    const told = this.#isDirect ? undefined : whenToldToEnd();
    try {
      const bytes = await this.#writeFile(parts, told?.signal);
      return told?.exitCode === undefined ? { bytes } : { exitCode: told.exitCode };
    } catch (cause) {
      if (cause instanceof CubbyError) throw cause;
      const { code, message } = cause as NodeJS.ErrnoException;
      if (code === undefined) throw cause;
      const detail = `${this.path} cannot be written: ${message}.`;
      throw new CubbyError("file_not_writable", detail, { cause });
    } finally {
      told?.stopListening();
    }
  }

  async #writeFile(parts: Iterable<Uint8Array>, signal: AbortSignal | undefined): Promise<number> {
    if (this.#isDirect) return fill(await open(this.path, "w"), parts, signal);
    const unfinished = `.${basename(this.path)}.${randomBytes(4).toString("hex")}.tmp`;
    const path = join(dirname(this.path), unfinished);
    const replaced = this.#force ? await stat(this.path).catch(() => undefined) : undefined;
    try {
      const file = await open(path, "wx", replaced === undefined ? 0o666 : 0o600);
      const bytes = await fill(file, parts, signal);
      if (replaced !== undefined) await belongAs(path, replaced);
      if (signal?.aborted !== true) await this.#publish(path);
      return bytes;
    } finally {
      await rm(path, { force: true });
    }
  }

  async #publish(finished: string): Promise<void> {
    if (this.#force) return rename(finished, this.path);
    try {
      // Unlike a rename, a link never takes the place of what has come to be there since.
      await link(finished, this.path);
    } catch (error) {
      const { code = "" } = error as NodeJS.ErrnoException;
      if (code === "EEXIST") throw existsAlready(this.path);
      if (!NO_LINKS.has(code)) throw error;
      if ((await stat(this.path).catch(() => undefined)) !== undefined) {
        throw existsAlready(this.path);
      }
      await rename(finished, this.path);
    }
  }
}

/** Rights to the file that is replaced go over to nobody who had none, save who puts another in its place. */
async function belongAs(path: string, { uid, gid, mode }: Stats): Promise<void> {
  // Only root may give a file to another user; everybody else, to a group that they are in.
  const hasGroup = await chown(path, uid, gid)
    .catch(() => chown(path, SAME_USER, gid))
    .then(
      () => true,
      () => false,
    );
  await chmod(path, mode & (hasGroup ? PERMISSION_BITS : PERMISSION_BITS_BUT_GROUP));
}

/** Writes until all is written or a signal has come, and closes. */
async function fill(
  file: FileHandle,
  parts: Iterable<Uint8Array>,
  signal: AbortSignal | undefined,
): Promise<number> {
  try {
    let bytes = 0;
    for (const part of parts) {
      if (signal?.aborted === true) break;
      await file.writeFile(part);
      bytes += part.length;
    }
    return bytes;
  } finally {
    await file.close();
  }
}

function existsAlready(path: string): CubbyError {
  return new CubbyError("file_exists", `${path} exists already.`);
}
