import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { productsOf, ProductsOfChat, ProductSearch } from './chatProducts'
import type { Read } from './reading'

const tent = { id: 'tent', name: '帐篷', price: 1299, currency: 'CNY', image_url: null }
let asked: { path: string; signal: AbortSignal; answer: (body: unknown) => void }[]
const read: Read = (path, signal) => new Promise((answer) => asked.push({ path, signal, answer }))
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms)

beforeEach(() => {
  vi.useFakeTimers()
  asked = []
})
afterEach(() => vi.useRealTimers())

test('a chat is asked about at once, and its burst of words once more at the end', async () => {
  const chat = new ProductsOfChat('c', read)
  chat.ask()
  for (let word = 0; word < 5; word++) chat.ask()
  expect(asked.map((each) => each.path)).toEqual(['/api/chats/c/products'])
  await pass(4_000)
  expect(asked).toHaveLength(2)
  await pass(60_000)
  expect(asked).toHaveLength(2)
  chat.ask()
  expect(asked).toHaveLength(3)
})

test('a failure leaves what is known; nothing is asked or shown after the chat was left', async () => {
  const chat = new ProductsOfChat('c', read)
  chat.ask()
  asked[0]!.answer({ data: { viewed: [tent], recommended: [] } })
  await pass(4_000)
  chat.ask()
  asked[1]!.answer(null)
  await pass(0)
  expect(chat.products.value?.viewed).toHaveLength(1)
  chat.ask()
  chat.stop()
  await pass(10_000)
  expect(asked).toHaveLength(2)
  expect(asked[1]!.signal.aborted).toBe(true)
})

test('what is recommended says why', () => {
  const recommended = [{ ...tent, score: 0.5, because: { id: 'x', name: '背包' } }, { ...tent, score: 0.2 }, { ...tent, score: 0 }]
  const { viewed, recommended: told } = productsOf({ data: { viewed: [tent], recommended } })
  expect(told.map((each) => [each.reason, each.because])).toEqual([['views', '背包'], ['views', null], ['popular', null]])
  expect(viewed[0]).toMatchObject({ reason: null, because: null })
})

test.each([null, 'x', { data: { viewed: 'x', recommended: [null, 4, {}] } }])('an odd answer (%j) shows nothing', (odd) =>
  expect(productsOf(odd)).toEqual({ viewed: [], recommended: [] }),
)

test('a search waits for the end of the typing, and the last words win', async () => {
  const search = new ProductSearch(read)
  for (const typed of ['帐', '帐篷']) {
    search.look(typed)
    await pass(100)
  }
  await pass(250)
  expect(asked.map((each) => decodeURIComponent(each.path))).toEqual(['/api/products?q=帐篷&limit=8'])
  search.look('灯')
  await pass(250)
  asked[1]!.answer({ data: { products: [{ ...tent, name: '头灯' }] } })
  await pass(0)
  asked[0]!.answer({ data: { products: [tent] } })
  await pass(0)
  expect(search.found.value?.map((each) => each.product.name)).toEqual(['头灯'])
})

test('an empty box searches nothing', async () => {
  const search = new ProductSearch(read)
  search.look('灯')
  await pass(250)
  asked[0]!.answer({ data: { products: [] } })
  await pass(0)
  expect(search.found.value).toEqual([])
  search.look('  ')
  expect(search.found.value).toBeNull()
})
