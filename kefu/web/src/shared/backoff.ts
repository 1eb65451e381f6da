/**
 * How long to wait before the next attempt, with full jitter: from 0.5 s to 2 s while a server may
 * just be restarting (about ten seconds), then doubling up to 15 s.
 */
const FIRST_MS = 500
const SOON_MS = 2_000
const SOON_ATTEMPTS = 10
const LONGEST_MS = 15_000

/** `attempt` counts from 0; `random` is in [0, 1). */
export function backoffMs(attempt: number, random: number): number {
  const isSoon = attempt < SOON_ATTEMPTS
  const grown = isSoon ? FIRST_MS * 2 ** attempt : SOON_MS * 2 ** Math.min(attempt - SOON_ATTEMPTS, 10)
  return Math.round(random * Math.min(isSoon ? SOON_MS : LONGEST_MS, grown))
}
