/** A question that somebody waits to have answered. */
export interface Question {
  readonly key: string;
  readonly asks: { readonly title: string; readonly [name: string]: string | number };
  readonly timeoutSecs: number | null;
}

/** Strait as the page sees it: a real server, or the mocks. */
export interface World {
  readonly straitUrl: string;
  readonly apiKey: string;
  /** Makes something wait for an answer. */
  ask(question: Question): Promise<void>;
  close(): Promise<void>;
}
