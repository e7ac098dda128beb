import { constants } from "node:os";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

const listening = new Set<(exitCode: number) => void>();

/** The wish that this process ends, by a signal or by a key, so that everything is put away first. */
export type ToldToEnd = {
  /** Aborts when the wish is there. */
  readonly signal: AbortSignal;
  /** 128 + n once signal n came, or what was told; undefined before, and for an end that is as it should be. */
  readonly exitCode: number | undefined;
  /** The signal, if it was one. */
  readonly by: NodeJS.Signals | undefined;
  end(): void;
  /** From now on signals tell nothing; they do not end the process either, until nobody listens. */
  ignore(): void;
  stopListening(): void;
};

export function whenToldToEnd(): ToldToEnd {
  const controller = new AbortController();
  let exitCode: number | undefined;
  let by: NodeJS.Signals | undefined;
  const tell = (code: number): void => {
    exitCode ??= code;
    controller.abort();
  };
  const onSignal = (name: NodeJS.Signals): void => {
    if (!listening.has(tell)) return;
    by ??= name;
    tell(128 + constants.signals[name]);
  };
  for (const name of SIGNALS) process.on(name, onSignal);
  listening.add(tell);
  return {
    signal: controller.signal,
    get exitCode() {
      return exitCode;
    },
    get by() {
      return by;
    },
    end: () => controller.abort(),
    ignore: () => {
      listening.delete(tell);
    },
    stopListening: () => {
      for (const name of SIGNALS) process.off(name, onSignal);
      listening.delete(tell);
    },
  };
}

/** For what Node has no signal for. False when nobody listens, and so nothing must be put away. */
export function tellToEnd(exitCode: number): boolean {
  for (const tell of listening) tell(exitCode);
  return listening.size > 0;
}

export async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
}
