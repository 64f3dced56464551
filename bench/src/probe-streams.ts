import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { cpuSecondsOf } from "./cpu.ts";
import { type ApiClient, apiClient, serveHandler } from "./http.ts";
import { type OurServer, startOurs } from "./ours.ts";
import { atLeast, type Probe } from "./probe.ts";

const AT_ONCE = 200;
const LIMIT_MS = 60_000;
/** Lets a signal collect what is garbage, which is no memory of a stream. */
const COLLECTS = ["--expose-gc", "--import", "data:text/javascript,process.on('SIGUSR2',()=>gc())"];

/** Streams that nothing happens on, and one thing that all of them are told. */
export const streams: Probe = {
  title: "streams (SSE) of one process",
  async run({ store, nodeArgs, isQuick }) {
    const n = isQuick ? 1_000 : 5_000;
    const logs = isQuick ? 20 : 60;
    return store.withDatabase(async (databaseUrl) => {
      const env = { STRAIT_MAX_STREAMS_PER_PROJECT: String(2 * n), SSE_KEEPALIVE_INTERVAL: "10m" };
      const server = await startOurs(databaseUrl, [...nodeArgs, ...COLLECTS], env);
      const api = apiClient(server.origin, `Bearer ${server.apiKey}`, false);
      const handler = await serveHandler(() => ({ status: 202, body: "" }));
      try {
        await api.post("/v1/jobs", { name: "Bench", slug: "bench", endpoint_url: handler.url });
        const idleKiB = await memoryOfIdle(server, await delayedRuns(api, n));
        const { perSecond, perCpuSecond } = await deliveries(server, api, n, logs);
        const perGiB = 2 ** 20 / idleKiB;
        return [
          {
            label: `memory of each of ${n} idle streams, every one of another run`,
            value: `${idleKiB.toFixed(1)} KiB`,
          },
          { label: "idle streams per GiB", value: count(perGiB), bar: atLeast(perGiB, 40_000) },
          { label: `deliveries to ${n} streams of one run`, value: `${count(perSecond)}/s` },
          {
            label: "the same per second of the server's CPU",
            value: `${count(perCpuSecond)}/s`,
            bar: atLeast(perCpuSecond, 40_000, "/s"),
          },
        ];
      } finally {
        handler.close();
        await api.close();
        await server.stop();
      }
    });
  },
};

const count = (value: number) => Math.round(value).toLocaleString("en-US");

async function delayedRuns(api: ApiClient, n: number): Promise<string[]> {
  const item = { payload: { i: 1 }, scheduled_at: new Date(Date.now() + 86_400_000).toISOString() };
  const ids: string[] = [];
  while (ids.length < n) {
    const items = Array.from({ length: Math.min(100, n - ids.length) }, () => item);
    const answer = JSON.parse(await api.post("/v1/jobs/bench/trigger/bulk", { items }));
    for (const { id } of answer.results) ids.push(id);
  }
  return ids;
}

async function memoryOfIdle(server: OurServer, runIds: readonly string[]): Promise<number> {
  const before = await residentKiB(server);
  const open = await openStreams(server, runIds, () => {});
  const after = await residentKiB(server);
  for (const socket of open) socket.destroy();
  return (after - before) / runIds.length;
}

/** Logs lines of one run until each of `n` streams has told them all. */
async function deliveries(
  server: OurServer,
  api: ApiClient,
  n: number,
  logs: number,
): Promise<{ perSecond: number; perCpuSecond: number }> {
  const run = JSON.parse(await api.post("/v1/jobs/bench/trigger", { payload: {} }));
  let told = 0;
  const sockets = await openStreams(server, Array(n).fill(run.id), (events) => {
    told += events;
  });
  const token = { authorization: `Bearer ${run.run_token}` };
  const log = (message: string) => api.post(`/sdk/v1/runs/${run.id}/log`, { message }, token);
  await log("the first goes to cold code");
  await until(() => told >= n);

  told = 0;
  const [startedAt, cpuBefore] = [performance.now(), cpuSecondsOf(server.pid)];
  for (let i = 0; i < logs; i++) await log(String(i));
  await until(() => told >= n * logs);
  const seconds = (performance.now() - startedAt) / 1000;
  const cpuSeconds = cpuSecondsOf(server.pid) - cpuBefore;
  for (const socket of sockets) socket.destroy();
  return { perSecond: (n * logs) / seconds, perCpuSecond: (n * logs) / cpuSeconds };
}

/** Opens a stream of each run; `onEvents` hears how many events have come behind the first of each. */
async function openStreams(
  { origin, apiKey }: OurServer,
  runIds: readonly string[],
  onEvents: (count: number) => void,
): Promise<Socket[]> {
  const port = Number(new URL(origin).port);
  const sockets: Socket[] = [];
  const open = (runId: string) =>
    new Promise<void>((resolve, reject) => {
      const socket = connect({ host: "127.0.0.1", port });
      sockets.push(socket);
      let isOpen = false;
      let rest = Buffer.alloc(0);
      socket.once("error", reject);
      socket.on("data", (bytes) => {
        let events = 0;
        const all = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
        for (let at = all.indexOf(MARK); at !== -1; at = all.indexOf(MARK, at + 1)) events++;
        // A mark may be split, and must not be counted twice.
        rest = Buffer.from(all.subarray(Math.max(0, all.length - MARK.length + 1)));
        if (isOpen || events === 0) return onEvents(events);
        isOpen = true;
        resolve();
        onEvents(events - 1);
      });
      socket.write(`GET /v1/runs/${runId}/stream HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer ${apiKey}\r\n\r\n`);
    });
  for (let i = 0; i < runIds.length; i += AT_ONCE) await Promise.all(runIds.slice(i, i + AT_ONCE).map(open));
  return sockets;
}

const MARK = Buffer.from("event: status");

async function residentKiB({ pid }: OurServer): Promise<number> {
  for (let times = 0; times < 3; times++) {
    process.kill(pid, "SIGUSR2");
    await sleep(500);
  }
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
}

async function until(check: () => boolean): Promise<void> {
  const deadline = Date.now() + LIMIT_MS;
  while (!check()) {
    if (Date.now() > deadline) throw new Error(`not every stream was told within ${LIMIT_MS / 1000} s`);
    await sleep(1);
  }
}
