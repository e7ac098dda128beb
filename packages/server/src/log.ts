import { pino } from "pino";
import { LineWriter } from "./line-writer.ts";

export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** What the shell writes for operators: fields first, then a sentence. */
export type Log = {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
};

export type ReplicaLog = Log & {
  /** Writes out what is buffered, before the process ends. */
  flushSync(): void;
};

/** JSON lines to a file descriptor, written by the kernel while the event loop goes on. */
export function createLog(level: LogLevel, fields: object, fileDescriptor = 2): ReplicaLog {
  const out = new LineWriter(fileDescriptor);
  const { stdSerializers, stdTimeFunctions } = pino;
  const logger = pino(
    {
      level,
      base: fields,
      timestamp: stdTimeFunctions.isoTime,
      // An Error has no fields of its own that JSON would show.
      serializers: { error: stdSerializers.err },
    },
    out,
  );
  return {
    debug: (values, message) => logger.debug(values, message),
    info: (values, message) => logger.info(values, message),
    warn: (values, message) => logger.warn(values, message),
    error: (values, message) => logger.error(values, message),
    flushSync: () => out.flushSync(),
  };
}
