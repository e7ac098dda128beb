import type { Instant } from "@cubby/base";
import { Cell, type CellOptions, type LogEvent, type ReplicatedLog } from "@cubby/cell";
import type { Reply } from "@cubby/protocol";

export type Applied = {
  readonly index: number;
  /** The one applied before it here; slots of the engine itself lie between. */
  readonly previous: number;
  readonly command: Uint8Array;
};

export interface CellObserver {
  onApplied(cell: Cell, applied: Applied): void;
  onRestored(cell: Cell, index: number): void;
  onSnapshot(index: number, bytes: Uint8Array): void;
  onMade(reply: Reply): void;
}

/** The production cell, and somebody who looks at each command that it has just applied. */
export class ObservedCell extends Cell {
  readonly #observer: CellObserver;
  #index = 0;

  constructor(options: CellOptions, log: ReplicatedLog, observer: CellObserver) {
    super(options, log);
    this.#observer = observer;
  }

  override snapshot(): { index: number; bytes: Uint8Array } {
    const taken = super.snapshot();
    this.#observer.onSnapshot(taken.index, taken.bytes);
    return taken;
  }

  override take(): ReturnType<Cell["take"]> {
    const output = super.take();
    for (const { reply } of output.replies) this.#observer.onMade(reply);
    return output;
  }

  override onLogEvent(now: Instant, event: LogEvent): void {
    if (event.kind === "chosen") {
      // What a command leads to leaves this replica only after the turn: the observer is in time.
      super.onLogEvent(now, event);
      const previous = this.#index;
      this.#index = event.index;
      const { index, command } = event;
      this.#observer.onApplied(this, { index, previous, command });
      return;
    }
    super.onLogEvent(now, event);
    if (event.kind !== "restored") return;
    this.#index = event.index;
    this.#observer.onRestored(this, event.index);
  }
}
