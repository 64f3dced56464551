/** Things that take off and land: each once, however often its landing is reported. */
export class Flights<Id> {
  /** Resolves when all have landed. */
  readonly landed: Promise<void>;
  /** Milliseconds from take-off to landing, of those that have landed. */
  readonly latenciesMs: number[] = [];
  readonly #inTheAir = new Map<Id, number>();
  readonly #count: number;
  #resolve = () => {};

  constructor(count: number) {
    this.#count = count;
    this.landed = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  takeOff(id: Id): void {
    this.#inTheAir.set(id, performance.now());
  }

  land(id: Id): void {
    const since = this.#inTheAir.get(id);
    if (since === undefined) return;
    this.#inTheAir.delete(id);
    this.latenciesMs.push(performance.now() - since);
    if (this.latenciesMs.length === this.#count) this.#resolve();
  }
}
