/** An answer of the server under test. */
export interface Answer {
  readonly status: number;
  // A check names what it expects of a body.
  // biome-ignore lint/suspicious/noExplicitAny: see above
  readonly body: any;
  readonly headers: Headers;
}

export interface RequestOptions {
  readonly body?: unknown;
  /** An API key or a run token; null sends none. The key of the suite by default. */
  readonly token?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** Requests, spread over the processes of the server under test. */
export interface Api {
  request(method: string, path: string, options?: RequestOptions): Promise<Answer>;
  /** The response as it comes, for streams. */
  fetch(method: string, path: string, options?: RequestOptions): Promise<Response>;
  /** The base URL whose turn it is. */
  nextUrl(): string;
  /** The same processes under another key. */
  withKey(apiKey: string): Api;
}

/** @param urls - The base URL of each process; they take turns. */
export function openApi(urls: readonly string[], apiKey: string): Api {
  let turn = 0;
  const nextUrl = () => urls[turn++ % urls.length] ?? "";

  async function send(
    method: string,
    path: string,
    { body, token = apiKey, headers, signal }: RequestOptions = {},
  ): Promise<Response> {
    const url = `${nextUrl()}${path}`;
    try {
      return await fetch(url, {
        method,
        redirect: "manual",
        headers: {
          ...(token === null ? {} : { authorization: `Bearer ${token}` }),
          ...(body === undefined ? {} : { "content-type": "application/json" }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        ...(signal ? { signal } : {}),
      });
    } catch (error) {
      const { message, cause } = error as Error;
      throw new Error(`${method} ${url} got no answer: ${cause instanceof Error ? cause.message : message}`);
    }
  }

  return {
    nextUrl,
    withKey: (key) => openApi(urls, key),
    fetch: send,
    async request(...given) {
      const response = await send(...given);
      const text = await response.text();
      return { status: response.status, body: parsed(text), headers: response.headers };
    },
  };
}

/** An answer that is no JSON is a finding of the check that expected one. */
function parsed(text: string): unknown {
  if (text === "") return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
