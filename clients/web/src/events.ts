// What a stream says.
import type { ExtractResponse } from "./proto.js";

/** An event of a stream: `event.case` says which, `event.value` is its message. */
export type ExtractEvent = Known<ExtractResponse["event"]> & {
  /** 1, 2, 3, … within one document. */
  readonly sequence: number;
};

type Known<E> = E extends { case: string } ? E : never;

/** The event of a message; undefined for one of a newer server, which is to be skipped. */
export function known(response: ExtractResponse): ExtractEvent | undefined {
  if (response.event.case === undefined) return undefined;
  return { ...response.event, sequence: Number(response.sequence) };
}
