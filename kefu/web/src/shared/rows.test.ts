import { describe, expect, test } from 'vitest'
import { emptyLog, withAck, withFailure, withMessage, withRead, withSend, withState } from './chatlog'
import type { Message } from './protocol'
import { rowsOf, type Bubble } from './rows'
import { AT, CHAT, chatState, message } from './samples'

const logOf = (...messages: Message[]) => messages.reduce(withMessage, withState(emptyLog, chatState()))
const customer = { party: 'customer' } as const
const bubbles = (log: Parameters<typeof rowsOf>[0]) =>
  rowsOf(log, customer, 100).filter((row): row is Bubble => row.kind === 'bubble')

test('each day begins with its line', () => {
  const log = logOf(message(1), message(2), message(3, { timestamp: '2026-01-29T10:00:00Z' }))
  expect(rowsOf(log, customer, 100).map((row) => row.kind)).toEqual(['day', 'bubble', 'bubble', 'day', 'bubble'])
})

test('messages of one sender within two minutes form a group', () => {
  const log = logOf(message(1), message(2), message(3, { timestamp: '2026-01-27T10:05:00Z' }))
  expect(bubbles(log).map((row) => [row.isFirst, row.isLast])).toEqual([[true, false], [false, true], [true, true]])
})

test('a system message stands alone and ends the group', () => {
  const log = logOf(message(1), message(2, { sender_type: 'system', message_type: 'system' }), message(3))
  expect(rowsOf(log, customer, 100).map((row) => row.kind)).toEqual(['day', 'bubble', 'system', 'bubble'])
  expect(bubbles(log).every((row) => row.isFirst && row.isLast)).toBe(true)
})

test('own messages show how far they have come', () => {
  const mine = (seq: number) => message(seq, { sender_type: 'customer' })
  const read = withRead(logOf(mine(1), mine(2)), { chat_id: CHAT, seq: 1, reader_type: 'agent' })
  const sending = withSend(read, { client_message_id: 'c', content: 'x', timestamp: AT })
  const failed = withFailure(withSend(sending, { client_message_id: 'd', content: 'y', timestamp: AT }), 'd', 'CHAT_ENDED')
  expect(bubbles(failed).map((row) => row.tick)).toEqual(['read', 'sent', 'sending', 'failed'])
})

test('a bubble keeps its key from being sent to being stored', () => {
  const sending = withSend(logOf(), { client_message_id: 'mine', content: 'x', timestamp: AT })
  const stored = withMessage(sending, message(1, { sender_type: 'customer', client_message_id: 'mine' }))
  expect(bubbles(stored)[0]?.key).toBe(bubbles(sending)[0]?.key)
})

test('a colleague\'s message is not mine', () => {
  const log = logOf(message(1, { sender_id: 'me' }), message(2, { sender_id: 'colleague' }))
  const rows = rowsOf(log, { party: 'agent', id: 'me' }, 100)
  expect(rows.flatMap((row) => (row.kind === 'bubble' ? [row.isMine] : []))).toEqual([true, false])
})

test('a product is shown by its id from being sent to being stored', () => {
  const sending = withSend(logOf(), { client_message_id: 'mine', content: 'tent', message_type: 'product', timestamp: AT })
  const stored = withAck(sending, { chat_id: CHAT, message_id: 'm', seq: 1, timestamp: AT, client_message_id: 'mine' }, 'customer')
  expect([...bubbles(sending), ...bubbles(stored), ...bubbles(logOf(message(1)))].map((row) => row.productId)).toEqual(['tent', 'tent', null])
})

describe('the bot', () => {
  const answer = (text: string) => ({ turn_id: 'turn', chat_id: CHAT, text, timestamp: AT, isBroken: false })
  const readBy = (party: 'customer' | 'agent') =>
    rowsOf(logOf(message(1, { sender_type: 'ai', message_id: 'turn' })), { party }, 100).at(-1) as Bubble

  test('keeps its bubble from the first piece to the message, whatever key the server gave that', () => {
    const growing = rowsOf(logOf(), customer, 100, [answer('七天')]).at(-1)
    const told = message(1, { sender_type: 'ai', message_id: 'turn', client_message_id: 'answers-1' })
    expect(rowsOf(logOf(told), customer, 100).at(-1)?.key).toBe(growing?.key)
  })

  test('of whose answer nothing has come yet has no bubble', () => {
    expect(rowsOf(logOf(), customer, 100, [answer('')])).toEqual([])
  })

  test('stands across from the customer, on the side of the shop', () => {
    expect(readBy('customer').side).toBe('left')
    expect(readBy('agent').side).toBe('right')
    expect(readBy('agent').isMine).toBe(false)
  })
})
