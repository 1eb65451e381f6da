/**
 * The workbench's list: who waits, and which colleagues are there. Pure.
 *
 * Updates are counted like the messages of a chat: one that does not follow the last is not applied
 * but asked for again.
 */
import type { AgentPresence, PresenceChange, QueueChange, QueueItem, QueueState } from '../shared/protocol'

export interface Feed {
  feedId: string | null
  feedSeq: number
  waiting: readonly QueueItem[]
  agents: readonly AgentPresence[]
}

export const emptyFeed: Feed = { feedId: null, feedSeq: 0, waiting: [], agents: [] }

export const fromSnapshot = (state: QueueState): Feed => ({
  feedId: state.feed_id,
  feedSeq: state.feed_seq,
  waiting: [...state.waiting].sort(queueOrder),
  agents: state.agents,
})

/** What to do with an update: apply it, ignore it (seen already), or ask for what is missing. */
export function judge(feed: Feed, update: { feed_id: string; feed_seq: number }): 'apply' | 'ignore' | 'ask' {
  if (update.feed_id !== feed.feedId) return 'ask'
  if (update.feed_seq <= feed.feedSeq) return 'ignore'
  return update.feed_seq === feed.feedSeq + 1 ? 'apply' : 'ask'
}

export function withQueueChange(feed: Feed, change: QueueChange): Feed {
  const others = feed.waiting.filter((item) => item.chat_id !== change.chat_id)
  const waiting = change.item ? [...others, change.item].sort(queueOrder) : others
  return { ...feed, feedSeq: change.feed_seq, waiting }
}

export function withPresence(feed: Feed, change: PresenceChange): Feed {
  const others = feed.agents.filter((agent) => agent.agent_id !== change.agent.agent_id)
  return { ...feed, feedSeq: change.feed_seq, agents: [...others, change.agent] }
}

const RANK = { urgent: 0, high: 1, normal: 2 } as const

/** VIP first, then urgent, high, normal, then the longest wait: the one order of the queue. */
export function queueOrder(a: QueueItem, b: QueueItem): number {
  return (
    Number(b.is_vip ?? false) - Number(a.is_vip ?? false) ||
    RANK[a.priority ?? 'normal'] - RANK[b.priority ?? 'normal'] ||
    compare(instant(a), instant(b)) ||
    compare(a.chat_id, b.chat_id)
  )
}

/** As text, without the zone: the server counts microseconds, a Date would drop them. */
const instant = (item: QueueItem) => item.waiting_since.replace('Z', '')

const compare = (a: string, b: string) => Number(a > b) - Number(a < b)
