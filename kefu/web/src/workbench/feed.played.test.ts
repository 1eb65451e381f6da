// tests/dispatch/test_feed_in_the_page.py plays the real queue at random and names here, in the
// environment, the file of what two workbenches heard and of what a newcomer is given at the end.
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import type { QueueState, ToWorkbench } from '../shared/protocol'
import { emptyFeed, fromSnapshot, judge, withPresence, withQueueChange, type Feed } from './feed'

const file = process.env['KEFU_PLAYED']
const byId = (agents: Feed['agents']) => Object.fromEntries(agents.map((agent) => [agent.agent_id, agent]))

function heard(feed: Feed, frame: ToWorkbench): Feed {
  if (frame.type === 'queue_snapshot') return fromSnapshot(frame.payload)
  if (frame.type !== 'queue_update' && frame.type !== 'agent_status') return feed
  if (judge(feed, frame.payload) !== 'apply') return feed
  return frame.type === 'queue_update' ? withQueueChange(feed, frame.payload) : withPresence(feed, frame.payload)
}

test.skipIf(!file)('what was heard makes the list that a newcomer is given', () => {
  const plays = JSON.parse(readFileSync(file!, 'utf8')) as { frames: ToWorkbench[]; fresh: QueueState }[]
  expect(plays.length).toBeGreaterThan(0)
  for (const { frames, fresh } of plays) {
    const feed = frames.reduce(heard, emptyFeed)
    expect([feed.feedId, feed.feedSeq]).toEqual([fresh.feed_id, fresh.feed_seq])
    expect(feed.waiting).toEqual(fresh.waiting)
    expect(byId(feed.agents)).toEqual(byId(fresh.agents))
  }
})
