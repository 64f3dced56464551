import { checkEncoding } from "@strait/server/pure";
import { HttpHandler, matchRequestUrl } from "msw";

type Parsing = Parameters<HttpHandler["parse"]>[0];

/**
 * A handler that takes its path parameters as they were sent: what MSW cannot decode would be an error of the program
 * that calls, and is to be a refusal. It answers HEAD where it answers GET.
 */
export class OperationHandler extends HttpHandler {
  /** @param method - In upper case; `*` for any. */
  constructor(
    method: string,
    path: string,
    answer: (request: Request, params: Readonly<Record<string, string>>) => Response | Promise<Response>,
  ) {
    const methods = method === "*" ? /./ : method === "GET" ? /^(GET|HEAD)$/ : method;
    super(methods, path, async ({ request, params }) => {
      const response = await answer(request, params);
      return request.method === "HEAD" ? withoutBody(response) : response;
    });
  }

  override async parse({ request, resolutionContext }: Parsing): ReturnType<HttpHandler["parse"]> {
    const url = new URL(request.url);
    const path = String(this.info.path);
    // MSW takes a path for the same with a slash behind it; the server does not.
    if (url.pathname.length > 1 && url.pathname.endsWith("/") && !/[/*]$/.test(path)) return NO_MATCH;
    // Decoding leads back to what was sent; so the escapes of a base URL are kept, too.
    url.pathname = kept(url.pathname);
    return { match: matchRequestUrl(url, kept(path), resolutionContext?.baseUrl), cookies: {} };
  }
}

const NO_MATCH = { match: { matches: false, params: {} }, cookies: {} };

const kept = (path: string): string => path.replaceAll("%", "%25");

function withoutBody(response: Response): Response {
  void response.body?.cancel();
  const { status, headers } = response;
  return new Response(null, { status, headers });
}

/** Decodes path parameters exactly once, as the server does. @throws {StraitError} `validation_error` */
export function decoded(params: Readonly<Record<string, string>>): Record<string, string> {
  for (const text of Object.values(params)) checkEncoding(text, "/path");
  return Object.fromEntries(Object.entries(params).map(([name, text]) => [name, decodeURIComponent(text)]));
}
