import type { Answer, JobResult, JobStoreState } from "./job-store.ts";

const TIMEOUT_MS = 5_000;

/** What a worker, and the demo itself, say to the job store. */
export class JobStoreClient {
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  async state(): Promise<JobStoreState> {
    return (await this.#get("/state")) as JobStoreState;
  }

  async jobs(): Promise<JobResult[]> {
    return (await this.#get("/jobs")) as JobResult[];
  }

  /** The store's answer, a refusal included; throws when the store cannot be asked. */
  async store(result: JobResult): Promise<Answer> {
    const response = await fetch(`${this.#url}/jobs`, {
      method: "POST",
      body: JSON.stringify(result),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    if (response.status !== 200 && response.status !== 412) throw await unexpected(response);
    return (await response.json()) as Answer;
  }

  async #get(path: string): Promise<unknown> {
    const response = await fetch(this.#url + path, { signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (response.status !== 200) throw await unexpected(response);
    return response.json();
  }
}

async function unexpected(response: Response): Promise<Error> {
  return new Error(`The job store answered ${response.status}: ${(await response.text()).trim()}`);
}
