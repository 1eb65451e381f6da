import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Conversation } from './conversation'
import type { FromAgent, ToWorkbench } from './protocol'
import { AT, CHAT, chatState, message } from './samples'

let posted: FromAgent[]
let opened: string[]
let chat: Conversation

const make = () =>
  new Conversation({
    me: 'customer',
    unsentKey: 'test.unsent',
    post: (frame) => posted.push(frame) > 0,
    open: (id) => opened.push(id),
  })
const hear = (type: string, payload: object, reply_to?: string) =>
  chat.receive({ type, payload, timestamp: AT, reply_to } as unknown as ToWorkbench)
const sends = () => posted.flatMap((frame) => (frame.type === 'send_message' ? [frame] : []))
const resumes = () => posted.flatMap((frame) => (frame.type === 'resume' ? [frame.payload] : []))
const ack = (seq: number, index: number) =>
  hear('message_ack', {
    chat_id: CHAT, message_id: `m${seq}`, seq, timestamp: AT,
    client_message_id: sends()[index]!.payload.client_message_id,
  })

beforeEach(() => {
  vi.useFakeTimers()
  sessionStorage.clear()
  posted = []
  opened = []
  chat = make()
})
afterEach(() => vi.useRealTimers())

function begin() {
  chat.connected()
  hear('chat_status', chatState())
}

test('the next message waits for the ack of the one before', () => {
  begin()
  chat.say('one')
  chat.say('two')
  expect(sends().map((frame) => frame.payload.content)).toEqual(['one'])
  ack(1, 0)
  expect(sends().map((frame) => frame.payload.content)).toEqual(['one', 'two'])
})

test('a message without an ack is sent again under the same id', () => {
  begin()
  chat.say('one')
  vi.advanceTimersByTime(10_000)
  expect(new Set(sends().map((frame) => frame.payload.client_message_id)).size).toBe(1)
  expect(sends()).toHaveLength(2)
})

test('what was not sent survives a reload and goes out under the same id', () => {
  begin()
  chat.say('one')
  const id = sends()[0]!.payload.client_message_id
  posted = []
  chat = make()
  begin()
  expect(sends().map((frame) => frame.payload.client_message_id)).toEqual([id])
  ack(1, 0)
  expect(make().log.value.sends).toEqual([])
})

test('what is said without a chat asks for one first, and only once', () => {
  chat.connected()
  chat.say('hello')
  chat.say('anybody?')
  expect(opened).toHaveLength(1)
  expect(sends()).toEqual([])
  hear('chat_status', chatState({ status: 'waiting' }))
  expect(sends().map((frame) => frame.payload)).toMatchObject([{ chat_id: CHAT, content: 'hello' }])
})

test('a busy server is asked again when it said, without a failure shown', () => {
  begin()
  chat.say('one')
  hear('error', { code: 'OVERLOADED', message: '', retry_after_s: 2 }, sends()[0]!.id!)
  vi.advanceTimersByTime(1_999)
  expect(sends()).toHaveLength(1)
  vi.advanceTimersByTime(1)
  expect(sends()).toHaveLength(2)
  expect(chat.log.value.sends[0]?.failure).toBeUndefined()
})

test('a refused message is shown as failed, can be tried again, and holds up no other', () => {
  begin()
  chat.say('one')
  chat.say('two')
  hear('error', { code: 'CONTENT_TOO_LONG', message: '' }, sends()[0]!.id!)
  expect(chat.log.value.sends[0]).toMatchObject({ content: 'one', failure: 'CONTENT_TOO_LONG' })
  expect(sends().map((frame) => frame.payload.content)).toEqual(['one', 'two'])
  ack(1, 1)
  chat.retry(chat.log.value.sends[0]!.client_message_id)
  expect(sends().map((frame) => frame.payload.content)).toEqual(['one', 'two', 'one'])
})

test('a refused opening fails the message instead of asking for ever', () => {
  chat.connected()
  chat.say('hello')
  hear('error', { code: 'FORBIDDEN', message: '' }, opened[0])
  expect(opened).toHaveLength(1)
  expect(chat.log.value.sends[0]?.failure).toBe('FORBIDDEN')
})

test('a hole is asked for once, and again only when nothing came', () => {
  begin()
  hear('new_message', message(1))
  hear('new_message', message(4))
  hear('new_message', message(5))
  expect(resumes()).toEqual([{ chat_id: CHAT, last_seq: 1 }])
  vi.advanceTimersByTime(5_000)
  expect(resumes()).toHaveLength(2)
  hear('new_message', message(2))
  hear('new_message', message(3))
  vi.advanceTimersByTime(60_000)
  expect(resumes()).toHaveLength(2)
  expect(chat.log.value.messages.map((each) => each.seq)).toEqual([1, 2, 3, 4, 5])
})

test('coming back asks for what was missed and sends what waited', () => {
  begin()
  hear('new_message', message(1))
  chat.disconnected()
  chat.say('while away')
  expect(sends()).toEqual([])
  chat.connected()
  expect(resumes()).toEqual([{ chat_id: CHAT, last_seq: 1 }])
  expect(sends()).toHaveLength(1)
})

test('typing fades when it is not repeated', () => {
  begin()
  hear('typing', { chat_id: CHAT, is_typing: true, sender_type: 'agent' })
  expect(chat.isOtherTyping.value).toBe(true)
  vi.advanceTimersByTime(10_000)
  expect(chat.isOtherTyping.value).toBe(false)
})

test('only what is new is marked as read', () => {
  begin()
  hear('new_message', message(1))
  chat.markRead()
  chat.markRead()
  expect(posted.filter((frame) => frame.type === 'mark_read')).toHaveLength(1)
})

test('a chat that turns out to have ended is shown as ended, and a retry asks for a new one', () => {
  begin()
  chat.say('too late')
  const id = sends()[0]!.id!
  hear('error', { code: 'CHAT_ENDED', message: '' }, id)
  expect(chat.log.value.state?.status).toBe('ended')
  chat.retry(id)
  expect(opened).toEqual([id])
})
