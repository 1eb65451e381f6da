/**
 * What a chat log looks like as rows on the screen: day lines, system lines and grouped bubbles.
 *
 * A bubble keeps its key from its first appearance to the stored message, so that it never blinks:
 * one's own by the client_message_id, an answer of the bot by its turn.
 */
import { dayLabel, dayOf } from './clock'
import type { ChatLog, Send } from './chatlog'
import type { Unfinished } from './growing'
import type { Message } from './protocol'

export type Tick = 'sending' | 'sent' | 'read' | 'failed'

export interface Bubble {
  kind: 'bubble'
  key: string
  isMine: boolean
  /** The customer stands on one side, the shop on the other: the reader's own side is the right. */
  side: 'left' | 'right'
  sender: Message['sender_type']
  /** Shown above the first bubble of a group. */
  author: string | null
  text: string
  /** Where the message is a product's card: its text is not for reading then. */
  productId: string | null
  timestamp: string
  isFirst: boolean
  isLast: boolean
  tick: Tick | null
  send: Send | null
  isGrowing: boolean
}

export type Row = { kind: 'day' | 'system'; key: string; text: string } | Bubble

export interface Reader {
  party: 'customer' | 'agent'
  id?: string
  /** What the bot is called, where the page knows better than its messages. */
  botName?: string | undefined
}

const GROUP_WITHIN_MS = 120_000

/** `count` messages from the end are shown, then what is on its way; `now` decides what is "today". */
export function rowsOf(
  log: ChatLog,
  reader: Reader,
  count: number,
  answers: readonly Unfinished[] = [],
  now: Date = new Date(),
): Row[] {
  const readSeq = reader.party === 'customer' ? log.readByAgent : log.readByCustomer
  const bubbles = [
    ...log.messages.slice(-count).map((message) => fromMessage(message, reader, readSeq)),
    ...log.sends.map((send) => fromSend(send, reader)),
    ...answers.filter((answer) => answer.text).map((answer) => fromAnswer(answer, reader)),
  ]
  const rows: Row[] = []
  let day = ''
  let previous: Bubble | null = null
  for (const bubble of bubbles) {
    if (dayOf(bubble.timestamp) !== day) {
      day = dayOf(bubble.timestamp)
      rows.push({ kind: 'day', key: `day ${day}`, text: dayLabel(bubble.timestamp, now) })
      previous = null
    }
    if (bubble.sender === 'system') {
      rows.push({ kind: 'system', key: bubble.key, text: bubble.text })
      previous = null
      continue
    }
    if (previous && belongsTogether(previous, bubble)) {
      previous.isLast = false
      bubble.isFirst = false
    }
    rows.push(bubble)
    previous = bubble
  }
  return rows
}

function belongsTogether(a: Bubble, b: Bubble): boolean {
  const apart = Date.parse(b.timestamp) - Date.parse(a.timestamp)
  return a.isMine === b.isMine && a.sender === b.sender && a.author === b.author && apart < GROUP_WITHIN_MS
}

const blank = { kind: 'bubble', isFirst: true, isLast: true, tick: null, send: null, productId: null, isGrowing: false } as const

function fromMessage(message: Message, reader: Reader, readSeq: number): Bubble {
  const isBots = message.sender_type === 'ai'
  const isMine =
    message.sender_type === reader.party && (!reader.id || !message.sender_id || message.sender_id === reader.id)
  return {
    ...blank,
    key: (isBots ? null : message.client_message_id) ?? message.message_id,
    isMine,
    side: sideOf(message.sender_type, reader),
    sender: message.message_type === 'system' ? 'system' : message.sender_type,
    author: isMine ? null : ((isBots && reader.botName) || message.sender_name || null),
    text: message.content,
    productId: message.message_type === 'product' ? message.content : null,
    timestamp: message.timestamp,
    tick: isMine ? (message.seq <= readSeq ? 'read' : 'sent') : null,
  }
}

const sideOf = (sender: Message['sender_type'], reader: Reader) =>
  (sender === 'customer') === (reader.party === 'customer') ? 'right' : 'left'

const fromSend = (send: Send, reader: Reader): Bubble => ({
  ...blank,
  key: send.client_message_id,
  isMine: true,
  side: 'right',
  sender: reader.party,
  author: null,
  text: send.content,
  productId: send.message_type === 'product' ? send.content : null,
  timestamp: send.timestamp,
  tick: send.failure ? 'failed' : 'sending',
  send,
})

const fromAnswer = (answer: Unfinished, reader: Reader): Bubble => ({
  ...blank,
  key: answer.turn_id,
  isMine: false,
  side: sideOf('ai', reader),
  sender: 'ai',
  author: reader.botName ?? null,
  text: answer.text,
  timestamp: answer.timestamp,
  isGrowing: !answer.isBroken,
})

/** What the bot says by itself before anything was said: on the page alone, never sent. */
export const greetingRow = (text: string, reader: Reader, timestamp: string): Bubble => ({
  ...fromAnswer({ turn_id: 'greeting', chat_id: '', text, timestamp, isBroken: true }, reader),
  isLast: false,
})
