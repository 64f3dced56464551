import type { Actor } from "@strait/contract";

/** An actor as the wire has it, from the text that rows keep: `apikey:key_…`, `internal`, `run:run_…`, `system`. */
export function actorOf(text: string): Actor {
  const at = text.indexOf(":");
  const [kind, id] = at === -1 ? [text, null] : [text.slice(0, at), text.slice(at + 1)];
  switch (kind) {
    case "apikey":
      return { kind: "service", id, authenticated_by: "api_key" };
    case "internal":
      return { kind: "operator", id, authenticated_by: "internal_secret" };
    case "run":
      return { kind: "run", id, authenticated_by: "run_token" };
    case "workflow_run":
      return { kind: "workflow_run", id, authenticated_by: null };
    default:
      return { kind: "system", id, authenticated_by: null };
  }
}
