import { expect, test, vi } from "vitest";
import { openOutbound } from "../src/engine/outbound.ts";
import { startExecutor } from "./server.ts";

const { lookups, addresses } = vi.hoisted(() => ({
  lookups: [] as string[],
  addresses: new Map<string, readonly string[]>(),
}));

/** Names of the documentation domain resolve to what the test says; all others as ever. */
vi.mock("node:dns", async (original) => {
  const dns = await original<typeof import("node:dns")>();
  type Found = (error: Error | null, addresses: { address: string; family: number }[]) => void;
  const lookup = (name: string, options: import("node:dns").LookupAllOptions, found: Found) => {
    const known = addresses.get(name);
    if (!known) return dns.lookup(name, options, found);
    lookups.push(name);
    found(
      null,
      known.map((address) => ({ address, family: address.includes(":") ? 6 : 4 })),
    );
  };
  return { ...dns, lookup };
});

test.each([
  ["loopback.example", ["127.0.0.1"]],
  ["mapped.example", ["::ffff:127.0.0.1"]],
  ["metadata.example", ["169.254.169.254", "fd00:ec2::254"]],
  ["carrier.example", ["100.64.0.1"]],
])("SSRF: %s is looked up once, and not dialed since it is private", async (name, found) => {
  const receiver = await startExecutor();
  const outbound = openOutbound({ allowPrivate: false, maxResponseBytes: 1_000, connections: 1 });
  addresses.set(name, found);
  const { port } = new URL(receiver.url);

  const result = await outbound.post({ url: `http://${name}:${port}/`, headers: {}, body: "{}", timeoutMs: 5_000 });
  await outbound.close();

  expect(result).toEqual({ kind: "error", code: "EPRIVATE", message: `${name} resolves to a private address` });
  expect(lookups.filter((each) => each === name)).toHaveLength(1);
  expect(receiver.dispatches).toEqual([]);
});

test("SSRF: a redirect to a private address is an answer, not a call", async () => {
  const secret = await startExecutor();
  const receiver = await startExecutor(() => ({ status: 302, headers: { location: secret.url } }));
  const outbound = openOutbound({ allowPrivate: true, maxResponseBytes: 1_000, connections: 1 });

  const result = await outbound.post({ url: receiver.url, headers: {}, body: "{}", timeoutMs: 5_000 });
  await outbound.close();

  expect(result).toMatchObject({ kind: "answer", status: 302 });
  expect(secret.dispatches).toEqual([]);
});

test("an answer that is too large is cut off, and its status kept", async () => {
  const receiver = await startExecutor(() => ({ status: 201, body: "x".repeat(2_000) }));
  const outbound = openOutbound({ allowPrivate: true, maxResponseBytes: 1_000, connections: 1 });

  const result = await outbound.post({ url: receiver.url, headers: {}, body: "{}", timeoutMs: 5_000 });
  await outbound.close();

  expect(result).toEqual({ kind: "too_large", status: 201 });
});
