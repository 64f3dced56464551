import type { Answer } from "../api.ts";
import { check } from "../check.ts";
import { has, same } from "../expect.ts";

const keysOf = ({ body }: Answer): string[] => body.triggers.map((trigger: { event_key: string }) => trigger.event_key);

export const prefixes = [
  check("P1", async (world) => {
    const base = world.name("p");
    const keys = [`${base}_%:1`, `${base}_%:2`, `${base}xy:1`, `${base}_x:1`, `${base}_%`.toUpperCase()];
    for (const key of keys) await world.parked(key);

    const short = await world.sendPrefix("ab", { dry_run: true });
    const allowed = await world.sendPrefix("ab", { dry_run: true, allow_short: true });
    const sent = await world.sendPrefix(`${base}_%`, { payload: 1 });

    has(short, { status: 400, body: { error: { code: "validation_error" } } }, "a prefix of two characters");
    same(allowed.status, 200, "the status of a short prefix that is meant");
    same(keysOf(sent), keys.slice(0, 2), "the keys that the prefix reached");
  }),

  check("P2", async (world) => {
    const base = world.name("p:");
    await world.parked(`${base}1`);

    const sent = await world.sendPrefix(base, { payload: "now" });
    const later = await world.parked(`${base}2`);
    const foreign = await (await world.elsewhere()).sendPrefix(base, { payload: "foreign" });

    same(keysOf(sent), [`${base}1`], "the keys that the prefix reached");
    same(later.trigger.status, "waiting", "the status of a wait that opened later");
    has(foreign, { status: 200, body: { resolved: 0, triggers: [] } }, "the same from another project");
    same((await world.event(`${base}2`)).body.status, "waiting", "the status of a wait of this project");
  }),

  check("P3", async (world) => {
    const base = world.name("p:");
    const [timing] = [await world.parked(`${base}1`, { timeout_secs: 1 }), await world.parked(`${base}2`)];
    await timing.is("timed_out");

    const each = await world.sendPrefix(base, { payload: 1 });
    await world.parked(`${base}3`);
    await world.parked(`${base}4`);
    const atomic = await world.sendPrefix(base, { payload: 2, mode: "atomic" });

    same(keysOf(each), [`${base}2`], "the keys that took the event");
    same(keysOf(atomic), [`${base}3`, `${base}4`], "the keys that took it together");
    for (const n of [3, 4]) has((await world.event(`${base}${n}`)).body, { response_payload: 2 }, "one of them");
  }),

  check("P4", async (world) => {
    const base = world.name("p:");
    const keys = [5, 3, 1, 4, 2].map((n) => `${base}${n}`);
    for (const key of keys) await world.parked(key);

    const reached: string[] = [];
    for (let cursor: string | null = null, pages = 0; pages < 10; pages++) {
      const page: Answer = await world.sendPrefix(base, {
        payload: 1,
        limit: 2,
        ...(cursor === null ? {} : { cursor }),
      });
      same(page.status, 200, `the status of page ${pages + 1} (${JSON.stringify(page.body)})`);
      reached.push(...keysOf(page));
      cursor = page.body.next_cursor;
      if (!page.body.has_more) break;
    }

    same(reached, keys, "the keys, page by page");
  }),

  check("P5", async (world) => {
    const base = world.name("p:");
    const keys = [`${base}1`, `${base}2`];
    for (const key of keys) await world.parked(key);

    const { body: look } = await world.sendPrefix(base, { dry_run: true });
    const untouched = (await world.event(keys[0] ?? "")).body.status;
    const expect = { count: look.count, digest: look.digest };
    await world.parked(`${base}3`);
    const changed = await world.sendPrefix(base, { payload: 1, expect });
    const { body: again } = await world.sendPrefix(base, { dry_run: true });
    const sent = await world.sendPrefix(base, { payload: 1, expect: { count: again.count, digest: again.digest } });

    has(look, { dry_run: true, count: 2, keys }, "the dry run");
    same(untouched, "waiting", "the status after the dry run");
    has(changed, { status: 409, body: { error: { code: "expectation_failed" } } }, "a send to another set");
    same(sent.body.resolved, 3, "the number of waits that the expected set has");
  }),

  check("P6", async (world) => {
    const base = world.name("p:");
    const runs = await Promise.all(Array.from({ length: 10 }, (_, n) => world.parked(`${base}${n}`)));

    const [sent, single] = await Promise.all([
      world.sendPrefix(base, { payload: "all" }),
      world.send(`${base}0`, "one"),
    ]);

    const isSingle = single.status === 200;
    same(sent.body.resolved, isSingle ? runs.length - 1 : runs.length, "the number of waits that the prefix answered");
    if (!isSingle) has(single.body, { error: { code: "already_resolved" } }, "a send that came second");
    for (const [n, run] of runs.entries()) {
      const resumed = await run.dispatch(2);
      const payload = n === 0 && isSingle ? "one" : "all";
      same(JSON.parse(String(resumed.headers["x-last-checkpoint"])), payload, "what a run was resumed with");
    }
  }),
];
