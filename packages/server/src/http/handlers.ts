import type { OperationId, Operations, StreamEvent } from "@strait/contract";
import type { Caller, Context } from "../service/context.ts";
import type { StreamTokenClaims } from "../service/create-stream-token.ts";
import type { EnqueuedRun, RunRequest } from "../service/enqueue-run.ts";
import type { RunOutcome, RunResult } from "../service/finish-run.ts";
import type { Batched } from "../service/lane.ts";
import type { RunTokens } from "../service/run-token.ts";
import type { SendAnswer, SendEvent } from "../service/sending.ts";
import type { SignedTokens } from "../service/signed-token.ts";
import type { Signer } from "../service/signing.ts";
import type { RunCaller } from "../service/wait-for-event.ts";
import type { IdempotencyKey } from "../store/idempotency.ts";
import type { StreamHub } from "./stream-hub.ts";
import type { EventStream } from "./streams.ts";

/** What handlers use besides the context. */
export interface Services {
  readonly context: Context;
  readonly lanes: {
    readonly enqueue: Batched<RunRequest, EnqueuedRun>;
    readonly send: Batched<SendEvent, SendAnswer>;
    readonly finish: Batched<RunOutcome, RunResult>;
  };
  readonly tokens: RunTokens;
  readonly streamTokens: SignedTokens<StreamTokenClaims>;
  readonly signer: Signer;
  readonly limits: {
    readonly maxBodyBytes: number;
    readonly maxResultBytes: number;
  };
  readonly streams: StreamHub;
  /** Components of the readiness answer besides the database. */
  readonly isDraining: () => boolean;
  /** Forgets cached credentials, after one was revoked. */
  readonly forgetKeys: () => void;
}

/** A request whose credentials, path, query and body have already been checked against the contract. */
export interface Call<Id extends OperationId> extends Services {
  /** Who asks: the dispatch of a run where the operation takes run tokens, else the owner of a key. */
  readonly caller: Operations[Id]["tag"] extends "sdk-runs" ? RunCaller : Caller;
  readonly path: Operations[Id]["path"];
  readonly query: Operations[Id]["query"];
  readonly headers: Operations[Id]["headers"];
  readonly body: Operations[Id]["body"];
  /** Set for the operations that store their own answers; the others join a transaction that does. */
  readonly idempotency: IdempotencyKey | null;
}

/** What the contract promises; of a stream that it tells many readers at once, so it is no iterable of each. */
type Result<Response> = Response extends AsyncIterable<StreamEvent> ? EventStream : Response;

export type Handler<Id extends OperationId> = (call: Call<Id>) => Promise<Result<Operations[Id]["response"]>>;

/** A handler for every operation that the contract files under `Tag`: none missing, none extra. */
export type HandlersOf<Tag extends Operations[OperationId]["tag"]> = {
  readonly [Id in OperationId as Operations[Id]["tag"] extends Tag ? Id : never]: Handler<Id>;
};
