// Types of what handlers get. Those of the web platform, such as Request, are TypeScript's own.

interface ExecutionContext {
  /** Lets the promise run on after the response was sent, within the time limit of the request. */
  waitUntil(promise: Promise<unknown>): void;
  /** Has no effect: there is no origin to pass a failed request through to. */
  passThroughOnException(): void;
  readonly props: Record<string, unknown>;
}

interface ScheduledController {
  readonly scheduledTime: number;
  readonly cron: string;
  noRetry(): void;
}

/** Another service of the server, or the static assets. */
interface Fetcher {
  fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response>;
}

interface KVPage<Metadata> {
  keys: { name: string; expiration?: number; metadata?: Metadata }[];
  list_complete: boolean;
  cursor?: string;
  cacheStatus: null;
}

interface KVResult<Value, Metadata> {
  value: Value | null;
  metadata: Metadata | null;
  cacheStatus: null;
}

interface KVNamespace {
  get(key: string, type?: 'text' | { type?: 'text' }): Promise<string | null>;
  get<T = unknown>(key: string, type: 'json' | { type: 'json' }): Promise<T | null>;
  get(key: string, type: 'arrayBuffer' | { type: 'arrayBuffer' }): Promise<ArrayBuffer | null>;
  get(key: string, type: 'stream' | { type: 'stream' }): Promise<ReadableStream | null>;
  get(keys: string[], type?: 'text' | { type?: 'text' }): Promise<Map<string, string | null>>;
  get<T = unknown>(keys: string[], type: 'json' | { type: 'json' }): Promise<Map<string, T | null>>;
  getWithMetadata<M = unknown>(key: string, type?: 'text' | { type?: 'text' }): Promise<KVResult<string, M>>;
  getWithMetadata<T = unknown, M = unknown>(key: string, type: 'json' | { type: 'json' }): Promise<KVResult<T, M>>;
  getWithMetadata<M = unknown>(key: string, type: 'arrayBuffer' | { type: 'arrayBuffer' }): Promise<KVResult<ArrayBuffer, M>>;
  getWithMetadata<M = unknown>(key: string, type: 'stream' | { type: 'stream' }): Promise<KVResult<ReadableStream, M>>;
  put(
    key: string,
    value: string | ArrayBuffer | ArrayBufferView | ReadableStream,
    options?: { expiration?: number; expirationTtl?: number; metadata?: unknown },
  ): Promise<void>;
  delete(key: string): Promise<void>;
  list<M = unknown>(options?: { prefix?: string; limit?: number; cursor?: string }): Promise<KVPage<M>>;
}
