/** As Node's own. */
export const ATTEMPT_MS_FIRST = 250;
const ATTEMPT_MS_MAX = 1_000;

/**
 * How long each but the last of the addresses behind a name is tried. Liveness: where a handshake takes
 * longer, and the others lead nowhere, it has to grow, or no connection is ever made; where the others
 * come first, it must not stay long, or the last is never reached. So it goes round until one is made.
 */
export class ConnectAttempts {
  /** By the name; those that the locator knows are few. */
  readonly #attemptMs = new Map<string, number>();

  msFor(address: string): number {
    return this.#attemptMs.get(address) ?? ATTEMPT_MS_FIRST;
  }

  onMade(address: string): void {
    this.#attemptMs.delete(address);
  }

  onFailed(address: string): void {
    const longer = 2 * this.msFor(address);
    if (longer > ATTEMPT_MS_MAX) this.#attemptMs.delete(address);
    else this.#attemptMs.set(address, longer);
  }
}
