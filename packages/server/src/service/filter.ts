import { filters } from "../wire/filter.ts";
import { bounded } from "./bounded.ts";

export const { filterIssue, passes } = filters(bounded);
