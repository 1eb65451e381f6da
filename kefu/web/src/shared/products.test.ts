import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { learn, priceText, productFrom, productOf, productsIn } from './products'

const tent = { id: 'tent', name: '帐篷', price: 1299, currency: 'CNY', image_url: null, stock: 3 }
let asked: string[]
let answer: () => Promise<Response>
const settle = () => new Promise((resolve) => setTimeout(resolve))
let count = 0
const fresh = () => `product-${count++}`

beforeEach(() => {
  asked = []
  vi.stubGlobal('fetch', (path: string) => {
    asked.push(path)
    return answer()
  })
})
afterEach(() => vi.unstubAllGlobals())

test('a product is asked for once, however many cards show it', async () => {
  const id = fresh()
  answer = async () => Response.json({ success: true, data: { ...tent, id } })
  const cards = [productOf(id), productOf(id)]
  expect(cards[0]!.value).toBe('loading')
  await settle()
  expect(productOf(id).value).toEqual({ ...tent, id })
  expect(cards[1]).toBe(cards[0])
  expect(asked).toEqual([`/api/products/${id}`])
})

test('what is gone is gone, and is not asked for again', async () => {
  const id = fresh()
  answer = async () => new Response('{}', { status: 404 })
  productOf(id)
  await settle()
  expect(productOf(id).value).toBe('gone')
  expect(asked).toHaveLength(1)
})

test.each([
  ['a dead network', async () => Promise.reject(new TypeError('network'))],
  ['a server in trouble', async () => new Response('{}', { status: 503 })],
  ['what is no JSON', async () => new Response('<html>')],
])('%s is no answer: who shows it next asks again, and all cards learn it', async (_name, trouble) => {
  const id = fresh()
  answer = trouble
  const card = productOf(id)
  await settle()
  expect(card.value).toBe('unreachable')
  answer = async () => Response.json({ data: { ...tent, id } })
  productOf(id)
  await settle()
  expect(card.value).toMatchObject({ name: '帐篷' })
})

test('what a list told is known without asking', () => {
  const id = fresh()
  learn([{ ...tent, id }])
  expect(productOf(id).value).toMatchObject({ name: '帐篷' })
  expect(asked).toEqual([])
})

test('an id is no way out of its address', () => {
  answer = async () => new Response('{}', { status: 404 })
  productOf('../admin/products?x=1')
  expect(asked).toEqual(['/api/products/..%2Fadmin%2Fproducts%3Fx%3D1'])
})

test.each([null, 4, 'x', [], {}, { id: 'x' }, { id: 'x', name: 'x', price: '3' }])('%j is no product', (odd) => {
  expect(productFrom(odd)).toBeNull()
  expect(productsIn({ data: { products: [odd, tent] } })).toEqual([tent])
})

test('a list that is none has no products', () => {
  expect([null, {}, { data: null }, { data: { products: 'x' } }].map(productsIn)).toEqual([[], [], [], []])
})

test('a price is written in its currency, with cents where there are any', () => {
  const written = [[1299, 'CNY'], [199.9, 'CNY'], [5, 'USD'], [1500, 'JPY'], [7, '']] as const
  expect(written.map(([price, currency]) => priceText({ price, currency }))).toEqual(['CN¥1,299', 'CN¥199.90', '$5', '¥1,500', '7'])
})
