import { describe, expect, test } from 'vitest'
import * as log from './chatlog'
import { AT, CHAT, chatState, message } from './samples'

const opened = log.withState(log.emptyLog, chatState())
const fed = (...seqs: number[]) => seqs.reduce((now, seq) => log.withMessage(now, message(seq)), opened)
const seqsOf = (now: log.ChatLog) => now.messages.map((each) => each.seq)
const sending = (id: string): log.Send => ({ client_message_id: id, content: `said ${id}`, timestamp: AT })

describe('messages', () => {
  test('stand in the order of seq', () => {
    expect(seqsOf(fed(1, 2, 3))).toEqual([1, 2, 3])
  })

  test('that come twice are shown once', () => {
    expect(seqsOf(fed(1, 2, 2, 1, 3))).toEqual([1, 2, 3])
  })

  test('behind a hole wait until it is filled', () => {
    const holed = fed(1, 4, 3)
    expect(seqsOf(holed)).toEqual([1])
    expect(log.isMissing(holed)).toBe(true)
    const filled = log.withMessage(holed, message(2))
    expect(seqsOf(filled)).toEqual([1, 2, 3, 4])
    expect(log.isMissing(filled)).toBe(false)
    expect(filled.early).toEqual([])
  })

  test('in any order and with any repeats end up contiguous', () => {
    for (let seed = 1; seed <= 200; seed++) {
      const order = [1, 2, 3, 4, 5, 6, 7, 8, ...Array.from({ length: 6 }, (_, i) => 1 + ((seed * (i + 3)) % 8))]
      order.sort((a, b) => ((a * seed * 7919) % 101) - ((b * seed * 7919) % 101))
      expect(seqsOf(fed(...order))).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
    }
  })

  test('of another chat are not shown', () => {
    expect(log.withMessage(opened, message(1, { chat_id: 'other' }))).toBe(opened)
  })
})

describe('a chat status', () => {
  test('ahead of what is here says that something is missing', () => {
    expect(log.isMissing(log.withState(fed(1, 2), chatState({ last_seq: 5 })))).toBe(true)
  })

  test('of another chat begins a new log and keeps what is being sent', () => {
    const before = log.withSend(fed(1, 2), sending('a'))
    const after = log.withState(before, chatState({ chat_id: 'next', status: 'waiting' }))
    expect(seqsOf(after)).toEqual([])
    expect(after.sends).toHaveLength(1)
  })

  test('with resync begins the log again wherever the server begins', () => {
    const before = log.withState(fed(1, 2), chatState({ last_seq: 402, resync: true }))
    const after = [401, 402, 403].reduce((now, seq) => log.withMessage(now, message(seq)), before)
    expect(seqsOf(after)).toEqual([401, 402, 403])
    expect(log.isMissing(after)).toBe(false)
  })
})

describe('a sent message', () => {
  const ack = (seq: number, id: string) => ({ chat_id: CHAT, message_id: `m${seq}`, seq, client_message_id: id, timestamp: AT })

  test('becomes a message by its ack', () => {
    const acked = log.withAck(log.withSend(fed(1), sending('a')), ack(2, 'a'), 'customer')
    expect(acked.sends).toEqual([])
    expect(acked.messages.at(-1)).toMatchObject({ seq: 2, content: 'said a', sender_type: 'customer' })
  })

  test('becomes one message when its echo comes besides its ack', () => {
    const before = log.withSend(fed(1), sending('a'))
    const echo = message(2, { sender_type: 'customer', client_message_id: 'a', content: 'said a' })
    const both = log.withAck(log.withMessage(before, echo), ack(2, 'a'), 'customer')
    expect(seqsOf(both)).toEqual([1, 2])
    expect(both.sends).toEqual([])
  })

  test('that failed is skipped by the next send until it is tried again', () => {
    const two = log.withSend(log.withSend(opened, sending('a')), sending('b'))
    const failed = log.withFailure(two, 'a', 'CONTENT_TOO_LONG')
    expect(log.nextSend(failed)?.client_message_id).toBe('b')
    expect(log.nextSend(log.withFailure(failed, 'a', undefined))?.client_message_id).toBe('a')
  })
})

test('a read mark never goes back', () => {
  const read = (seq: number) => ({ chat_id: CHAT, seq, reader_type: 'agent' as const })
  expect(log.withRead(log.withRead(opened, read(5)), read(3)).readByAgent).toBe(5)
})
