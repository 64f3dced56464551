/** What every run is given. */
export interface Payload {
  readonly i: number;
  readonly user: string;
  readonly note: string;
}

/** Hears what a contender's handlers do. A scenario replaces the functions by what it wants to know. */
export interface Listener {
  /** A handler begins a run. */
  started(payload: Payload): void;
  /** A run is parked: the contender has stored that it waits for `key`. */
  waiting(key: string): void;
  /** The handler goes on with the event that was sent to `key`. */
  resumed(key: string): void;
}

export interface Environment {
  /** Of an empty database for this contender alone, on a PostgreSQL that commits to the disk. */
  readonly databaseUrl: string;
  readonly listener: Listener;
  /** Sends an Idempotency-Key with every POST, to contenders that know what it is. */
  readonly keys: boolean;
  /** Arguments for `node` where a contender starts its server: the loader for TypeScript, and a profiler perhaps. */
  readonly nodeArgs: readonly string[];
  /** The number in the first column of the first row. */
  count(query: string): Promise<number>;
}

/**
 * Something that runs jobs durably. It does the work in one or more child processes, so that their CPU can be told from
 * that of the process which plays the clients and the handlers.
 */
export interface Contender {
  open(environment: Environment): Promise<Session>;
}

export interface Session {
  /** Resolves when the run is stored for good. */
  enqueue(payload: Payload): Promise<void>;
  /** Enqueues a run whose handler waits for an event with this key. */
  waitOn(key: string): Promise<void>;
  /** Sends an event; resolves when it is stored for good. */
  resolve(key: string, payload: unknown): Promise<void>;
  /** How many runs the store knows that neither wait nor have ended. */
  pending(): Promise<number>;
  close(): Promise<void>;
}
