/** How long to wait before the next attempt: full jitter, doubling from 0.5 s up to 15 s. */
const FIRST_MS = 500
const LONGEST_MS = 15_000

/** `attempt` counts from 0; `random` is in [0, 1). */
export function backoffMs(attempt: number, random: number): number {
  const ceiling = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempt, 10))
  return Math.round(random * ceiling)
}
