import { type Filters, filters } from "../wire/filter.ts";
import { boundedFor } from "./bounded.ts";

/** Filters whose evaluation costs the project its own time. */
export const filtersOf = (projectId: string): Filters => filters(boundedFor(projectId));
