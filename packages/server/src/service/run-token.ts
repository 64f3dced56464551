import { createHmac, timingSafeEqual } from "node:crypto";
import { tokenExpired, unauthorized } from "../domain/errors.ts";

/** What a run's token says: which run, of which project, and which dispatch of it may act. */
export interface RunTokenClaims {
  readonly runId: string;
  readonly projectId: string;
  readonly attempt: number;
  readonly dispatchSeq: number;
}

export interface RunTokens {
  /** @param lifetimeSecs - From now; the dispatch number ends a token earlier than its time in every normal case. */
  sign(claims: RunTokenClaims, lifetimeSecs: number): string;
  /** @throws {StraitError} `unauthorized`, or `token_expired` for a genuine token whose time is over. */
  verify(token: string): RunTokenClaims;
}

const ISSUER = "strait:run-token";
const HEADER = Buffer.from('{"alg":"HS256","typ":"JWT"}').toString("base64url");
const MAX_RECENT = 512;
/** A run that goes on by itself keeps itself alive by heartbeats, so its token outlives the job's timeout by a day. */
export const TOKEN_GRACE_SECS = 86_400;

/**
 * Run tokens are JWTs, HS256, made with `node:crypto`: a tenth of what a general library costs, on the path of every run.
 *
 * @param nowMs - The database's time, so that tokens live by the clock that decides everything else.
 */
export function runTokens(key: string, nowMs: () => number): RunTokens {
  const signatureOf = (content: string) => createHmac("sha256", key).update(content).digest();
  /** A run that starts at once is told its token twice: its endpoint, and whoever triggered it. */
  let recent = new Map<string, string>();

  function remember(name: string, token: string): string {
    if (recent.size === MAX_RECENT) recent = new Map();
    recent.set(name, token);
    return token;
  }

  return {
    sign({ runId, projectId, attempt, dispatchSeq }, lifetimeSecs) {
      const iat = Math.floor(nowMs() / 1000);
      const name = `${projectId} ${runId} ${attempt} ${dispatchSeq} ${iat} ${lifetimeSecs}`;
      const known = recent.get(name);
      if (known !== undefined) return known;
      const claims = {
        iss: ISSUER,
        sub: runId,
        pid: projectId,
        att: attempt,
        seq: dispatchSeq,
        iat,
        exp: iat + lifetimeSecs,
      };
      const content = `${HEADER}.${Buffer.from(JSON.stringify(claims)).toString("base64url")}`;
      return remember(name, `${content}.${signatureOf(content).toString("base64url")}`);
    },
    verify(token) {
      const [header, body, signature, ...rest] = token.split(".");
      if (header !== HEADER || body === undefined || signature === undefined || rest.length > 0) throw unauthorized();
      const given = Buffer.from(signature, "base64url");
      const expected = signatureOf(`${header}.${body}`);
      if (given.length !== expected.length || !timingSafeEqual(given, expected)) throw unauthorized();
      const claims = JSON.parse(Buffer.from(body, "base64url").toString());
      if (claims.iss !== ISSUER) throw unauthorized();
      if (claims.exp * 1000 <= nowMs()) throw tokenExpired(new Date(claims.exp * 1000).toISOString());
      return { runId: claims.sub, projectId: claims.pid, attempt: claims.att, dispatchSeq: claims.seq };
    },
  };
}
