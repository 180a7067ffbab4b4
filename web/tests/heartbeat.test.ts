import { describe, expect, it, vi } from 'vitest';
import { Heartbeat, SILENCE_MS_MAX } from '../src/heartbeat';

describe('a heartbeat', () => {
  it('that misses two beats is dead, once', () => {
    vi.useFakeTimers();
    const dead = vi.fn();
    const heartbeat = new Heartbeat(dead);
    heartbeat.heard();
    vi.advanceTimersByTime(SILENCE_MS_MAX - 1);
    heartbeat.heard();
    vi.advanceTimersByTime(SILENCE_MS_MAX - 1);
    expect(dead).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(dead).toHaveBeenCalledTimes(1);
    vi.advanceTimersByTime(10 * SILENCE_MS_MAX);
    expect(dead).toHaveBeenCalledTimes(1);
    vi.useRealTimers();
  });

  it('is expected from the opening on, and of no stream that was closed', () => {
    vi.useFakeTimers();
    const dead = vi.fn();
    const heartbeat = new Heartbeat(dead);
    heartbeat.heard();
    heartbeat.stop();
    vi.advanceTimersByTime(10 * SILENCE_MS_MAX);
    expect(dead).not.toHaveBeenCalled();
    heartbeat.heard();
    vi.advanceTimersByTime(SILENCE_MS_MAX);
    expect(dead).toHaveBeenCalledTimes(1);
    vi.useRealTimers();
  });
});
