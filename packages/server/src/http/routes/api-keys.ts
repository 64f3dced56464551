import { createApiKey, revokeApiKey, rotateApiKey } from "../../service/api-keys.ts";
import * as apiKeys from "../../store/api-keys.ts";
import type { HandlersOf } from "../handlers.ts";
import { pageOf } from "../page.ts";

export const apiKeysRoutes: HandlersOf<"api-keys"> = {
  postV1ApiKeys: ({ context, caller, body }) => createApiKey(context, caller, body),

  getV1ApiKeys: ({ context, caller, query }) => apiKeys.list(context.db, caller.projectId, pageOf(query)),

  postV1ApiKeysByKeyIDRotate: ({ context, caller, path, body }) =>
    rotateApiKey(context, caller, path.keyID, body?.grace_period_minutes ?? 60),

  async deleteV1ApiKeysByKeyID({ context, caller, path, forgetKeys }) {
    const revoked = await revokeApiKey(context, caller, path.keyID);
    forgetKeys();
    return revoked;
  },
};
