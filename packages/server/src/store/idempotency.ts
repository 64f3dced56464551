import { type Queryable, records, sql } from "./sql.ts";

/** Names a request that must take effect once: who may repeat it, what it is, and what it said. */
export interface IdempotencyKey {
  readonly project_id: string;
  /** The operation with its path parameters. */
  readonly target: string;
  readonly key: string;
  /** SHA-256 of the request body, hex. */
  readonly body_hash: string;
}

export interface StoredAnswer extends IdempotencyKey {
  /** Null while the transaction that took the key has not answered; seen only by itself. */
  readonly status: number | null;
  readonly response: string | null;
}

const keyTypes = { project_id: "text", target: "text", key: "text", body_hash: "text" } as const;
const KEPT = sql`interval '24 hours'`;

/**
 * Takes keys for requests, in order, and returns those that were free. A key that another transaction is about to take
 * blocks until that one ends; an expired one is free again.
 */
export function take(tx: Queryable, keys: readonly IdempotencyKey[]): Promise<IdempotencyKey[]> {
  return tx.query<IdempotencyKey>(sql`
    INSERT INTO idempotency_keys AS k (project_id, target, key, body_hash, expires_at)
    SELECT DISTINCT ON (project_id, target, key) project_id, target, key, body_hash, strait_now() + ${KEPT}
    FROM ${records("i", keyTypes, keys)} ORDER BY project_id, target, key
    ON CONFLICT (project_id, target, key) DO UPDATE SET body_hash = excluded.body_hash, status = NULL, response = NULL,
      created_at = strait_now(), expires_at = excluded.expires_at
    WHERE k.expires_at <= strait_now()
    RETURNING k.project_id, k.target, k.key, k.body_hash`);
}

/** The answers that were stored for keys that were not free. */
export function find(tx: Queryable, keys: readonly IdempotencyKey[]): Promise<StoredAnswer[]> {
  return tx.query<StoredAnswer>(sql`
    SELECT k.project_id, k.target, k.key, k.body_hash, k.status, k.response
    FROM ${records("i", keyTypes, keys)}
    JOIN idempotency_keys k ON k.project_id = i.project_id AND k.target = i.target AND k.key = i.key`);
}

/** Stores the answers of requests whose keys this transaction has taken. */
export async function answer(
  tx: Queryable,
  answers: readonly (Omit<StoredAnswer, "body_hash"> & { readonly status: number })[],
): Promise<void> {
  await tx.query(sql`
    UPDATE idempotency_keys k SET status = i.status, response = i.response
    FROM ${records(
      "i",
      { project_id: "text", target: "text", key: "text", status: "int4", response: "text" },
      answers.map(({ project_id, target, key, status, response }) => ({ project_id, target, key, status, response })),
    )}
    WHERE k.project_id = i.project_id AND k.target = i.target AND k.key = i.key`);
}

/** Gives keys back whose request was refused, so that it may be repeated with another outcome. */
export async function release(tx: Queryable, keys: readonly IdempotencyKey[]): Promise<void> {
  await tx.query(sql`
    DELETE FROM idempotency_keys k USING ${records("i", keyTypes, keys)}
    WHERE k.project_id = i.project_id AND k.target = i.target AND k.key = i.key AND k.status IS NULL`);
}

/** Deletes expired keys, at most `limit`; returns how many. */
export async function purge(db: Queryable, limit: number): Promise<number> {
  const rows = await db.query(sql`
    DELETE FROM idempotency_keys WHERE ctid = ANY(ARRAY(
      SELECT ctid FROM idempotency_keys WHERE expires_at <= strait_now() LIMIT ${limit} FOR UPDATE SKIP LOCKED))
    RETURNING 1`);
  return rows.length;
}

export interface RunKey {
  readonly project_id: string;
  readonly job_id: string;
  readonly key: string;
  readonly run_id: string;
  readonly body_hash: string;
}

const runKeyTypes = { project_id: "text", job_id: "text", key: "text", run_id: "text", body_hash: "text" } as const;

/**
 * Takes keys for runs to be born, sorted, and returns the run ids that may be born. The row is there before the run, so
 * two triggers with one key cannot both insert a run; a key whose run ended more than a day ago is free.
 */
export async function takeForRuns(tx: Queryable, keys: readonly RunKey[]): Promise<Set<string>> {
  const rows = await tx.query<{ run_id: string }>(sql`
    INSERT INTO run_idempotency AS k (project_id, job_id, key, run_id, body_hash)
    SELECT DISTINCT ON (project_id, job_id, key) project_id, job_id, key, run_id, body_hash
    FROM ${records("i", runKeyTypes, keys)} ORDER BY project_id, job_id, key, run_id
    ON CONFLICT (project_id, job_id, key) DO UPDATE SET run_id = excluded.run_id, body_hash = excluded.body_hash,
      expires_at = NULL
    WHERE k.expires_at <= strait_now()
    RETURNING k.run_id`);
  return new Set(rows.map((row) => row.run_id));
}

export interface KeyedRun {
  readonly project_id: string;
  readonly job_id: string;
  readonly key: string;
  readonly run_id: string;
  readonly body_hash: string;
  readonly status: string;
  readonly dispatch_seq: number;
  readonly attempt: number;
}

/** The runs that hold keys which were not free. A key that is gone by now is missing: its trigger starts over. */
export function findRuns(tx: Queryable, keys: readonly RunKey[]): Promise<KeyedRun[]> {
  return tx.query<KeyedRun>(sql`
    SELECT k.project_id, k.job_id, k.key, k.run_id, k.body_hash, r.status, r.dispatch_seq, r.attempt
    FROM ${records("i", runKeyTypes, keys)}
    JOIN run_idempotency k ON k.project_id = i.project_id AND k.job_id = i.job_id AND k.key = i.key
    JOIN runs r ON r.project_id = k.project_id AND r.id = k.run_id`);
}

export async function purgeRunKeys(db: Queryable, limit: number): Promise<number> {
  const rows = await db.query(sql`
    DELETE FROM run_idempotency WHERE ctid = ANY(ARRAY(
      SELECT ctid FROM run_idempotency WHERE expires_at <= strait_now() LIMIT ${limit} FOR UPDATE SKIP LOCKED))
    RETURNING 1`);
  return rows.length;
}
