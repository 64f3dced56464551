// What a program of a user does with the package. It runs in every runtime, and from each it reports expected.json.

const apiKey = "strait_test_0123456789abcdef";
const signingSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/**
 * Uses the package against the server of `scripts/runtimes/server.ts`.
 *
 * @param entries - The entry points, as this runtime has loaded them; without `node` where there is no environment.
 */
async function useClient({ core, ops, webhooks, schemas, reactQuery, node }, baseUrl) {
  const env = { STRAIT_BASE_URL: baseUrl, STRAIT_API_KEY: apiKey };
  const options = { baseUrl, auth: { type: "bearer", token: apiKey } };
  const client = core.createClient(options);
  const { operationsPromise: strait, operations, paginate, stream, paths } = client;
  const caught = (promise) => promise.then((value) => ({ value }), describe);
  const pathParams = { eventKey: "aml:user/ü 1" };

  const page = [];
  for await (const { event_key } of paginate.getV1Events()) page.push(event_key);

  const told = [];
  for await (const { event, id, data } of stream.getV1RunsByRunIDStream({ pathParams: { runID: "run_1" } })) {
    told.push([event, id, data.status]);
  }

  const leaving = [];
  for await (const { data } of stream.getV1EventsByEventKeyStream({ pathParams })) {
    leaving.push(data.status);
    break;
  }

  const body = '{"result":"clear"}';
  const headers = await webhooks.signWebhook({ id: "msg_1", body }, signingSecret);
  const { payload } = await webhooks.verifyWebhook({ headers, body }, { secret: signingSecret });

  const validator = schemas.createValidator(schemas.answerSchemas, { validate: "error" });
  const exacting = core.createClient({ ...options, validator }).operationsPromise;
  const { queryFn } = reactQuery.createQueryOptions(client).queryOptions.getV1EventsByEventKey({ pathParams });

  const missing = await operations.getV1EventsByEventKey({ pathParams: { eventKey: "missing" } });
  const late = { timeoutMs: 100, retries: 0 };
  return {
    page,
    told,
    leaving,
    payload,
    health: await (node?.createClientFromConfigFile({ env }) ?? client).operationsPromise.getHealth(),
    sent: await strait.postV1EventsByEventKeySend({ pathParams, body: { payload: { name: "Ada ✓" } } }),
    alone: await ops.postV1EventsByEventKeySend(ops.connect(options), { pathParams, body: { payload: null } }),
    paths: (await paths.GET("/v1/events/{eventKey}", { params: { path: pathParams } })).data,
    queried: await queryFn({ signal: new AbortController().signal }),
    unfit: await caught(exacting.getV1EventsByEventKey({ pathParams })),
    missing: describe(missing.error),
    isStraitError: core.isStraitError(missing.error),
    // Browsers hide the status of a redirect.
    redirected: (await caught(strait.getV1EventsByEventKey({ pathParams: { eventKey: "moved" } })))._tag,
    refused: await caught(strait.getV1EventsByEventKey({ pathParams: { eventKey: ".." } })),
    late: await caught(strait.getV1EventsByEventKey({ pathParams: { eventKey: "slow" }, ...late })),
    aborted: await caught(abortedCall(strait)),
  };
}

function abortedCall(strait) {
  const controller = new AbortController();
  setTimeout(() => controller.abort(), 50);
  return strait.getV1EventsByEventKey({ pathParams: { eventKey: "slow" }, signal: controller.signal });
}

function describe({ _tag, name, status, code, requestId, attempts, field, limit }) {
  return { _tag, name, status, code, requestId, attempts, field, limit };
}

/** Uses the package, and tells the server what came of it. */
export async function report(entries, baseUrl) {
  const outcome = await useClient(entries, baseUrl).then(
    (result) => ({ result }),
    (error) => ({ error: String(error?.stack ?? error) }),
  );
  const response = await fetch(`${baseUrl}/report`, { method: "POST", body: JSON.stringify(outcome) });
  await response.text();
}
