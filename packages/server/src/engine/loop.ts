/** What a tick did, and when the next one has something to do. */
export interface Tick {
  /** Items handled; another tick follows at once while there are any. */
  readonly handled: number;
  /** Milliseconds until the next known item falls due. Absent: look again after `idleMs`. */
  readonly nextMs?: number;
}

/** A piece of background work. A tick may run twice, or on two machines at once, without harm. */
export interface Task {
  readonly name: string;
  /** Milliseconds between looks when nothing is known to come. */
  readonly idleMs: number;
  tick(): Promise<Tick>;
}

export interface Loop {
  /** Cuts the sleep short, for instance when a signal reports new work. Never lost: a wake during a tick causes another. */
  wake(): void;
  /** Lets the current tick finish, then stops. Safe to call twice. */
  stop(): Promise<void>;
}

/** Runs `task` until stopped: again at once after a busy tick, else when the next item falls due, or after `idleMs`. */
export function startLoop(task: Task, onError: (task: Task, error: unknown) => void): Loop {
  let stopped = false;
  let woken = false;
  let endSleep = () => {};

  async function run(): Promise<void> {
    while (!stopped) {
      woken = false;
      const tick = await task.tick().catch((error: unknown): Tick => {
        onError(task, error);
        return { handled: 0 };
      });
      if (tick.handled === 0 && !woken && !stopped) await sleep(delayOf(task, tick));
    }
  }

  function sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      endSleep = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  const finished = run();
  return {
    wake() {
      woken = true;
      endSleep();
    },
    stop() {
      stopped = true;
      endSleep();
      return finished;
    },
  };
}

/**
 * Due times are kept; only idle looks are spread, so that many processes do not poll in step. They come at most 20 %
 * earlier and never later: what falls due `idleMs` after it was made is looked at before.
 */
function delayOf({ idleMs }: Task, { nextMs }: Tick): number {
  const idle = idleMs * (0.8 + Math.random() * 0.2);
  return nextMs === undefined ? idle : Math.min(idle, Math.max(nextMs, 1));
}
