/**
 * What the customer of a chat looked at and what may please them, and the shop's search.
 *
 * Asked for when the chat comes to the front and when the customer has said something, which is
 * when somebody looks here; a burst of words is answered once now and once at its end.
 */
import { shallowRef } from 'vue'
import { productFrom, productsIn, type Product } from '../shared/products'
import { dataOf, words, type Read } from './reading'

export interface Offerable {
  product: Product
  /** `views` without `because`: it fits what they viewed, as a whole. */
  reason: 'words' | 'views' | 'popular' | null
  because: string | null
}

export interface ChatProducts {
  viewed: readonly Offerable[]
  recommended: readonly Offerable[]
}

const AT_MOST_EVERY_MS = 4_000
const TYPED_MS = 250
const FOUND = 8

export class ProductsOfChat {
  /** Null until the server has answered once. */
  readonly products = shallowRef<ChatProducts | null>(null)
  private readonly gone = new AbortController()
  private timer: ReturnType<typeof setTimeout> | undefined
  private isResting = false
  private isWanted = false

  constructor(
    private readonly chatId: string,
    private readonly read: Read,
  ) {}

  ask(): void {
    this.isWanted = true
    if (!this.isResting) void this.fetch()
  }

  stop(): void {
    clearTimeout(this.timer)
    this.isResting = true
    this.gone.abort()
  }

  private async fetch(): Promise<void> {
    this.isWanted = false
    this.isResting = true
    this.timer = setTimeout(() => {
      this.isResting = false
      if (this.isWanted) void this.fetch()
    }, AT_MOST_EVERY_MS)
    const answer = await this.read(`/api/chats/${this.chatId}/products`, this.gone.signal)
    if (answer !== null && !this.gone.signal.aborted) this.products.value = productsOf(answer)
  }
}

export function productsOf(answer: unknown): ChatProducts {
  const data = dataOf(answer)
  return { viewed: listOf(data['viewed']), recommended: listOf(data['recommended'], reasonOf) }
}

/** The copilot's, which name their reasons. */
export const suggestedIn = (given: unknown): Offerable[] => listOf(given, reasonOf)

type Fields = Record<string, unknown>

function listOf(given: unknown, reason: (each: Fields) => Offerable['reason'] = () => null): Offerable[] {
  if (!Array.isArray(given)) return []
  return given.flatMap((each: Fields | null) => {
    const product = productFrom(each)
    if (!each || !product) return []
    return [{ product, reason: reason(each), because: words((each['because'] as Fields | undefined)?.['name']) || null }]
  })
}

function reasonOf(each: Fields): Offerable['reason'] {
  const said = each['reason']
  if (said === 'words' || said === 'views' || said === 'popular') return said
  return each['because'] || Number(each['score']) > 0 ? 'views' : 'popular'
}

export class ProductSearch {
  /** Null while nothing is looked for. */
  readonly found = shallowRef<readonly Offerable[] | null>(null)
  private timer: ReturnType<typeof setTimeout> | undefined
  private asking: AbortController | null = null

  constructor(private readonly read: Read) {}

  /** What was found for the words before stays until there is an answer to these. */
  look(text: string): void {
    this.stop()
    const sought = text.trim()
    if (!sought) this.found.value = null
    else this.timer = setTimeout(() => void this.fetch(sought), TYPED_MS)
  }

  stop(): void {
    clearTimeout(this.timer)
    this.asking?.abort()
    this.asking = null
  }

  private async fetch(sought: string): Promise<void> {
    const asking = (this.asking = new AbortController())
    const answer = await this.read(`/api/products?q=${encodeURIComponent(sought)}&limit=${FOUND}`, asking.signal)
    if (this.asking !== asking || answer === null) return
    this.found.value = productsIn(answer).map((product) => ({ product, reason: null, because: null }))
  }
}
