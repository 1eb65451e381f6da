import { expect, test } from 'vitest'
import type { QueueItem } from '../shared/protocol'
import { fromSnapshot, judge, withPresence, withQueueChange } from './feed'

const item = (chat_id: string, minute: number, over: Partial<QueueItem> = {}): QueueItem => ({
  chat_id,
  customer_id: `customer-${chat_id}`,
  waiting_since: `2026-01-27T10:${String(minute).padStart(2, '0')}:00Z`,
  ...over,
})
const feed = fromSnapshot({ feed_id: 'f', feed_seq: 7, waiting: [item('late', 5), item('early', 1)], agents: [] })
const ids = (now: typeof feed) => now.waiting.map((each) => each.chat_id)

test('the queue stands VIP first, then by priority, then by the longest wait', () => {
  const change = (feed_seq: number, each: QueueItem) =>
    ({ feed_id: 'f', feed_seq, change: 'added', chat_id: each.chat_id, item: each }) as const
  const three = [item('vip', 9, { is_vip: true }), item('urgent', 8, { priority: 'urgent' }), item('high', 7, { priority: 'high' })]
  const full = three.reduce((now, each, index) => withQueueChange(now, change(8 + index, each)), feed)
  expect(ids(full)).toEqual(['vip', 'urgent', 'high', 'early', 'late'])
})

test('a removed chat leaves and a changed one moves', () => {
  const gone = withQueueChange(feed, { feed_id: 'f', feed_seq: 8, change: 'removed', chat_id: 'early' })
  expect(ids(gone)).toEqual(['late'])
  const moved = item('late', 5, { is_vip: true })
  expect(ids(withQueueChange(feed, { feed_id: 'f', feed_seq: 8, change: 'changed', chat_id: 'late', item: moved }))).toEqual(['late', 'early'])
})

test('an update is applied only right after the one before it', () => {
  expect(judge(feed, { feed_id: 'f', feed_seq: 8 })).toBe('apply')
  expect(judge(feed, { feed_id: 'f', feed_seq: 7 })).toBe('ignore')
  expect(judge(feed, { feed_id: 'f', feed_seq: 9 })).toBe('ask')
  expect(judge(feed, { feed_id: 'other', feed_seq: 8 })).toBe('ask')
})

test('a colleague is listed once, as last heard', () => {
  const agent = { agent_id: 'a', name: '张三', status: 'online', active_count: 0, max_sessions: 5 } as const
  const once = withPresence(feed, { feed_id: 'f', feed_seq: 8, agent })
  const twice = withPresence(once, { feed_id: 'f', feed_seq: 9, agent: { ...agent, active_count: 1 } })
  expect(twice.agents).toEqual([{ ...agent, active_count: 1 }])
})
