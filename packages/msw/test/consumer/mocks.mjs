// What a test or a page of a user does with the mocks. It runs wherever they are said to work, and reports mocks-expected.json.

/**
 * Sends an event through the `fetch` of the runtime, which the mocks intercept, and reads what became of it.
 *
 * @param entries - `@strait/ts` and `@strait/msw`, as this runtime has loaded them.
 * @param intercept - Puts handlers behind `fetch`, with the part of MSW that is made for this runtime.
 */
async function useMocks({ core, msw }, intercept) {
  const baseUrl = "https://strait.dev";
  const strait = msw.createMockServer({ baseUrl });
  await intercept(strait.handlers);
  const client = core.createClient({ baseUrl, auth: { type: "bearer", token: "strait_any" }, retries: 0 });
  const api = client.operationsPromise;
  const gate = { step_ref: "gate", type: "wait_for_event", event_key: "review:7" };
  await api.postV1Workflows({
    body: { name: "Review", slug: "review", steps: [{ ...gate, filter: "payload.page > 1" }] },
  });
  const run = await api.postV1WorkflowsByWorkflowIDTrigger({ pathParams: { workflowID: "review" }, body: {} });
  const pathParams = { eventKey: "review:7" };
  const send = (payload) => api.postV1EventsByEventKeySend({ pathParams, body: { payload, if_no_waiter: "fail" } });

  const told = [];
  const refusals = [];
  for await (const { data } of client.stream.getV1EventsByEventKeyStream({ pathParams })) {
    told.push(data.status);
    if (data.status !== "waiting") continue;
    refusals.push(await send({ page: 1 }).catch(({ _tag }) => _tag));
    await send({ page: 7 });
  }
  strait.use({ getV1Runs: 503 });
  refusals.push(await api.getV1Runs().catch(({ _tag }) => _tag));
  const { status, response_payload } = await api.getV1EventsByEventKey({ pathParams });
  const { status: outcome } = await client.waitUntil(run);
  strait.close();
  return { told, refusals, got: { status, response_payload }, outcome };
}

/** Uses the mocks, and tells the server of the check what came of it. */
export async function report(entries, intercept, address) {
  const outcome = await useMocks(entries, intercept).then(
    (result) => ({ result }),
    (error) => ({ error: String(error?.stack ?? error) }),
  );
  const response = await fetch(`${address}/report`, { method: "POST", body: JSON.stringify(outcome) });
  await response.text();
}
