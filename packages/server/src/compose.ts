import { hostname } from "node:os";
import type { Logger } from "pino";
import type { Config } from "./config.ts";
import { circuits as createCircuits } from "./engine/circuits.ts";
import { Dispatcher } from "./engine/dispatcher.ts";
import { createEngine, type Engine } from "./engine/engine.ts";
import { LeaseKeeper } from "./engine/lease-keeper.ts";
import { openOutbound } from "./engine/outbound.ts";
import { deliverWebhooks } from "./engine/tasks/deliver-webhooks.ts";
import { createApp } from "./http/app.ts";
import { authenticator as createAuthenticator } from "./http/authenticate.ts";
import type { Services } from "./http/handlers.ts";
import { streamHub } from "./http/stream-hub.ts";
import type { Secrets } from "./secrets.ts";
import type { Context } from "./service/context.ts";
import { STREAM_TOKEN_ISSUER, type StreamTokenClaims } from "./service/create-stream-token.ts";
import { enqueueRunLane } from "./service/enqueue-run.ts";
import { finishRunLane } from "./service/finish-run.ts";
import { jobCache } from "./service/job-cache.ts";
import { createMetrics } from "./service/metrics.ts";
import { refusals } from "./service/refusals.ts";
import { runTokens } from "./service/run-token.ts";
import { sendEventLane } from "./service/send-event.ts";
import { signedTokens } from "./service/signed-token.ts";
import { signer as createSigner } from "./service/signing.ts";
import { triggerQuota } from "./service/trigger-quota.ts";
import { openSignals } from "./store/channel.ts";
import { databaseClock } from "./store/clock.ts";
import { openDatabase } from "./store/database.ts";
import { depth } from "./store/run-queue.ts";

export interface Server {
  /** @param env - What Node's server knows about the request, where it comes from there. */
  fetch(request: Request, env?: object): Response | Promise<Response>;
  readonly engine: Engine;
  readonly dispatcher: Dispatcher;
  readonly context: Context;
  /**
   * Stops claiming, lets calls under way end or puts their runs back, and ends streams. Requests are still answered: the
   * executors of those calls report by them.
   */
  drain(): Promise<void>;
  /** Drains, and closes every connection. */
  close(): Promise<void>;
}

export interface ServerOptions {
  readonly config: Config;
  readonly secrets: Secrets;
  readonly databaseUrl: string;
  readonly log: Logger;
  /** False leaves the tasks to whoever calls their `tick()`: tests that decide what happens when. */
  readonly runsEngine?: boolean;
}

/** As many as attempts can be under way: an attempt's time must not pass while it waits for a socket. */
const CONNECTIONS_PER_RECEIVER = 64;
/** What a receiver of webhooks answers is not kept. */
const MAX_RECEIPT_BYTES = 64 * 1024;
const CLOCK_MS = 10_000;
/** How often it is written down how often a caller was refused the same again. */
const REFUSALS_MS = 60_000;
/** Of the lease: with the interval between heartbeats it stays below the share at which calls are aborted. */
const HEARTBEAT_SHARE = 0.3;

/** Puts the server together on a migrated database. The only file that knows every folder. */
export async function createServer(options: ServerOptions): Promise<Server> {
  const { config, secrets, databaseUrl, log, runsEngine = true } = options;
  const onError = (where: string) => (error: unknown) => log.error({ err: error, where }, "background work failed");
  const connection = { url: databaseUrl, onIdleError: onError("database") };
  const db = openDatabase({ ...connection, maxConnections: config.database.maxConnections });
  // A connection of its own. When nothing comes back on it this life must end itself in time, so it does not wait long.
  const heartbeats = openDatabase({
    ...connection,
    maxConnections: 1,
    applicationName: "strait heartbeat",
    queryTimeoutMs: config.worker.leaseMs * HEARTBEAT_SHARE,
  });
  const clock = databaseClock();
  await clock.synchronize(db);
  const clockTimer = setInterval(() => clock.synchronize(db).catch(onError("clock")), CLOCK_MS);
  clockTimer.unref();
  const signals = await openSignals(db, databaseUrl, onError("signals"));

  const tokens = runTokens(secrets.jwtSigningKey, () => clock.nowMs());
  const streamTokens = signedTokens<StreamTokenClaims>(secrets.jwtSigningKey, STREAM_TOKEN_ISSUER, () => clock.nowMs());
  const signer = createSigner(secrets.jwtSigningKey);
  const outbound = openOutbound({
    allowPrivate: config.worker.allowPrivateEndpoints,
    maxResponseBytes: config.worker.maxResultBytes,
    // One for each run that executes: a run's time must not pass while it waits for a socket.
    connections: config.worker.concurrency,
  });
  const lease = new LeaseKeeper({
    db: heartbeats,
    process: `${hostname()}:${process.pid}`,
    durationMs: config.worker.leaseMs,
    heartbeatMs: config.worker.heartbeatMs,
    onPeers: (present) => signals.setPeers(present),
    onLost: () => {
      log.error("this process was taken for dead: its calls are aborted, and it begins a new life");
      dispatcher.abortAll();
    },
    onError: onError("heartbeat"),
    monotonicMs: () => performance.now(),
  });
  const circuits = createCircuits(db, onError("circuits"));
  const metrics = createMetrics(() => ({
    inFlight: () => dispatcher.inFlight,
    queueDepth: () => depth(db),
  }));
  const dispatcher: Dispatcher = new Dispatcher({
    room: config.mode === "api" ? 0 : config.worker.concurrency,
    lease,
    outbound,
    circuits,
    tokens,
    signer,
    onError: onError("dispatch"),
    onRoom: () => signals.tell(["queue"]),
  });
  const context: Context = {
    db,
    clock,
    signals,
    worker: dispatcher,
    jobs: jobCache(db, signals),
    metrics,
    quota: triggerQuota(() => performance.now()),
    allowPrivateEndpoints: config.worker.allowPrivateEndpoints,
  };
  const lanes = {
    enqueue: enqueueRunLane(context),
    send: sendEventLane(context),
    finish: finishRunLane(context),
  };
  dispatcher.connect(context, lanes.finish);
  const webhookOutbound = openOutbound({
    allowPrivate: config.worker.allowPrivateEndpoints,
    maxResponseBytes: MAX_RECEIPT_BYTES,
    connections: CONNECTIONS_PER_RECEIVER,
  });
  const webhooks = deliverWebhooks({
    context,
    signer,
    outbound: webhookOutbound,
    onError: onError("deliver-webhooks"),
  });
  const engine = createEngine({
    context,
    dispatcher,
    lease,
    circuits,
    webhooks,
    leaseMs: config.worker.leaseMs,
    eventRetentionMs: config.retention.eventsMs,
    auditRetentionMs: config.retention.auditMs,
    drainTimeoutMs: config.worker.drainTimeoutMs,
    onError: (error, task) => onError(task)(error),
  });

  const streams = streamHub(context, {
    keepaliveMs: config.http.keepaliveMs,
    maxPerProject: config.http.maxStreamsPerProject,
    onError: onError("streams"),
  });
  let drained: Promise<void> | undefined;
  const authenticator = createAuthenticator(
    context,
    tokens,
    streamTokens,
    secrets.internalSecret,
    onError("authenticate"),
  );
  const services: Services = {
    context,
    lanes,
    tokens,
    streamTokens,
    signer,
    limits: {
      maxBodyBytes: config.http.maxBodyBytes,
      maxResultBytes: config.worker.maxResultBytes,
    },
    streams,
    isDraining: () => drained !== undefined,
    forgetKeys: () => authenticator.forget(),
  };
  const refused = refusals(context, onError("refusals"));
  const refusedTimer = setInterval(() => refused.flush(), REFUSALS_MS);
  refusedTimer.unref();
  const app = createApp({
    services,
    authenticator,
    refusals: refused,
    allowedOrigins: config.http.allowedOrigins,
    sealingKey: secrets.jwtSigningKey,
    internalSecret: secrets.internalSecret,
    onError: (error, request) => log.error({ err: error, ...request }, "request failed"),
  });

  // Every process has a life, also one that only answers requests: it is how the others know that somebody listens.
  await lease.open();
  await lease.beat();
  if (config.mode !== "api" && runsEngine) engine.start();

  function drain(): Promise<void> {
    streams.close();
    drained ??= engine.stop();
    return drained;
  }

  return {
    fetch: (request, env) => app.fetch(request, env),
    engine,
    dispatcher,
    context,
    drain,
    async close() {
      await drain();
      await Promise.all([lanes.enqueue.idle(), lanes.send.idle()]);
      clearInterval(clockTimer);
      clearInterval(refusedTimer);
      await refused.flush();
      await Promise.all([outbound.close(), webhookOutbound.close()]);
      await signals.close();
      await heartbeats.close();
      await db.close();
    },
  };
}
