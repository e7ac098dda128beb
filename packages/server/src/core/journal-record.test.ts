import { expect, it } from "vitest";
import {
  type JournalRecord,
  RECORD_HEADER_BYTES,
  readRecordHeader,
  writeRecord,
} from "./journal-record.ts";

it("a record's header that ends with the data is read, and one that the data cuts off is bad", () => {
  const bytes = new Uint8Array(RECORD_HEADER_BYTES);
  const ballot = { round: 1, priority: 0, replica: 3 };
  const record: JournalRecord = { type: 7, slot: 1, ballot, payload: new Uint8Array(0) };
  const place = { owner: 5, header: { id: 1, life: 1, sizeBytes: 65_536 } };
  writeRecord(bytes, 0, record, 0, place, { sequence: 1, previousHash: 0 });
  expect(readRecordHeader(bytes, 0)).toMatchObject({ kind: "ok", header: { slot: 1 } });
  expect(readRecordHeader(bytes.slice(0, -1), 0)).toEqual({ kind: "bad" });
});
