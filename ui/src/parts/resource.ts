// Data of the gateway in a component: read when it is shown, again on a beat while the page can be seen.

import { useEffect, useRef, useState } from "preact/hooks";
import { key } from "../api/client";

export interface Resource<T> {
  data: T | undefined;
  error: unknown;
  isLoading: boolean;
  reload: () => Promise<void>;
}

export function useResource<T>(
  read: (signal: AbortSignal) => Promise<T>,
  /** What the reading depends on. */
  inputs: readonly unknown[],
  every?: number,
): Resource<T> {
  const [state, setState] = useState<{ data: T | undefined; error: unknown; isLoading: boolean }>({
    data: undefined,
    error: undefined,
    isLoading: true,
  });
  const run = useRef<() => Promise<void>>(() => Promise.resolve());

  // biome-ignore lint/correctness/useExhaustiveDependencies: the inputs stand for everything that `read` uses
  useEffect(() => {
    const leaving = new AbortController();
    let turn = 0;
    run.current = async () => {
      turn += 1;
      const mine = turn;
      setState((before) => ({ ...before, isLoading: true }));
      try {
        const data = await read(leaving.signal);
        if (mine === turn && !leaving.signal.aborted) setState({ data, error: undefined, isLoading: false });
      } catch (error) {
        if (mine !== turn || leaving.signal.aborted) return;
        setState((before) => ({ data: before.data, error, isLoading: false }));
      }
    };
    void run.current();
    const beat =
      every === undefined
        ? undefined
        : setInterval(() => {
            if (!document.hidden && key.value !== null) void run.current();
          }, every);
    return () => {
      leaving.abort();
      clearInterval(beat);
    };
  }, [...inputs, every]);

  return { ...state, reload: () => run.current() };
}

/** The time in seconds, again and again, for what counts down. */
export function useClock(every = 1000): number {
  const [now, setNow] = useState(() => Date.now() / 1000);
  useEffect(() => {
    const beat = setInterval(() => {
      if (!document.hidden) setNow(Date.now() / 1000);
    }, every);
    return () => clearInterval(beat);
  }, [every]);
  return now;
}
