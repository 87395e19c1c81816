import type { AdapterFactory, AdapterPayload } from "oidc-provider";

/**
 * Where an authorization server keeps its tokens: in memory, for as long as
 * the returned factory lives. Two servers of one factory know the same tokens.
 */
export function createMemoryAdapter(): AdapterFactory {
  const entries = new Map<string, AdapterPayload>();
  return (model) => ({
    async upsert(id, payload) {
      entries.set(`${model}:${id}`, payload);
    },
    find: async (id) => entries.get(`${model}:${id}`),
    findByUid: async () => undefined,
    findByUserCode: async () => undefined,
    async consume(id) {
      const payload = entries.get(`${model}:${id}`);
      if (payload !== undefined) {
        entries.set(`${model}:${id}`, { ...payload, consumed: true });
      }
    },
    async destroy(id) {
      entries.delete(`${model}:${id}`);
    },
    async revokeByGrantId(grantId) {
      for (const [key, payload] of entries) {
        if (key.startsWith(`${model}:`) && payload.grantId === grantId) {
          entries.delete(key);
        }
      }
    },
  });
}
