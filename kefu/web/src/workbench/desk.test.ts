import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { AT, CHAT, chatState } from '../shared/samples'

/** Stands in for the network: the desk talks to it, the test answers as the server. */
const line = vi.hoisted(() => ({ options: null as any, sent: [] as any[] }))
vi.mock('../shared/connection', () => ({
  Connection: class {
    constructor(options: unknown) {
      line.options = options
    }
    start() {
      line.options.onState('open', null)
    }
    stop() {}
    send = (frame: unknown) => line.sent.push(frame) > 0
  },
}))
const { createDesk } = await import('./desk')

const me = { id: 'me', name: '张三', avatar_url: null }
const item = { chat_id: CHAT, customer_id: 'c', waiting_since: AT, customer_name: '陈小姐' }
let notices: string[]
let desk: ReturnType<typeof createDesk>
const hear = (type: string, payload: object, reply_to?: string) =>
  line.options.onFrame({ type, payload, timestamp: AT, reply_to })
const snapshot = (feed_seq: number, waiting: object[] = []) => hear('queue_snapshot', { feed_id: 'f', feed_seq, waiting, agents: [] })
const mine = () => hear('chat_status', chatState({ agent: { id: 'me', name: '张三' } }))

beforeEach(() => {
  sessionStorage.clear()
  line.sent = []
  notices = []
  desk = createDesk(me, (notice) => notices.push(notice.text))
  desk.start()
})
afterEach(() => vi.useRealTimers())

test('a chat is on the desk while its status names this agent', () => {
  mine()
  expect([...desk.chats.keys()]).toEqual([CHAT])
  hear('chat_status', chatState({ agent: { id: 'other', name: '李四' } }))
  expect(desk.chats.size).toBe(0)
  expect(notices).toHaveLength(1)
})

test('a list that cannot be had now is asked for again', () => {
  vi.useFakeTimers()
  snapshot(1)
  hear('queue_update', { feed_id: 'f', feed_seq: 3, change: 'removed', chat_id: CHAT })
  expect(line.sent).toHaveLength(1)
  hear('error', { code: 'OVERLOADED', message: '', retry_after_s: 2 }, line.sent[0].id)
  vi.advanceTimersByTime(1_900)
  expect(line.sent).toHaveLength(1)
  vi.advanceTimersByTime(200)
  expect(line.sent.map((frame) => frame.type)).toEqual(['subscribe_queue', 'subscribe_queue'])
  expect(notices).toEqual([])
})

test('an ended chat stays until it is put away', () => {
  mine()
  hear('chat_status', chatState({ status: 'ended' }))
  expect(desk.chats.size).toBe(1)
  desk.dismiss(CHAT)
  expect(desk.chats.size).toBe(0)
})

test('a chat that is lost to a colleague is let go of, and said so', () => {
  snapshot(1, [item])
  desk.accept(CHAT)
  expect(desk.selected.value).toBe(CHAT)
  hear('queue_update', { feed_id: 'f', feed_seq: 2, change: 'removed', chat_id: CHAT })
  expect(desk.selected.value).toBe(CHAT)
  const fault = { code: 'ALREADY_TAKEN', message: '', taken_by: { id: 'other', name: '李四' } }
  hear('error', fault, line.sent[0].id)
  expect(desk.selected.value).toBeNull()
  expect(notices).toHaveLength(1)
  expect(notices[0]).toContain('李四')
})

test('an accepted chat keeps the selection and the customer it had in the queue', () => {
  snapshot(1, [item])
  desk.accept(CHAT)
  hear('queue_update', { feed_id: 'f', feed_seq: 2, change: 'removed', chat_id: CHAT })
  mine()
  expect(desk.selected.value).toBe(CHAT)
  expect(desk.customerName(CHAT)).toBe('陈小姐')
})

test('a missed update of the list is asked for', () => {
  snapshot(1)
  hear('queue_update', { feed_id: 'f', feed_seq: 3, change: 'added', chat_id: CHAT, item })
  expect(line.sent).toEqual([{ type: 'subscribe_queue', payload: { feed_id: 'f', last_feed_seq: 1 }, id: 'feed' }])
  expect(desk.feed.value.waiting).toEqual([])
})

test('a chat the server does not name on return has gone meanwhile', () => {
  mine()
  snapshot(1)
  expect(desk.chats.size).toBe(1)
  line.options.onState('waiting', 0)
  line.options.onState('open', null)
  snapshot(2)
  expect(desk.chats.size).toBe(0)
})

test('a transfer is told once, whichever frame says it first', () => {
  mine()
  hear('chat_status', chatState({ agent: { id: 'other', name: '李四' } }))
  hear('transfer_result', { chat_id: CHAT, outcome: 'transferred', to_agent_id: 'other' })
  expect(notices).toHaveLength(1)
})

const LATER = '2026-01-27T10:00:30Z'
const offered = (chat_id = CHAT) => hear('chat_offer', { chat_id, expires_at: LATER })
const handed = (chat_id: string) =>
  hear('transfer_request', { request_id: 'r', chat_id, from_agent: { id: 'other', name: '李四' }, expires_at: LATER })
const me_as = (feed_seq: number, status: string, active_count = 0) =>
  hear('agent_status', { feed_id: 'f', feed_seq, agent: { agent_id: 'me', name: '张三', status, active_count, max_sessions: 2 } })

test('a chat that is offered to me stands first in the queue, until somebody takes it', () => {
  const first = { ...item, chat_id: 'first', waiting_since: '2026-01-27T09:00:00Z' }
  snapshot(1, [first, item])
  offered()
  expect(desk.waiting.value.map((each) => each.chat_id)).toEqual([CHAT, 'first'])
  hear('queue_update', { feed_id: 'f', feed_seq: 2, change: 'removed', chat_id: CHAT })
  expect(desk.offers.size).toBe(0)
})

test('an offer stands as long as the server said, on a machine whose clock is wrong', () => {
  vi.useFakeTimers({ now: Date.parse('2031-05-01T00:00:00Z') })
  snapshot(1, [item])
  offered()
  desk.expireOffers(Date.now() + 29_000)
  expect(desk.offers.size).toBe(1)
  desk.expireOffers(Date.now() + 30_000)
  expect(desk.offers.size).toBe(0)
})

test('declining tells the queue, and nobody of an offer that was over already', () => {
  snapshot(1, [item])
  offered()
  desk.decline(desk.offers.get(CHAT)!)
  expect(desk.offers.size).toBe(0)
  expect(line.sent).toEqual([{ type: 'decline_offer', payload: { chat_id: CHAT }, id: `decline ${CHAT}` }])
  hear('error', { code: 'NOT_WAITING', message: '', chat_id: CHAT }, line.sent[0].id)
  expect(notices).toEqual([])
})

test('who is away or full has lost what the queue offered, not what a colleague did', () => {
  snapshot(1, [item])
  for (const [seq, status, active] of [[2, 'lunch', 0], [3, 'online', 2]] as const) {
    offered()
    handed('handed')
    me_as(seq, status, active)
    expect([...desk.offers.keys()]).toEqual(['handed'])
  }
  offered()
  me_as(4, 'online', 1)
  expect(desk.offers.size).toBe(2)
})

test('on return only the offers that come again still stand', () => {
  snapshot(1, [item])
  offered()
  handed('handed')
  line.options.onState('waiting', 0)
  line.options.onState('open', null)
  handed('handed')
  expect([...desk.offers.keys()]).toEqual(['handed'])
})

test('a chat is taken from the bot by its own frame, and is chosen when it comes', () => {
  snapshot(1)
  desk.takeOver(CHAT)
  expect(line.sent.at(-1)).toMatchObject({ type: 'take_over_chat', payload: { chat_id: CHAT } })
  mine()
  expect([desk.selected.value, ...desk.chats.keys()]).toEqual([CHAT, CHAT])
})

test('who was faster is told with name and time, and the chat is let go of', () => {
  snapshot(1)
  desk.takeOver(CHAT)
  const fault = { code: 'ALREADY_TAKEN', message: '', chat_id: CHAT, taken_by: { id: 'other', name: '李四' }, taken_at: AT }
  hear('error', fault, line.sent.at(-1).id)
  expect(desk.selected.value).toBeNull()
  expect(notices).toHaveLength(1)
  expect(notices[0]).toMatch(/^李四 .*\d\d:\d\d$/)
})

test('a chat that goes back to the bot leaves the desk in words of its own', () => {
  mine()
  hear('chat_status', chatState({ status: 'bot' }))
  expect(desk.chats.size).toBe(0)
  expect(notices).toEqual(['The bot has this chat again'])
})

test('an offer knows for how long it was made', () => {
  snapshot(1, [item])
  offered()
  expect(desk.offers.get(CHAT)?.span).toBe(30_000)
})
