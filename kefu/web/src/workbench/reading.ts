/**
 * What the desk reads over HTTP beside its socket: extras, so a failure is nobody's news.
 */
import { freshToken } from './signin'

/** Answers the body, or null where there is nothing to be had; null as well when `signal` fires. */
export type Read = (path: string, signal: AbortSignal) => Promise<unknown>

const ANSWER_WITHIN_MS = 20_000

export const read: Read = async (path, signal) => {
  try {
    const answer = await fetch(path, {
      headers: { Authorization: `Bearer ${await freshToken()}` },
      signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_WITHIN_MS)]),
    })
    return answer.ok && !signal.aborted ? await answer.json() : null
  } catch {
    return null
  }
}

/** The `data` of an answer, as an object to be looked into with care. */
export function dataOf(answer: unknown): Record<string, unknown> {
  const data = (answer as { data?: unknown } | null)?.data
  return data && typeof data === 'object' ? (data as Record<string, unknown>) : {}
}

export const words = (value: unknown): string => (typeof value === 'string' ? value.trim() : '')
