import { describe, expect, test } from 'vitest'
import { emptyLog, withMessage, withState, type ChatLog } from './chatlog'
import { nothingGrows, settled, withBreak, withJoin, withPiece, type Growing } from './growing'
import type { ChatState, Message } from './protocol'
import { rowsOf, type Bubble } from './rows'
import { AT, CHAT, chatState, message } from './samples'

/** What a page does with what it hears; `Conversation` does the same with frames. */
type Heard =
  | { kind: 'piece'; turn: string; content: string; answers_seq: number }
  | { kind: 'status'; state: ChatState }
  | { kind: 'message'; message: Message }
  | { kind: 'break' }
interface Page {
  log: ChatLog
  growing: Growing
}

const fresh: Page = { log: emptyLog, growing: nothingGrows }
const status = (name: ChatState['status'], last_seq = 0): Heard => ({ kind: 'status', state: chatState({ status: name, last_seq }) })
const piece = (turn: string, content: string, answers_seq = 1): Heard => ({ kind: 'piece', turn, content, answers_seq })
const says = (seq: number, over: Partial<Message> = {}): Heard => ({ kind: 'message', message: message(seq, over) })
const asks = (seq: number) => says(seq, { sender_type: 'customer' })
const answers = (seq: number, turn: string, content = turn) => says(seq, { sender_type: 'ai', message_id: turn, content })
const apologises = (seq: number, turn: string) => says(seq, { sender_type: 'system', message_type: 'system', message_id: turn })

function after({ log, growing }: Page, heard: Heard): Page {
  switch (heard.kind) {
    case 'piece': {
      const { turn, content, answers_seq } = heard
      return { log, growing: withPiece(growing, log, { chat_id: CHAT, turn_id: turn, content, answers_seq }, AT) }
    }
    case 'status': {
      const now = withState(log, heard.state)
      return { log: now, growing: settled(withJoin(growing, heard.state), now) }
    }
    case 'message': {
      const now = withMessage(log, heard.message)
      return { log: now, growing: settled(growing, now) }
    }
    case 'break':
      return { log, growing: withBreak(growing) }
  }
}

const page = (...heard: Heard[]) => heard.reduce(after, fresh)
const grown = (now: Page) => now.growing.answers.map((answer) => answer.text)
const bubbles = (now: Page) =>
  rowsOf(now.log, { party: 'customer' }, 100, now.growing.answers).filter((row): row is Bubble => row.kind === 'bubble')

describe('an answer', () => {
  const begun = [status('bot'), asks(1), piece('t', '七天'), piece('t', '以内')]

  test('grows by its pieces', () => {
    expect(grown(page(...begun))).toEqual(['七天以内'])
  })

  test('is replaced in its place by the message: the same key, one bubble', () => {
    const before = bubbles(page(...begun)).at(-1)!
    const last = bubbles(page(...begun, answers(2, 't', '七天以内退货')))
    expect(last).toHaveLength(2)
    expect(last[1]).toMatchObject({ key: before.key, text: '七天以内退货', isGrowing: false })
  })

  test('stays until its message is to be seen, when that waits behind a hole', () => {
    const holed = page(...begun, answers(3, 't', '七天以内退货'), piece('t', '！'))
    expect(grown(holed)).toEqual(['七天以内'])
    const filled = after(holed, asks(2))
    expect(bubbles(filled).map((row) => row.text).at(-1)).toBe('七天以内退货')
    expect(grown(filled)).toEqual([])
  })

  test('goes away for an apology, even for one that cannot be shown yet', () => {
    expect(grown(page(...begun, apologises(2, 't')))).toEqual([])
    expect(grown(page(...begun, apologises(3, 't')))).toEqual([])
  })

  test.each(['waiting', 'active', 'ended'] as const)('goes away when the chat is %s, and does not come back', (name) => {
    const taken = page(...begun, status(name, 1))
    expect(grown(taken)).toEqual([])
    const back = [piece('t', '退货'), status('bot', 1), piece('t', '退货')].reduce(after, taken)
    expect(grown(back)).toEqual([])
  })

  test('to something said after the bot is back grows again', () => {
    const back = page(...begun, status('active', 1), status('bot', 1), asks(2), piece('u', '您好', 2))
    expect(grown(back)).toEqual(['您好'])
  })

  test('of another chat is not shown, and a new chat begins without the old one', () => {
    const other = page(...begun, { kind: 'status', state: chatState({ chat_id: 'next', status: 'bot' }) })
    expect(grown(other)).toEqual([])
    expect(grown(after(other, piece('u', '您好')))).toEqual([])
  })
})

/** A small stream of numbers from a seed, so that a failure can be played again. */
function chance(seed: number): (below: number) => number {
  let state = seed >>> 0
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

const TURNS = ['a', 'b', 'c']
const STATUSES = ['bot', 'bot', 'waiting', 'active', 'ended'] as const
const SEEDS = 400

/** The customer asks at 1, 3 and 5; the turns a, b and c end at 2, 4 and 6. */
function anything(seed: number): Heard[] {
  const below = chance(seed)
  return Array.from({ length: 40 }, (_, index): Heard => {
    const nth = below(TURNS.length)
    const turn = TURNS[nth]!
    switch (below(8)) {
      case 0:
        return status(STATUSES[below(STATUSES.length)]!, below(7))
      case 1:
        return asks(1 + 2 * nth)
      case 2:
        return answers(2 + 2 * nth, turn)
      case 3:
        return below(3) ? apologises(2 + 2 * nth, turn) : { kind: 'break' }
      default:
        return piece(turn, `${turn}${index} `, 1 + 2 * nth)
    }
  })
}

/** What is wrong with `now`, in some moment of some seed; "" when all is well. */
function firstWrong(judge: (now: Page, past: readonly Heard[], before: Page) => boolean): string {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const heard = anything(seed)
    let now = fresh
    for (const [index, next] of heard.entries()) {
      const before = now
      now = after(now, next)
      if (!judge(now, heard.slice(0, index + 1), before)) return `seed ${seed}, step ${index}: ${JSON.stringify(next)}`
    }
  }
  return ''
}

describe('in any order of pieces, statuses and messages', () => {
  test('nothing unfinished of the bot is to be seen unless the bot is in charge', () => {
    const isWell = (now: Page) => now.log.state?.status === 'bot' || now.growing.answers.length === 0
    expect(firstWrong(isWell)).toBe('')
  })

  test('an answer the bot was writing when it lost the chat is never written on', () => {
    let lost = new Set<string>()
    const isWell = (now: Page, past: readonly Heard[], before: Page) => {
      if (past.length === 1) lost = new Set()
      if (now.log.state?.status !== 'bot') for (const one of before.growing.answers) lost.add(one.turn_id)
      return !now.growing.answers.some((one) => lost.has(one.turn_id))
    }
    expect(firstWrong(isWell)).toBe('')
  })

  test('no answer stands twice, whether growing or told', () => {
    const isWell = (now: Page) => {
      const keys = bubbles(now).map((row) => row.key)
      return new Set(keys).size === keys.length
    }
    expect(firstWrong(isWell)).toBe('')
  })

  test('an answer that was told, or taken back, grows no more', () => {
    const isWell = (now: Page) => {
      const told = now.log.messages.map((each) => each.message_id)
      return !now.growing.answers.some((one) => told.includes(one.turn_id))
    }
    expect(firstWrong(isWell)).toBe('')
  })

  test('what grows is what was heard of that turn, without a gap', () => {
    const isWell = (now: Page, past: readonly Heard[]) =>
      now.growing.answers.every((one) => {
        const said = past.flatMap((heard) => (heard.kind === 'piece' && heard.turn === one.turn_id ? [heard.content] : []))
        return said.join('').includes(one.text)
      })
    expect(firstWrong(isWell)).toBe('')
  })

  test('and there are moments in which something grows', () => {
    expect(firstWrong((now) => now.growing.answers.every((one) => one.text.length < 12))).not.toBe('')
  })
})
