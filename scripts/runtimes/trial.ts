/** One way to use the packed packages. */
export interface Trial {
  readonly name: string;
  /** Why it cannot be tried on this machine; undefined when it can. */
  readonly skipped?: string | undefined;
  /** Resolves to what is wrong, or undefined. */
  run(): Promise<string | undefined>;
}
