/** What the demo shop asks the server for: its products, and what goes with one of them. */
import { learn, productsIn, type Product } from '../shared/products'
import { DRAWINGS } from './drawings'

const SHOWN = 100
const ALONGSIDE = 4
const ANSWER_WITHIN_MS = 10_000

/** Those with a picture first; null where the server cannot be asked. */
export async function loadShelf(): Promise<Product[] | null> {
  const answer = await ask(`/api/products?limit=${SHOWN}`)
  if (answer === null) return null
  const products = productsIn(answer)
  learn(products)
  const isDrawn = (product: Product) => Number(product.id in DRAWINGS)
  return products.sort((a, b) => isDrawn(b) - isDrawn(a) || a.id.localeCompare(b.id))
}

export interface Alongside {
  ids: readonly string[]
  /** Nobody's views had a say in it: these are what most look at. */
  isPopular: boolean
}

export async function loadAlongside(id: string): Promise<Alongside> {
  const answer = (await ask(`/api/products/${id}/recommendations?limit=${ALONGSIDE}`)) as Recommended | null
  const ids = (answer?.data ?? []).map((each) => each.id)
  return { ids, isPopular: answer?.meta?.algorithm === 'popular' }
}

interface Recommended {
  data?: { id: string }[]
  meta?: { algorithm?: string }
}

async function ask(path: string): Promise<unknown> {
  try {
    const answer = await fetch(path, { signal: AbortSignal.timeout(ANSWER_WITHIN_MS) })
    return answer.ok ? await answer.json() : null
  } catch {
    return null
  }
}
