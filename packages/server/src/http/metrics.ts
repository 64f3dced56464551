import { unauthorized } from "../domain/errors.ts";
import type { Metrics } from "../service/metrics.ts";
import { isSameSecret } from "./authenticate.ts";

const BEARER = /^Bearer (.+)$/i;

/**
 * What Prometheus reads, for whoever has the internal secret. As a bearer token too, since scrapers can send that.
 *
 * @throws {StraitError} `unauthorized`.
 */
export async function readMetrics(
  metrics: Metrics,
  header: (name: string) => string | undefined,
  internalSecret: string,
): Promise<{ readonly text: string; readonly contentType: string }> {
  const given = header("x-internal-secret") ?? BEARER.exec(header("authorization") ?? "")?.[1];
  if (given === undefined || !isSameSecret(given, internalSecret)) {
    throw unauthorized(
      "the metrics are the operator's; send the internal secret as `Authorization: Bearer` or X-Internal-Secret",
    );
  }
  return { text: await metrics.read(), contentType: "text/plain; version=0.0.4; charset=utf-8" };
}
