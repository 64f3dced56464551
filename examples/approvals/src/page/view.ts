import type { EventTrigger, JsonValue } from "@strait/ts";
import { describeDeadline } from "./time-left.ts";

/** What the right-hand side shows. */
export interface Details {
  readonly trigger: EventTrigger;
  /** An answer is on its way. */
  readonly isSending: boolean;
}

/** @throws {Error} When the document has no such element: it and this code were changed apart. */
export function element<Kind extends HTMLElement = HTMLElement>(id: string): Kind {
  const found = document.getElementById(id);
  if (!found) throw new Error(`there is no #${id}`);
  return found as Kind;
}

export function showProblem(text: string | undefined): void {
  const problem = element("problem");
  problem.hidden = text === undefined;
  problem.textContent = text ?? "";
}

/** Says beside the field that a rejection needs its reason, or what it is for. */
export function showReasonNeeded(isNeeded: boolean): void {
  element("reason").setAttribute("aria-invalid", String(isNeeded));
  const purpose = "Needed to reject; goes along with an approval as a comment.";
  setText(element("reason-help"), isNeeded ? "Say why, for whoever asked." : purpose);
}

/** One button for each trigger. Those that stay keep their elements, and with them the focus. */
export function showList(
  triggers: readonly EventTrigger[],
  selected: EventTrigger | undefined,
  onSelect: (trigger: EventTrigger) => void,
): void {
  const list = element("list");
  const items = new Map([...list.children].map((item) => [(item as HTMLElement).dataset.id, item]));
  list.replaceChildren(
    ...triggers.map((trigger) => {
      const item = items.get(trigger.id) ?? listItem(trigger, onSelect);
      item.firstElementChild?.setAttribute("aria-current", String(trigger.id === selected?.id));
      return item;
    }),
  );
  element("empty").hidden = triggers.length > 0;
  const count = triggers.length === 1 ? "1 waits" : `${triggers.length} wait`;
  setText(element("summary"), `${count} for an answer`);
  showTimes(triggers, selected);
}

function listItem(trigger: EventTrigger, onSelect: (trigger: EventTrigger) => void): HTMLElement {
  const item = document.createElement("li");
  item.dataset.id = trigger.id;
  const button = document.createElement("button");
  button.type = "button";
  button.addEventListener("click", () => onSelect(trigger));
  const title = titleOf(trigger);
  button.append(span("name", title), span("left", ""));
  if (title !== trigger.event_key) button.append(span("key", trigger.event_key));
  item.append(button);
  return item;
}

/** Only what changes with time; called every second. */
export function showTimes(triggers: readonly EventTrigger[], selected: EventTrigger | undefined): void {
  const now = Date.now();
  for (const { id, expires_at } of triggers) {
    const left = document.querySelector<HTMLElement>(`[data-id="${CSS.escape(id)}"] .left`);
    if (left) showDeadline(left, expires_at, now);
  }
  const left = element("left");
  if (selected?.status === "waiting") showDeadline(left, selected.expires_at, now);
  else setText(left, "");
}

function showDeadline(left: HTMLElement, expiresAt: string | null, now: number): void {
  const { text, isSoon } = describeDeadline(expiresAt, now);
  setText(left, text);
  left.classList.toggle("soon", isSoon);
  if (expiresAt !== null) left.title = `until ${new Date(expiresAt).toLocaleString()}`;
}

export function showDetails(details: Details | undefined): void {
  element("details").hidden = details === undefined;
  if (!details) return;
  const { trigger, isSending } = details;
  const isOpen = trigger.status === "waiting";
  setText(element("title"), titleOf(trigger));
  const { text, kind } = outcomeOf(trigger);
  const status = element("status");
  setText(status, isSending && isOpen ? "sending" : kind);
  status.dataset.kind = kind;
  showFacts(trigger);
  element("form").hidden = !isOpen;
  for (const button of document.querySelectorAll<HTMLButtonElement>("#form button")) button.disabled = isSending;
  const outcome = element("outcome");
  outcome.hidden = isOpen;
  setText(outcome, text);
}

function showFacts(trigger: EventTrigger): void {
  const asked = Object.entries(recordOf(trigger.request_payload)).filter(([name]) => name !== "title");
  const answeredBy = trigger.cancellation?.actor ?? trigger.sent_by;
  const facts = [
    ["Key", trigger.event_key],
    ["Asked", new Date(trigger.requested_at).toLocaleString()],
    ...asked.map(([name, value]) => [label(name), typeof value === "string" ? value : JSON.stringify(value)] as const),
    ...(answeredBy ? ([["Answered by", answeredBy]] as const) : []),
  ] as const;
  element("facts").replaceChildren(
    ...facts.map(([name, value]) => {
      const row = document.createElement("div");
      const term = document.createElement("dt");
      const description = document.createElement("dd");
      term.textContent = name;
      description.textContent = value;
      row.append(term, description);
      return row;
    }),
  );
}

/** How a wait has ended, in a word and in a sentence. */
function outcomeOf({ status, response_payload, cancellation }: EventTrigger): { kind: string; text: string } {
  if (status === "waiting") return { kind: status, text: "" };
  if (status === "timed_out") return { kind: "timed out", text: "Nobody answered in time." };
  if (status === "received") {
    const { approved, comment } = recordOf(response_payload);
    const text = typeof comment === "string" ? comment : "There was no comment.";
    return { kind: approved === true ? "approved" : "answered", text };
  }
  const kind = cancellation?.kind ?? status;
  return { kind, text: cancellation?.reason ?? "Nobody said why." };
}

function titleOf({ request_payload, event_key }: EventTrigger): string {
  const { title } = recordOf(request_payload);
  return typeof title === "string" && title !== "" ? title : event_key;
}

function recordOf(value: JsonValue): { readonly [name: string]: JsonValue | undefined } {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value : {};
}

function label(name: string): string {
  const words = name.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

function span(name: string, text: string): HTMLElement {
  const made = document.createElement("span");
  made.className = name;
  made.textContent = text;
  return made;
}

/** A live region is read out again when its text is set, even to the same. */
function setText(target: HTMLElement, text: string): void {
  if (target.textContent !== text) target.textContent = text;
}
