/**
 * The version of the snapshot's form. Another field, or another meaning of one,
 * is another version: who reads a snapshot refuses what it does not know.
 */
export const snapshotVersion = 1;
