import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Conversation } from './conversation'
import type { FromAgent, ToWorkbench } from './protocol'
import { AT, CHAT, chatState, message } from './samples'

let posted: FromAgent[]
let chat: Conversation

const make = () =>
  new Conversation({
    me: 'customer',
    unsentKey: 'test.unsent',
    post: (frame) => posted.push(frame) > 0,
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

test('a product goes out as a card, in its turn between words', () => {
  begin()
  chat.say('this one?')
  chat.show('tent')
  ack(1, 0)
  expect(sends().map(({ payload }) => [payload.content, payload.message_type])).toEqual([
    ['this one?', undefined],
    ['tent', 'product'],
  ])
  expect(chat.log.value.messages[0]?.message_type).toBe('text')
  ack(2, 1)
  expect(chat.log.value.messages[1]).toMatchObject({ content: 'tent', message_type: 'product' })
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

test('what is said without a chat opens one, and the next words go into it', () => {
  chat.connected()
  chat.say('hello')
  chat.say('anybody?')
  expect(sends().map((frame) => frame.payload)).toMatchObject([{ chat_id: null, content: 'hello' }])
  hear('chat_status', chatState({ status: 'bot' }))
  ack(1, 0)
  expect(sends().slice(1).map((frame) => frame.payload)).toMatchObject([{ chat_id: CHAT, content: 'anybody?' }])
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

test('a refused first message is shown as failed instead of being sent for ever', () => {
  chat.connected()
  chat.say('hello')
  hear('error', { code: 'FORBIDDEN', message: '' }, sends()[0]!.id!)
  vi.advanceTimersByTime(60_000)
  expect(sends()).toHaveLength(1)
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

test('a chat that turns out to have ended is shown as ended, and a retry opens a new one', () => {
  begin()
  chat.say('too late')
  const id = sends()[0]!.id!
  hear('error', { code: 'CHAT_ENDED', message: '' }, id)
  expect(chat.log.value.state?.status).toBe('ended')
  chat.retry(id)
  expect(sends().at(-1)).toMatchObject({ id, payload: { chat_id: null } })
})

test('an agent says nothing outside the chat they have open', () => {
  chat = new Conversation({ me: 'agent', myId: 'me', unsentKey: 'test.agent', post: (frame) => posted.push(frame) > 0 })
  chat.connected()
  hear('chat_status', chatState({ status: 'ended' }))
  chat.say('still there?')
  expect(sends()[0]?.payload.chat_id).toBe(CHAT)
})

describe('while the bot is in charge', () => {
  const TURN = 'turn'
  const piece = (content: string, answers_seq = 1) => hear('ai_delta', { chat_id: CHAT, turn_id: TURN, content, answers_seq })
  const texts = () => chat.growing.value.answers.map((answer) => answer.text)
  const asked = () => {
    chat.connected()
    chat.say('退货要多久？')
    hear('chat_status', chatState({ status: 'bot' }))
    ack(1, 0)
  }

  test('dots stand from the question to the first piece', () => {
    asked()
    expect(chat.isBotThinking.value).toBe(true)
    piece('七天')
    expect(chat.isBotThinking.value).toBe(false)
    piece('以内')
    expect(texts()).toEqual(['七天以内'])
    hear('new_message', message(2, { sender_type: 'ai', message_id: TURN }))
    expect(texts()).toEqual([])
    expect(chat.isBotThinking.value).toBe(false)
  })

  test('a person who is called ends dots and answer at once', () => {
    asked()
    hear('chat_status', chatState({ status: 'waiting', last_seq: 1 }))
    expect(chat.isBotThinking.value).toBe(false)
    piece('七天')
    expect(texts()).toEqual([])
  })

  test('an answer that was cut by the network shows dots after it, and never a text with a gap', () => {
    asked()
    piece('七天')
    chat.disconnected()
    expect(texts()).toEqual(['七天'])
    chat.connected()
    hear('chat_status', chatState({ status: 'bot', last_seq: 1 }))
    piece('，运费由我们承担')
    expect(texts()).toEqual(['七天'])
  })

  test('an answer that began before we came is not shown from its middle', () => {
    chat.connected()
    hear('chat_status', chatState({ status: 'bot', last_seq: 1 }))
    hear('new_message', message(1, { sender_type: 'customer' }))
    piece('天以内')
    expect(texts()).toEqual([''])
    expect(chat.isBotThinking.value).toBe(true)
  })

  test('what nobody finishes is not waited for without end', () => {
    asked()
    piece('七天')
    vi.advanceTimersByTime(75_000)
    expect(texts()).toEqual([])
    expect(chat.isBotThinking.value).toBe(false)
    piece('以内')
    expect(texts()).toEqual([])
  })
})
