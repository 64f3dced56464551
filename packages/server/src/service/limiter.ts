/** Lets at most `count` pieces of work be under way at once; the others start in the order in which they came. */
export function limiter(count: number): <Result>(work: () => Promise<Result>) => Promise<Result> {
  const queue: (() => void)[] = [];
  let free = count;
  return async (work) => {
    if (free > 0) free--;
    else await new Promise<void>((resolve) => queue.push(resolve));
    try {
      return await work();
    } finally {
      // Handed on rather than given back: who comes now does not get ahead of those who wait.
      const next = queue.shift();
      if (next) next();
      else free++;
    }
  };
}
