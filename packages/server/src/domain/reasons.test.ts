import { expect, test } from "vitest";
import {
  canceledBecause,
  endpointAnswered,
  unusableJob,
  waitCanceled,
  waitEnded,
  waitRejected,
  waitSuperseded,
} from "./reasons.ts";

test.each([
  [canceledBecause("run", undefined), "run canceled"],
  [canceledBecause("workflow run", "not needed"), "workflow run canceled: not needed"],
  [waitCanceled("apikey:key_1", null), "event trigger canceled by apikey:key_1"],
  [waitCanceled("apikey:key_1", "a typo"), "event trigger canceled by apikey:key_1: a typo"],
  [waitRejected("apikey:key_1", "blurred"), "event trigger rejected by apikey:key_1: blurred"],
  [waitSuperseded("trg_2", { job_run_id: "run_2" }), "event trigger superseded by the wait trg_2 of run run_2"],
  [
    waitSuperseded("trg_2", { workflow_run_id: "wfr_2" }),
    "event trigger superseded by the wait trg_2 of workflow run wfr_2",
  ],
  [waitEnded({ event_key: "review:7", status: "canceled" }), 'the wait on "review:7" is canceled'],
  [unusableJob("job_1", true), "job job_1 is disabled"],
  [unusableJob("job_1", false), "job job_1 no longer exists"],
  [endpointAnswered(503, ""), "the endpoint answered 503"],
  [endpointAnswered(400, "no such page"), "the endpoint answered 400: no such page"],
])("a reason is a sentence that leaves out what is not known: %s", (reason, sentence) => {
  expect(reason).toBe(sentence);
});
