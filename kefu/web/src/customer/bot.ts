/**
 * What the server says of its bot. A server without one, or one that does not answer, has no bot:
 * then the page is the one it always was, and a message calls a person.
 */
import { locale } from '../shared/locale'

export interface Bot {
  name: string
  welcome: string
  icon: string | null
}

const ANSWER_WITHIN_MS = 4_000

export async function askForBot(): Promise<Bot | null> {
  try {
    const answer = await fetch(`/api/bot/info?locale=${locale}`, { signal: AbortSignal.timeout(ANSWER_WITHIN_MS) })
    return answer.ok ? botOf(await answer.json()) : null
  } catch {
    return null
  }
}

/** Takes nothing for granted: the fields are an older contract's, and any of them may be missing. */
export function botOf(answer: unknown): Bot | null {
  const bot = (answer as { bot?: Record<string, unknown> | null } | null)?.bot
  if (!bot || typeof bot !== 'object') return null
  const words = (value: unknown) => (typeof value === 'string' ? value.trim() : '')
  return { name: words(bot['name']), welcome: words(bot['welcome']), icon: words(bot['icon_url']) || null }
}
