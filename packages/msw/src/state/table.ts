/** Rows by id, with everything that they have been: a stream tells it, and a cursor is a place in it. */
export class Table<Row extends { readonly id: string }> {
  readonly #versions = new Map<string, Row[]>();
  readonly #watchers = new Map<string, Set<() => void>>();

  get(id: string): Row | undefined {
    return this.#versions.get(id)?.at(-1);
  }

  /** In the order in which they were made. */
  all(): Row[] {
    return [...this.#versions.values()].flatMap((versions) => versions.at(-1) ?? []);
  }

  /** Every version of a row, the first one first. */
  versions(id: string): readonly Row[] {
    return this.#versions.get(id) ?? [];
  }

  put(row: Row): Row {
    const versions = this.#versions.get(row.id) ?? [];
    this.#versions.set(row.id, versions);
    versions.push(row);
    for (const tell of this.#watchers.get(row.id) ?? []) tell();
    return row;
  }

  /** The next version of a row: with these members changed. */
  change(row: Row, changes: Partial<Row>): Row {
    return this.put({ ...row, ...changes });
  }

  remove(id: string): void {
    this.#versions.delete(id);
  }

  /** Calls `tell` after each new version, until the function that is returned is called. */
  watch(id: string, tell: () => void): () => void {
    const watchers = this.#watchers.get(id) ?? new Set();
    this.#watchers.set(id, watchers);
    watchers.add(tell);
    return () => watchers.delete(tell);
  }
}
