/** What is answered to every call: an event trigger of the usual size, in ASCII. */
export const answer = JSON.stringify({
  id: "trg_01k0000000e008000000000am1",
  event_key: "aml:user-456",
  project_id: "proj_01k0000000e0080000000000ex",
  status: "received",
  source_type: "workflow_step",
  run_id: null,
  workflow_run_id: "wfr_01k0000000e0080000000000ex",
  step_ref: "aml-check",
  timeout_secs: 86_400,
  notify_url: "https://example.com/hook",
  payload: { result: "clear", risk_score: 0.05, tags: ["a", "b"] },
  created_at: "2026-01-01T00:00:00.000000Z",
  updated_at: "2026-01-01T00:00:01.000000Z",
  expires_at: "2026-01-02T00:00:00.000000Z",
  received_at: "2026-01-01T00:00:01.000000Z",
});
