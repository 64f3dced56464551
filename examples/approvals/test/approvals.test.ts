import { chromiumPath, launchChromium } from "@strait/example-support/chromium";
import { createClient } from "@strait/ts";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { serveApprovals } from "../src/server.ts";
import { startMockedWorld } from "./mocked-world.ts";
import { startRealWorld } from "./real-world.ts";
import type { World } from "./world.ts";

const needs = chromiumPath === undefined ? " (skipped: there is no Chromium here; apt-get install chromium)" : "";

describe.skipIf(chromiumPath === undefined).each([
  ["the mocks alone", startMockedWorld],
  ["a real server", startRealWorld],
])(`the page of approvals on %s${needs}`, (_, startWorld) => {
  let world: World;
  let browser: Browser;
  beforeAll(async () => {
    [world, browser] = await Promise.all([startWorld(), launchChromium()]);
  });
  afterAll(async () => {
    await browser?.close();
    await world?.close();
  });

  const strait = () => {
    const { straitUrl: baseUrl, apiKey: token } = world;
    return createClient({ baseUrl, auth: { type: "bearer", token } }).operationsPromise;
  };

  /** The page as somebody sees it who has just opened it. */
  async function visit() {
    const pages = await serveApprovals(world);
    const page = await browser.newPage({ viewport: { width: 1100, height: 720 } });
    const addresses: string[] = [];
    const complaints: string[] = [];
    page.on("request", (request) => void addresses.push(request.url()));
    page.on("pageerror", (error) => void complaints.push(error.message));
    page.on("console", (message) => void (message.type() === "error" && complaints.push(message.text())));
    onTestFinished(async () => {
      await page.close();
      await pages.close();
    });
    await page.goto(pages.url);
    return { page, pages, addresses, complaints };
  }

  const entry = (page: Page, title: string) => page.getByRole("navigation").getByRole("button", { name: title });
  const shows = (page: Page, status: string) => page.locator("#status", { hasText: status }).waitFor();

  test("lists what waits, the nearest deadline first, with the time that is left", async () => {
    await world.ask({ key: "list:1", asks: { title: "Open the gate" }, timeoutSecs: null });
    await world.ask({ key: "list:2", asks: { title: "Refund 40 €" }, timeoutSecs: 7_200 });
    await world.ask({ key: "list:3", asks: { title: "Publish the report" }, timeoutSecs: 90 });

    const { page, complaints } = await visit();

    await entry(page, "Open the gate").waitFor();
    const entries = await page.getByRole("navigation").getByRole("button").allInnerTexts();
    const ours = entries.filter((text) => text.includes("list:")).map((text) => text.split("\n"));
    expect(ours.map(([title]) => title)).toEqual(["Publish the report", "Refund 40 €", "Open the gate"]);
    expect(ours[0]?.[1]).toMatch(/^1 min( \d+ s)? left$|^\d+ s left$/);
    expect(ours[1]?.[1]).toMatch(/^(2 h|1 h 5\d min) left$/);
    expect(ours[2]?.[1]).toBe("no deadline");
    expect(complaints).toEqual([]);
  });

  test("approves with a comment, and shows what the stream tells", async () => {
    await world.ask({ key: "refund:7", asks: { title: "Refund order 7", amount: 40 }, timeoutSecs: 3_600 });
    const { page, addresses, complaints } = await visit();
    await entry(page, "Refund order 7").click();
    await shows(page, "waiting");

    await page.getByLabel("Reason").fill("Was damaged");
    await page.getByRole("button", { name: "Approve" }).click();

    await shows(page, "approved");
    await page.locator("#outcome", { hasText: "Was damaged" }).waitFor();
    await entry(page, "Refund order 7").waitFor({ state: "detached" });
    expect(await strait().getV1EventsByEventKey({ pathParams: { eventKey: "refund:7" } })).toMatchObject({
      status: "received",
      response_payload: { approved: true, comment: "Was damaged" },
    });
    expect(
      addresses.some((address) => address.startsWith(`${world.straitUrl}/v1/events/refund%3A7/stream?token=`)),
    ).toBe(true);
    expect(addresses.join()).not.toContain(world.apiKey);
    expect(await page.content()).not.toContain(world.apiKey);
    expect(complaints).toEqual([]);
  });

  test("rejects only with a reason", async () => {
    await world.ask({ key: "deploy:9", asks: { title: "Deploy 2.1" }, timeoutSecs: 3_600 });
    const { page } = await visit();
    await entry(page, "Deploy 2.1").click();
    await shows(page, "waiting");

    await page.getByRole("button", { name: "Reject" }).click();
    await page.getByText("Say why, for whoever asked.").waitFor();
    expect(await strait().getV1EventsByEventKey({ pathParams: { eventKey: "deploy:9" } })).toMatchObject({
      status: "waiting",
    });
    await page.getByLabel("Reason").fill("The tests are red");
    await page.getByRole("button", { name: "Reject" }).click();

    await shows(page, "rejected");
    await page.locator("#outcome", { hasText: "The tests are red" }).waitFor();
  });

  test("shows an answer that somebody else gave", async () => {
    await world.ask({ key: "kyc:3", asks: { title: "Check Ada's passport" }, timeoutSecs: 3_600 });
    const { page } = await visit();
    await entry(page, "Check Ada's passport").click();
    await shows(page, "waiting");

    await strait().postV1EventsByEventKeySend({
      pathParams: { eventKey: "kyc:3" },
      body: { payload: { approved: true } },
    });

    await shows(page, "approved");
    expect(await page.getByRole("button", { name: "Approve" }).isVisible()).toBe(false);
  });

  test("its server passes on nothing but what the page needs, and only to its page", async () => {
    const { pages, page } = await visit();
    const token = await page.locator('meta[name="page-token"]').getAttribute("content");
    const call = (path: string, authorization: string) =>
      fetch(pages.url + path, { headers: { authorization } }).then(({ status }) => status);

    expect(await call("/strait/v1/events", "Bearer guessed")).toBe(401);
    expect(await call("/strait/v1/events?limit=1", `Bearer ${token}`)).toBe(200);
    expect(await call("/strait/v1/api-keys", `Bearer ${token}`)).toBe(404);
    expect(await call("/strait/v1/events/%2e%2e%2fapi-keys", `Bearer ${token}`)).toBe(404);
  });

  test("its server passes on no body that is too large, also where its length is not told", async () => {
    const { pages, page } = await visit();
    const token = await page.locator('meta[name="page-token"]').getAttribute("content");
    const send = (body: BodyInit) =>
      fetch(`${pages.url}/strait/v1/events/nobody/send`, {
        method: "POST",
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
        body,
        duplex: "half",
      } as RequestInit);
    const large = JSON.stringify({ payload: "x".repeat(64 * 1024) });

    const answers = await Promise.all([send(large), send(new Blob([large]).stream())]);

    for (const answer of answers) {
      expect(answer.status).toBe(413);
      expect(await answer.json()).toMatchObject({ error: { code: "payload_too_large" } });
    }
    expect((await send(new Blob(['{"payload":1}']).stream())).status).toBe(202);
  });
});
