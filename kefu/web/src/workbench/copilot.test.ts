import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { adviceOf, Copilot } from './copilot'
import type { Read } from './reading'

const advice = (summary: string, ...texts: string[]) => ({
  success: true,
  data: { summary, suggestions: texts.map((text) => ({ text, source: { entry_id: 'e', question: `${text}？`, score: 0.9 } })) },
})
let asked: { path: string; signal: AbortSignal; answer: (body: unknown) => void }[]
const read: Read = (path, signal) => new Promise((answer) => asked.push({ path, signal, answer }))
let copilot: Copilot
const settle = () => vi.advanceTimersByTimeAsync(400)
const shown = () => copilot.advice.value?.suggestions.map((suggestion) => suggestion.text)

beforeEach(() => {
  vi.useFakeTimers()
  asked = []
  copilot = new Copilot('chat', read)
})
afterEach(() => vi.useRealTimers())

test('a burst of words is one question', async () => {
  for (let word = 0; word < 5; word++) {
    copilot.ask()
    await vi.advanceTimersByTimeAsync(100)
  }
  expect(asked).toEqual([])
  await settle()
  expect(asked.map((each) => each.path)).toEqual(['/api/chats/chat/copilot?locale=en'])
})

test('what comes late for an older question is cancelled, and not shown if it comes all the same', async () => {
  copilot.ask()
  await settle()
  copilot.ask()
  await settle()
  expect(asked.map((each) => each.signal.aborted)).toEqual([true, false])
  asked[1]!.answer(advice('new', '新'))
  await settle()
  asked[0]!.answer(advice('old', '旧'))
  await settle()
  expect(shown()).toEqual(['新'])
})

test('new words take the suggestions away and leave the summary until there is a newer one', async () => {
  copilot.ask()
  await settle()
  asked[0]!.answer(advice('一', '甲'))
  await settle()
  copilot.ask()
  expect(copilot.advice.value).toEqual({ summary: '一', suggestions: [], products: [] })
})

test('a failure shows nothing, and says nothing', async () => {
  copilot.ask()
  await settle()
  asked[0]!.answer(null)
  await settle()
  expect(copilot.advice.value).toBeNull()
})

test('nothing is asked, heard or shown after the chat was left', async () => {
  copilot.ask()
  copilot.stop()
  await settle()
  expect(asked).toEqual([])
  copilot.ask()
  await settle()
  copilot.stop()
  asked[0]!.answer(advice('x', 'x'))
  await settle()
  expect(copilot.advice.value).toBeNull()
})

describe('an answer', () => {
  test('names the question a reply comes from', () => {
    expect(adviceOf(advice('一', '甲')).suggestions).toEqual([{ text: '甲', source: '甲？' }])
  })

  test('may name it beside the kind of source', () => {
    const data = { suggestions: [{ text: '甲', source: 'knowledge', entry: { question: '甲？' } }] }
    expect(adviceOf({ data }).suggestions).toEqual([{ text: '甲', source: '甲？' }])
  })

  test('gives no more than there are keys for', () => {
    expect(adviceOf(advice('', '一', '二', '三', '四')).suggestions).toHaveLength(3)
  })

  test.each([null, [], 'x', { data: null }, { data: { summary: 3, suggestions: 'x' } }, { data: { suggestions: [null, 4, {}, { text: ' ' }] } }])(
    'that is odd (%j) is no advice',
    (odd) => expect(adviceOf(odd)).toEqual({ summary: '', suggestions: [], products: [] }),
  )

  test('has products, each with its reason', () => {
    const tent = { id: 'tent', name: '帐篷', price: 1299, currency: 'CNY', image_url: null, reason: 'words' }
    const given = adviceOf({ data: { products: [tent, { ...tent, reason: 'views', because: { id: 'x', name: '背包' } }, { id: 4 }] } })
    expect(given.products.map((each) => [each.product.name, each.reason, each.because])).toEqual([
      ['帐篷', 'words', null],
      ['帐篷', 'views', '背包'],
    ])
  })

  test('without a source has a reply all the same', () => {
    const data = { summary: '', suggestions: [{ text: '甲', source: null }, { text: '乙', source: 'generated' }] }
    expect(adviceOf({ data }).suggestions).toEqual([{ text: '甲', source: null }, { text: '乙', source: null }])
  })
})
