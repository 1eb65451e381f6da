import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createApp, defineComponent } from 'vue'
import { AT, CHAT, chatState, message } from '../shared/samples'
import { useSession } from './session'

/** Stands in for the network: the session talks to it, the test answers as the server. */
const line = vi.hoisted(() => ({ options: null as any, sent: [] as any[], stops: 0 }))
vi.mock('../shared/connection', () => ({
  Connection: class {
    constructor(options: unknown) {
      line.options = options
    }
    start() {}
    stop = () => line.stops++
    send = (frame: unknown) => line.sent.push(frame) > 0
  },
}))

let session: ReturnType<typeof useSession>
const hear = (type: string, payload: object, reply_to?: string) =>
  line.options.onFrame({ type, payload, timestamp: AT, reply_to })
const connect = () => line.options.onState('open', null)

function visit(address = '/') {
  history.replaceState(null, '', address)
  const root = defineComponent({
    setup() {
      session = useSession()
      return () => null
    },
  })
  createApp(root).mount(document.createElement('div'))
}

beforeEach(() => {
  localStorage.clear()
  sessionStorage.clear()
  line.sent = []
  line.stops = 0
  vi.stubGlobal('fetch', async () => new Response('', { status: 404 }))
})
afterEach(() => vi.unstubAllGlobals())

test('a token leaves the address at once and is used', () => {
  visit('/?token=signed&locale=en')
  expect(location.search).toBe('?locale=en')
  expect(line.options.token()).toBe('signed')
  visit('/#token=other')
  expect(location.hash).toBe('')
  expect(line.options.token()).toBe('other')
})

test('a guest comes back as the same guest', () => {
  visit()
  expect(line.options.token()).toBeNull()
  hear('chat_status', chatState({ guest_token: 'guest' }))
  visit()
  expect(line.options.token()).toBe('guest')
})

test('on return the server is asked how the chat stands', () => {
  visit()
  connect()
  hear('chat_status', chatState())
  expect(session.isChatting.value).toBe(true)
  connect()
  const asked = line.sent.at(-1)
  expect(asked).toMatchObject({ type: 'resume', payload: { chat_id: CHAT } })
  hear('chat_status', chatState({ status: 'ended', rating: 5 }), asked.id)
  expect(session.isChatting.value).toBe(false)
  expect(session.rated.value).toBe(true)
})

test('a chat that is not ours any more has ended for us', () => {
  visit()
  connect()
  hear('chat_status', chatState())
  connect()
  hear('error', { code: 'CHAT_NOT_FOUND', message: '' }, line.sent.at(-1).id)
  expect(session.conversation.log.value.state).toMatchObject({ chat_id: CHAT, status: 'ended' })
})

test('a guest whose token is refused starts afresh; a signed-in customer is told', async () => {
  vi.stubGlobal('fetch', async () => new Response('', { status: 401 }))
  visit()
  hear('chat_status', chatState({ guest_token: 'old' }))
  line.options.onVerdict({ kind: 'refused' })
  await vi.waitUntil(() => line.options.token() === null)
  expect(session.trouble.value).toBeNull()

  visit('/?token=signed')
  line.options.onVerdict({ kind: 'refused' })
  await vi.waitUntil(() => session.trouble.value === 'signedOut')
})

test('a full server is no reason to forget who we are', async () => {
  const asked = vi.fn(async () => new Response('', { status: 503 }))
  vi.stubGlobal('fetch', asked)
  visit()
  hear('chat_status', chatState({ guest_token: 'mine' }))
  line.options.onVerdict({ kind: 'refused' })
  await vi.waitUntil(() => asked.mock.results[0]?.type === 'return')
  await asked.mock.results[0]!.value
  expect(line.options.token()).toBe('mine')
})

test('a rating goes out once with its words', () => {
  visit()
  connect()
  hear('chat_status', chatState({ status: 'ended' }))
  session.rate(4, '  很好 ')
  expect(line.sent.at(-1)).toEqual({ type: 'rate_chat', payload: { chat_id: CHAT, rating: 4, feedback: '很好' } })
  expect(session.rated.value).toBe(true)
})

describe('with a bot', () => {
  const hasBot = (bot: object) => vi.stubGlobal('fetch', async () => Response.json({ success: true, bot }))
  const known = () => vi.waitUntil(() => session.bot.value !== undefined)

  test('the page knows it from the server, whatever of it is given', async () => {
    hasBot({ name: ' 小可 ', description: '', icon_url: '', welcome: '您好' })
    visit()
    expect(session.bot.value).toBeUndefined()
    await known()
    expect(session.bot.value).toEqual({ name: '小可', welcome: '您好', icon: null })
  })

  test.each([{ success: true }, { success: true, bot: null }, [], 'x'])('an answer without one (%j) is none', async (answer) => {
    vi.stubGlobal('fetch', async () => Response.json(answer))
    visit()
    await known()
    expect(session.bot.value).toBeNull()
  })

  test('a new chat begins with it, and a person can be called at once', async () => {
    hasBot({ name: '小可' })
    visit()
    await known()
    connect()
    session.startAgain()
    session.start()
    expect(line.sent.map((frame) => frame.payload)).toEqual([{ mode: 'bot' }, { mode: 'human' }])
  })

  test('who waits can go back to it only in a chat it was in', () => {
    visit()
    connect()
    hear('chat_status', chatState({ status: 'waiting' }))
    expect(session.mayReturnToBot.value).toBe(false)
    hear('chat_status', chatState({ status: 'bot' }))
    hear('chat_status', chatState({ status: 'waiting' }))
    expect(session.mayReturnToBot.value).toBe(true)
    session.returnToBot()
    expect(line.sent.at(-1)).toEqual({ type: 'return_to_bot', payload: { chat_id: CHAT } })
    hear('chat_status', chatState({ chat_id: 'next', status: 'waiting' }))
    expect(session.mayReturnToBot.value).toBe(false)
  })

  test('a reload knows from the messages that it was there', () => {
    visit()
    connect()
    hear('chat_status', chatState({ status: 'waiting', last_seq: 1 }))
    hear('new_message', message(1, { sender_type: 'ai' }))
    expect(session.mayReturnToBot.value).toBe(true)
  })
})
