import * as leases from "../store/leases.ts";
import type { Queryable } from "../store/sql.ts";

export interface LeaseKeeperOptions {
  /** A connection of its own: a heartbeat must not queue behind the work that it vouches for. */
  readonly db: Queryable;
  readonly process: string;
  readonly durationMs: number;
  /** At most a third of the duration, so that two heartbeats may be lost before anything is done about it. */
  readonly heartbeatMs: number;
  readonly onPeers: (present: boolean) => void;
  /** Called when this life is over: somebody declared it dead, or it could not be confirmed in time. */
  readonly onLost: () => void;
  readonly onError: (error: unknown) => void;
  /** Milliseconds of a clock that never goes back. */
  readonly monotonicMs: () => number;
}

/** After this many claims a new lease is opened, so that a rescue reads a bounded range of runs. */
const CLAIMS_PER_LEASE = 50_000;
/** Without a confirmed heartbeat for this share of the lease nothing new is claimed … */
const CLAIM_SHARE = 0.5;
/** … and for this share the calls are aborted: soon somebody else may start the same runs. */
const ABORT_SHARE = 0.8;
/** A new life is tried to begin this often. */
const REOPEN_MS = 1_000;

/**
 * The life of this process as the database sees it. Runs that it executes carry the current lease; when heartbeats are
 * missed for the lease's duration, others declare it dead and rescue them.
 */
export class LeaseKeeper {
  readonly #options: LeaseKeeperOptions;
  #held: number[] = [];
  #current: number | undefined;
  #claims = 0;
  #confirmedAt = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #beating: Promise<void> | undefined;
  #isLost = false;

  constructor(options: LeaseKeeperOptions) {
    this.#options = options;
  }

  /** Opens a life, at the start and after one was lost. */
  async open(): Promise<void> {
    const { db, process, durationMs, monotonicMs } = this.#options;
    const asked = monotonicMs();
    const id = await leases.open(db, process, durationMs);
    this.#held = [id];
    this.#current = id;
    this.#claims = 0;
    this.#confirmedAt = asked;
    this.#isLost = false;
    this.#schedule();
  }

  /** The lease to claim on; null while this process must not claim. */
  get claimable(): number | null {
    const { durationMs, monotonicMs } = this.#options;
    if (this.#current === undefined || this.#isLost) return null;
    return monotonicMs() - this.#confirmedAt < durationMs * CLAIM_SHARE ? this.#current : null;
  }

  /** Every lease on which this process may still execute something. */
  get held(): readonly number[] {
    return this.#held;
  }

  claimed(count: number): void {
    this.#claims += count;
  }

  /** One heartbeat, now. */
  beat(): Promise<void> {
    this.#beating ??= this.#beat().finally(() => {
      this.#beating = undefined;
    });
    return this.#beating;
  }

  /** Ends this life in good order. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#beating;
    this.#current = undefined;
    if (!this.#isLost) await leases.close(this.#options.db, this.#held);
  }

  async #beat(): Promise<void> {
    const { db, durationMs, monotonicMs, onPeers, onError } = this.#options;
    const asked = monotonicMs();
    try {
      const { alive, has_peers } = await leases.beat(db, this.#held, durationMs);
      onPeers(has_peers);
      if (!alive) return this.#lose();
      this.#confirmedAt = asked;
      if (this.#claims >= CLAIMS_PER_LEASE) await this.#renew();
    } catch (error) {
      onError(error);
    }
    if (monotonicMs() - this.#confirmedAt > durationMs * ABORT_SHARE) this.#lose();
  }

  /** A new lease for what is claimed from now on; the old ones are kept alive for what they still execute. */
  async #renew(): Promise<void> {
    const { db, process, durationMs } = this.#options;
    const id = await leases.open(db, process, durationMs);
    // Nothing is claimed on the old ones from here on, so what they hold can only become less.
    const replaced = this.#held;
    this.#held = [...replaced, id];
    this.#current = id;
    this.#claims = 0;
    for (const old of replaced) {
      const [busy] = await leases.runsOf(db, old, 1);
      if (busy) continue;
      await leases.close(db, [old]);
      this.#held = this.#held.filter((held) => held !== old);
    }
  }

  #lose(): void {
    if (this.#isLost) return;
    this.#isLost = true;
    this.#options.onLost();
    void this.#reopen();
  }

  /** Begins a new life, as soon as the database lets it. */
  async #reopen(): Promise<void> {
    while (this.#timer !== undefined && this.#isLost) {
      try {
        await this.open();
      } catch (error) {
        this.#options.onError(error);
        await new Promise((resolve) => setTimeout(resolve, REOPEN_MS).unref());
      }
    }
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(async () => {
      await this.beat();
      if (this.#timer !== undefined && !this.#isLost) this.#schedule();
    }, this.#options.heartbeatMs);
    this.#timer.unref();
  }
}
