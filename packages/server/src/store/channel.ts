import { randomUUID } from "node:crypto";
import pg from "pg";
import { type Queryable, sql } from "./sql.ts";

/** Something that may have changed. `*` stands for all of them: the message had no room for the list. */
export type Topic =
  | `run:${string}`
  | `trigger:${string}`
  | `workflow_run:${string}`
  | "queue"
  | "wakes"
  | "schedule"
  | "deliveries"
  | "jobs"
  | "*";

/**
 * Hints that there is something to read. Within the process at once; to other processes by NOTIFY, after the commit, in
 * a transaction of its own, with at most one in flight: a notification inside a busy transaction makes commits queue
 * behind each other. A lost hint costs latency, not data, since every reader polls behind it.
 */
export interface Signals {
  publish(topics: readonly Topic[]): void;
  /** For what concerns this process only, such as its room. */
  tell(topics: readonly Topic[]): void;
  /** Calls `listener` on each hint for `topic`; returns how to stop. */
  subscribe(topic: Topic, listener: () => void): () => void;
  /** Whether other processes live on this database; while there are none, nothing is sent. */
  setPeers(present: boolean): void;
  close(): Promise<void>;
}

const CHANNEL = "strait";
/** PostgreSQL refuses a payload of 8,000 bytes. */
const MAX_PAYLOAD = 7_900;
const RECONNECT_MS = 500;

/** What cannot be read may mean anything, so everybody looks. */
function parse(payload: string | undefined): Message {
  try {
    const { from, topics } = JSON.parse(payload ?? "") as Partial<Message>;
    if (typeof from === "string" && Array.isArray(topics)) return { from, topics };
  } catch {
    // Said by the answer.
  }
  return { from: "", topics: ["*"] };
}

interface Message {
  readonly from: string;
  readonly topics: readonly Topic[];
}

export async function openSignals(db: Queryable, url: string, onError: (error: unknown) => void): Promise<Signals> {
  const me = randomUUID();
  const listeners = new Map<Topic, Set<() => void>>();
  const pending = new Set<Topic>();
  let peers = false;
  let closed = false;
  let sending: Promise<void> | undefined;
  let client: pg.Client | undefined;

  function tell(topics: readonly Topic[]): void {
    for (const topic of topics.includes("*") ? listeners.keys() : topics) {
      for (const listener of listeners.get(topic) ?? []) listener();
    }
  }

  async function send(): Promise<void> {
    while (pending.size > 0 && !closed) {
      let text = JSON.stringify({ from: me, topics: [...pending] } satisfies Message);
      if (Buffer.byteLength(text) > MAX_PAYLOAD) text = JSON.stringify({ from: me, topics: ["*"] } satisfies Message);
      pending.clear();
      await db.query(sql`SELECT pg_notify(${CHANNEL}, ${text})`).catch(onError);
    }
    sending = undefined;
  }

  async function listen(): Promise<void> {
    const next = new pg.Client({ connectionString: url, application_name: "strait listen", keepAlive: true });
    next.on("notification", ({ payload }) => {
      const message = parse(payload);
      if (message.from !== me) tell(message.topics);
    });
    next.on("error", onError);
    next.on("end", () => {
      if (!closed && client === next) void reconnect();
    });
    await next.connect();
    await next.query(`LISTEN ${CHANNEL}`);
    client = next;
  }

  async function reconnect(): Promise<void> {
    while (!closed) {
      await new Promise((resolve) => setTimeout(resolve, RECONNECT_MS).unref());
      try {
        await listen();
        // Hints sent meanwhile are gone, so everybody reads.
        tell(["*"]);
        return;
      } catch (error) {
        onError(error);
      }
    }
  }

  await listen();
  return {
    tell,
    publish(topics) {
      tell(topics);
      if (!peers || closed) return;
      for (const topic of topics) pending.add(topic);
      sending ??= send();
    },
    subscribe(topic, listener) {
      const set = listeners.get(topic) ?? new Set();
      listeners.set(topic, set.add(listener));
      return () => {
        set.delete(listener);
        if (set.size === 0 && listeners.get(topic) === set) listeners.delete(topic);
      };
    },
    setPeers(present) {
      peers = present;
    },
    async close() {
      closed = true;
      await sending;
      await client?.end().catch(onError);
    },
  };
}
