import { signedTokens } from "./signed-token.ts";

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

interface Signed extends Omit<RunTokenClaims, "runId"> {
  /** Seconds since 1970. */
  readonly expiresAt: number;
  readonly token: string;
}

const ISSUER = "strait:run-token";
const MAX_RECENT = 512;
/** A run that goes on by itself keeps itself alive by heartbeats, so its token outlives the job's timeout by a day. */
export const TOKEN_GRACE_SECS = 86_400;

/** The tokens that dispatches carry. */
export function runTokens(key: string, nowMs: () => number): RunTokens {
  const tokens = signedTokens<{ sub: string; pid: string; att: number; seq: number }>(key, ISSUER, nowMs);
  /** By its run: one that starts at once is told its token twice, its endpoint and whoever triggered it. */
  let recent = new Map<string, Signed>();

  return {
    sign({ runId, projectId, attempt, dispatchSeq }, lifetimeSecs) {
      const known = recent.get(runId);
      if (
        known?.projectId === projectId &&
        known.attempt === attempt &&
        known.dispatchSeq === dispatchSeq &&
        known.expiresAt === Math.floor(nowMs() / 1000) + lifetimeSecs
      ) {
        return known.token;
      }
      const claims = { sub: runId, pid: projectId, att: attempt, seq: dispatchSeq };
      const { token, expiresAt } = tokens.sign(claims, lifetimeSecs);
      if (recent.size === MAX_RECENT) recent = new Map();
      recent.set(runId, { projectId, attempt, dispatchSeq, expiresAt, token });
      return token;
    },
    verify(token) {
      const { sub, pid, att, seq } = tokens.verify(token);
      return { runId: sub, projectId: pid, attempt: att, dispatchSeq: seq };
    },
  };
}
