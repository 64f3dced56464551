import { type EventTrigger, isStraitError } from "@strait/ts";
import { approve, listWaiting, reject } from "./api.ts";
import { follow } from "./follow.ts";
import { type Details, element, showDetails, showList, showProblem, showReasonNeeded, showTimes } from "./view.ts";

const REFRESH_MS = 10_000;

/** What waits, and what somebody looks at, which may have ended meanwhile. */
let waiting: readonly EventTrigger[] = [];
let selected: EventTrigger | undefined;
let isSending = false;
let stopFollowing = (): void => {};

const form = element<HTMLFormElement>("form");
const reason = element<HTMLTextAreaElement>("reason");

form.addEventListener("submit", (event) => {
  event.preventDefault();
  void send(event.submitter instanceof HTMLButtonElement && event.submitter.value === "reject");
});
reason.addEventListener("input", () => showReasonNeeded(false));
document.addEventListener("visibilitychange", () => void refresh());
setInterval(() => void refresh(), REFRESH_MS);
setInterval(() => showTimes(waiting, selected), 1_000);
void refresh();

async function refresh(): Promise<void> {
  if (document.hidden) return;
  try {
    waiting = await listWaiting();
    showProblem(undefined);
  } catch (error) {
    showProblem(`The list could not be loaded: ${messageOf(error)}`);
  }
  render();
}

function render(): void {
  showList(waiting, selected, select);
  const details: Details | undefined = selected && { trigger: selected, isSending };
  showDetails(details);
}

/** Shows a trigger, and each state that it takes from now on. */
function select(trigger: EventTrigger): void {
  stopFollowing();
  selected = trigger;
  form.reset();
  showReasonNeeded(false);
  showProblem(undefined);
  render();
  element("title").focus();
  stopFollowing = follow(trigger, {
    onState(state) {
      // The key may have a later wait, which is another question.
      if (state.id !== selected?.id) return;
      selected = state;
      render();
      if (state.status !== "waiting") void refresh();
    },
    onFailure: (error) => showProblem(`Changes are not shown any more: ${messageOf(error)}. Reload the page.`),
  });
}

async function send(isRejection: boolean): Promise<void> {
  if (!selected || isSending) return;
  const text = reason.value.trim();
  if (isRejection && text === "") {
    showReasonNeeded(true);
    reason.focus();
    return;
  }
  isSending = true;
  showProblem(undefined);
  render();
  try {
    // What the page shows next is what the stream tells, not what this call answers.
    await (isRejection ? reject(selected, text) : approve(selected, text));
  } catch (error) {
    const isLate = isStraitError(error) && error._tag === "ConflictError";
    showProblem(isLate ? "This has been answered already, or nobody waits for it any more." : messageOf(error));
    void refresh();
  } finally {
    isSending = false;
    render();
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
