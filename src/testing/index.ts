export { inMemory } from "./in-memory.js";
