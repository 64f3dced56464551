import type { HealthComponent } from "@strait/contract";
import { unavailable } from "../../domain/errors.ts";
import { sql } from "../../store/sql.ts";
import type { HandlersOf } from "../handlers.ts";

export const health: HandlersOf<"health"> = {
  getHealth: async () => ({ status: "ok" }),

  async getHealthReady({ context, isDraining }) {
    if (isDraining()) throw unavailable("the server is shutting down; use another one", { retryAfterSecs: 1 });
    const started = performance.now();
    await context.db.query(sql`SELECT 1 AS up`);
    const database: HealthComponent = {
      name: "database",
      status: "up",
      latency_ms: Math.round((performance.now() - started) * 1000) / 1000,
      error: null,
    };
    return { status: "up", components: [database] };
  },
};
