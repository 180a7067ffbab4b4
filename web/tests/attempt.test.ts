import { describe, expect, it, vi } from 'vitest';
import { LEFT, Refused } from '../src/api/http';
import { Attempt, type Keys } from '../src/attempt.svelte';

describe('an attempt', () => {
  const refused = (status: number, seconds?: number): Refused => new Refused(status, {}, seconds);

  it('waits as long as it is told and comes again under the same key', async () => {
    vi.useFakeTimers();
    const attempt = new Attempt();
    const keys: string[] = [];
    const done = attempt.run('wish', async (key) => {
      keys.push(key);
      if (keys.length === 1) throw refused(503, 2);
      return 'taken';
    });
    await vi.advanceTimersByTimeAsync(1_999);
    expect([attempt.phase, attempt.seconds, keys.length]).toEqual(['waiting', 1, 1]);
    await vi.advanceTimersByTimeAsync(1);
    expect(await done).toBe('taken');
    expect(keys[1]).toBe(keys[0]);
    expect(attempt.phase).toBe('idle');
    vi.useRealTimers();
  });

  it('is not repeated after a refusal that will not change', async () => {
    const attempt = new Attempt();
    const send = vi.fn(() => Promise.reject(refused(409)));
    expect(await attempt.run('wish', send)).toBeUndefined();
    expect([attempt.phase, attempt.refusal?.status, send.mock.calls.length]).toEqual(['refused', 409, 1]);
  });

  it('says nothing of an answer to somebody who has left', async () => {
    const attempt = new Attempt();
    expect(await attempt.run('wish', () => Promise.reject(refused(LEFT)))).toBeUndefined();
    expect([attempt.phase, attempt.refusal]).toEqual(['idle', undefined]);
  });

  it('says that it takes long until there is an answer', async () => {
    vi.useFakeTimers();
    const attempt = new Attempt();
    let answer = (): void => undefined;
    const done = attempt.run('wish', () => new Promise<void>((resolve) => (answer = resolve)));
    expect(attempt.slow).toBe(false);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(attempt.slow).toBe(true);
    answer();
    await done;
    expect(attempt.slow).toBe(false);
    vi.useRealTimers();
  });

  it('goes on unseen once it was cleared, and leaves the next one alone', async () => {
    const attempt = new Attempt();
    const ends: ((refusal: Refused) => void)[] = [];
    const send = (): Promise<never> => new Promise((_, reject) => ends.push(reject));
    const first = attempt.run('first', send);
    attempt.clear();
    const second = attempt.run('second', send);
    ends[0]?.(refused(409));
    expect(await first).toBeUndefined();
    expect([attempt.phase, attempt.refusal]).toEqual(['running', undefined]);
    ends[1]?.(refused(404));
    await second;
    expect([attempt.phase, attempt.refusal?.status]).toEqual(['refused', 404]);
  });

  it('keeps the key of an unanswered wish, and of no other', async () => {
    const attempt = new Attempt();
    const keys: string[] = [];
    const unanswered = async (key: string): Promise<never> => {
      keys.push(key);
      queueMicrotask(() => queueMicrotask(() => attempt.stop()));
      throw refused(0, 3);
    };
    await attempt.run({ quantity: 1 }, unanswered);
    await attempt.run({ quantity: 1 }, unanswered);
    await attempt.run({ quantity: 2 }, unanswered);
    expect(keys[1]).toBe(keys[0]);
    expect(keys[2]).not.toBe(keys[0]);
  });

  it('keeps its key after whatever does not say that nothing was done', async () => {
    const attempt = new Attempt();
    const keys: string[] = [];
    const answers: unknown[] = [refused(500), new TypeError('the answer was cut'), refused(409), refused(400)];
    const send = async (key: string): Promise<never> => {
      keys.push(key);
      throw answers[keys.length - 1];
    };
    while (keys.length < answers.length) await attempt.run('wish', send);
    expect(keys[1]).toBe(keys[0]);
    expect(keys[2]).toBe(keys[0]);
    expect(keys[3]).not.toBe(keys[0]);
  });

  it('goes on under the key that was kept for it', async () => {
    const kept = new Map<string, string>();
    const keys: Keys = {
      of: (about) => kept.get(about) ?? kept.set(about, `key of ${about}`).get(about) ?? '',
      settle: (about) => void kept.delete(about),
    };
    const used: string[] = [];
    const send = (key: string): Promise<string> => {
      used.push(key);
      return used.length === 1 ? Promise.reject(refused(500)) : Promise.resolve('taken');
    };
    await new Attempt(keys).run('wish', send);
    expect([...kept.keys()]).toEqual(['"wish"']);
    await new Attempt(keys).run('wish', send);
    expect(used).toEqual(['key of "wish"', 'key of "wish"']);
    expect(kept.size).toBe(0);
  });

  it('that was given up says so, and not that it was tried often', async () => {
    const attempt = new Attempt();
    const done = attempt.run('wish', () => Promise.reject(refused(503, 3)));
    await vi.waitFor(() => expect(attempt.phase).toBe('waiting'));
    attempt.stop();
    expect(await done).toBeUndefined();
    expect([attempt.phase, attempt.stopped, attempt.late]).toEqual(['refused', true, false]);
  });

  it('that is asked for more patience than it has is told at once', async () => {
    const attempt = new Attempt();
    const send = vi.fn(() => Promise.reject(refused(429, 31)));
    await attempt.run('wish', send);
    expect([attempt.phase, attempt.late, send.mock.calls.length]).toEqual(['refused', true, 1]);
    await attempt.run('another', () => Promise.reject(refused(429, 1)), (it) => it.status !== 429);
    expect([attempt.phase, attempt.late]).toEqual(['refused', true]);
  });

  it('gives up after five tries', async () => {
    vi.useFakeTimers();
    const attempt = new Attempt();
    const send = vi.fn(() => Promise.reject(refused(429, 1)));
    const done = attempt.run('wish', send);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(await done).toBeUndefined();
    expect([send.mock.calls.length, attempt.phase]).toEqual([5, 'refused']);
    vi.useRealTimers();
  });
});
