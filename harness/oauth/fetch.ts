/**
 * The part of the Fetch standard that is used here, so that undici's `fetch`, Node's own and a test's are all welcome.
 */
export interface FetchInit {
  method?: string;
  headers?: Record<string, string>;
  body?: string;
  redirect?: 'manual' | 'error' | 'follow';
  signal?: AbortSignal;
}

export interface FetchedResponse {
  readonly ok: boolean;
  readonly status: number;
  readonly headers: { get(name: string): string | null; forEach(each: (value: string, name: string) => void): void };
  text(): Promise<string>;
  /** Absent for an answer that is there as a whole, as a test makes one. */
  readonly body?: AsyncIterable<Uint8Array> | null;
}

export type Fetch = (url: string, init?: FetchInit) => Promise<FetchedResponse>;
