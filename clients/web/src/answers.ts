// Calls that end when their reader leaves.

/** The answers of a call that ends when its reader leaves; Connect alone would go on, and keep its timer. */
export class Answers<T> {
  readonly #iterator: AsyncIterator<T>;
  readonly #leave: AbortController;
  #ended = false;

  constructor(answers: AsyncIterable<T>, leave: AbortController) {
    this.#iterator = answers[Symbol.asyncIterator]();
    this.#leave = leave;
  }

  /** Undefined at the end. */
  async next(): Promise<T | undefined> {
    // What throws has ended, too.
    this.#ended = true;
    const { done, value } = await this.#iterator.next();
    this.#ended = done === true;
    return done ? undefined : value;
  }

  leave(): void {
    this.#leave.abort();
    // Connect sees the end only where it is asked for more.
    if (!this.#ended) this.#iterator.next().catch(() => {});
  }
}

/**
 * What `make` makes, with a signal that `return` gives at once. By itself a generator that was asked for a value
 * would first wait for it, and its call with it; a value that was asked for is none then.
 */
export function leaving<T, O extends { signal?: AbortSignal }>(
  options: O,
  make: (options: O & { signal: AbortSignal }) => AsyncGenerator<T, void, undefined>,
): AsyncGenerator<T, void, undefined> {
  const leave = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, leave.signal]) : leave.signal;
  const inner = make({ ...options, signal });
  const { next, return: end, throw: fail } = inner;
  return Object.assign(inner, {
    async next(): Promise<IteratorResult<T, void>> {
      try {
        return await next.call(inner);
      } catch (error) {
        if (leave.signal.aborted) return { done: true, value: undefined };
        throw error;
      }
    },
    return(value: void | PromiseLike<void>) {
      leave.abort();
      return end.call(inner, value);
    },
    throw(error: unknown) {
      leave.abort();
      return fail.call(inner, error);
    },
  });
}
