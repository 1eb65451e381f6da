/**
 * Products of the shop's catalogue, each asked for once in a page's life.
 *
 * A chat carries a product's id alone, and the same product may stand in it many times. What could
 * not be had because the server was not there is asked for again by the next who shows it.
 */
import { shallowRef, type ShallowRef } from 'vue'
import { locale } from './locale'

export interface Product {
  id: string
  name: string
  /** In the currency's major unit. */
  price: number
  currency: string
  image_url: string | null
  /** Null where it is not counted, or not said. */
  stock: number | null
}

export type Known = Product | 'loading' | 'gone' | 'unreachable'

const ANSWER_WITHIN_MS = 10_000
const known = new Map<string, ShallowRef<Known>>()

export function productOf(id: string): Readonly<ShallowRef<Known>> {
  const kept = known.get(id)
  if (kept && kept.value !== 'unreachable') return kept
  const asked = kept ?? remember(id, 'loading')
  void load(id, asked)
  return asked
}

/** From a list: whoever shows it need not ask for it. */
export function learn(products: readonly Product[]): void {
  for (const product of products) {
    const kept = known.get(product.id)
    if (kept) kept.value = product
    else remember(product.id, product)
  }
}

function remember(id: string, value: Known): ShallowRef<Known> {
  const made = shallowRef(value)
  known.set(id, made)
  return made
}

async function load(id: string, into: ShallowRef<Known>): Promise<void> {
  into.value = 'loading'
  into.value = await fetchProduct(id)
}

async function fetchProduct(id: string): Promise<Known> {
  try {
    const answer = await fetch(`/api/products/${encodeURIComponent(id)}`, { signal: AbortSignal.timeout(ANSWER_WITHIN_MS) })
    if (answer.status === 404) return 'gone'
    if (!answer.ok) return 'unreachable'
    return productFrom(((await answer.json()) as { data?: unknown }).data) ?? 'gone'
  } catch {
    return 'unreachable'
  }
}

/** Null for what cannot be shown as a product. */
export function productFrom(given: unknown): Product | null {
  const { id, name, price, currency, image_url, stock } = (given ?? {}) as Partial<Record<keyof Product, unknown>>
  if (typeof id !== 'string' || typeof name !== 'string' || typeof price !== 'number') return null
  return {
    id,
    name,
    price,
    currency: typeof currency === 'string' ? currency : '',
    image_url: typeof image_url === 'string' ? image_url : null,
    stock: typeof stock === 'number' ? stock : null,
  }
}

/** The products in `{data: {products: [...]}}`. */
export function productsIn(answer: unknown): Product[] {
  const given = (answer as { data?: { products?: unknown } | null } | null)?.data?.products
  return Array.isArray(given) ? given.map(productFrom).filter((product) => product !== null) : []
}

/** As it is written in the page's language: ¥1,299 in Chinese is CN¥1,299 in English. */
export function priceText({ price, currency }: Pick<Product, 'price' | 'currency'>): string {
  const written = { trailingZeroDisplay: 'stripIfInteger' } as const
  // a currency that is no currency would make Intl throw
  if (!/^[A-Z]{3}$/.test(currency)) return new Intl.NumberFormat(locale, written).format(price)
  return new Intl.NumberFormat(locale, { style: 'currency', currency, ...written }).format(price)
}
