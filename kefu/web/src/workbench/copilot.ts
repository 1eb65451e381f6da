/**
 * Advice for the agent in charge: what has happened, and replies they may send after reading them.
 *
 * It is asked for when a chat comes to the front and after each word of the customer, but not in the
 * middle of a burst; an answer that comes late for a newer question is thrown away.
 */
import { shallowRef } from 'vue'
import { locale } from '../shared/locale'
import { suggestedIn, type Offerable } from './chatProducts'
import { dataOf, words, type Read } from './reading'

export interface Suggestion {
  text: string
  /** The question of the entry it comes from; null where nobody wrote it down. */
  source: string | null
}

export interface Advice {
  summary: string
  suggestions: readonly Suggestion[]
  products: readonly Offerable[]
}

/** As many as have a key of their own. */
export const SUGGESTIONS = 3
const PRODUCTS = 3
const SETTLES_MS = 400

export class Copilot {
  readonly advice = shallowRef<Advice | null>(null)
  private timer: ReturnType<typeof setTimeout> | undefined
  private asking: AbortController | null = null

  constructor(
    private readonly chatId: string,
    private readonly read: Read,
  ) {}

  /** Something was said: what was suggested to the words before it is no help any more. */
  ask(): void {
    this.stop()
    if (this.advice.value) this.advice.value = { ...this.advice.value, suggestions: [], products: [] }
    this.timer = setTimeout(() => void this.fetch(), SETTLES_MS)
  }

  stop(): void {
    clearTimeout(this.timer)
    this.asking?.abort()
    this.asking = null
  }

  private async fetch(): Promise<void> {
    const asking = (this.asking = new AbortController())
    const answer = await this.read(`/api/chats/${this.chatId}/copilot?locale=${locale}`, asking.signal)
    if (this.asking !== asking) return
    this.asking = null
    if (answer !== null) this.advice.value = adviceOf(answer)
  }
}

export function adviceOf(answer: unknown): Advice {
  const data = dataOf(answer)
  const given: unknown[] = Array.isArray(data['suggestions']) ? data['suggestions'] : []
  const suggestions = given.map(suggestionOf).filter((suggestion) => suggestion.text)
  const products = suggestedIn(data['products']).slice(0, PRODUCTS)
  return { summary: words(data['summary']), suggestions: suggestions.slice(0, SUGGESTIONS), products }
}

/** The entry stands under `source` or, beside a word for its kind, under `entry`. */
function suggestionOf(given: unknown): Suggestion {
  const { text, source, entry } = (given ?? {}) as { text?: unknown; source?: Entry; entry?: Entry }
  return { text: words(text), source: words(source?.question) || words(entry?.question) || null }
}

type Entry = { question?: unknown } | null
