import { constants } from "node:os";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP", "SIGPIPE"] as const;

/** The wish that this process ends, by a signal or by a key, so that everything is put away first. */
export type ToldToEnd = {
  /** Aborts when the wish is there. */
  readonly signal: AbortSignal;
  /** 128 + n once signal n came; undefined before, and for an end that is as it should be. */
  readonly exitCode: number | undefined;
  end(): void;
  stopListening(): void;
};

export function whenToldToEnd(): ToldToEnd {
  const controller = new AbortController();
  let exitCode: number | undefined;
  const onSignal = (name: NodeJS.Signals): void => {
    exitCode ??= 128 + constants.signals[name];
    controller.abort();
  };
  for (const name of SIGNALS) process.on(name, onSignal);
  return {
    signal: controller.signal,
    get exitCode() {
      return exitCode;
    },
    end: () => controller.abort(),
    stopListening: () => {
      for (const name of SIGNALS) process.off(name, onSignal);
    },
  };
}

export async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
}
