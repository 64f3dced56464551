import { checkEventKey, renderText, type TemplateScope } from "@strait/core";

/** A key that a step has, or why it has none. */
export type StepKey = { readonly ok: true; readonly value: string } | { readonly ok: false; readonly message: string };

/** Fills the template of a key in a step. @param field - The name of the template. */
export function stepKey(field: "event_key" | "event_emit_key", template: string, scope: TemplateScope): StepKey {
  const rendered = renderText(template, scope);
  if (!rendered.ok) return { ok: false, message: `the ${field} cannot be filled: ${rendered.message}` };
  const checked = checkEventKey(rendered.value);
  return checked.ok ? checked : { ok: false, message: `what the ${field} makes is no key: ${checked.problem.fix}` };
}

/** Why the template of a step's payload cannot be filled. */
export const unfilledPayload = ({ pointer, message }: { readonly pointer: string; readonly message: string }): string =>
  `the payload cannot be filled at /payload${pointer}: ${message}`;
