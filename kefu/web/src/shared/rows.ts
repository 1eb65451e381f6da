/** What a chat log looks like as rows on the screen: day lines, system lines and grouped bubbles. */
import { dayLabel, dayOf } from './clock'
import type { ChatLog, Send } from './chatlog'
import type { Message } from './protocol'

export type Tick = 'sending' | 'sent' | 'read' | 'failed'

export interface Bubble {
  kind: 'bubble'
  key: string
  isMine: boolean
  sender: Message['sender_type']
  /** Shown above the first bubble of a group. */
  author: string | null
  text: string
  timestamp: string
  isFirst: boolean
  isLast: boolean
  tick: Tick | null
  send: Send | null
}

export type Row = { kind: 'day' | 'system'; key: string; text: string } | Bubble

export interface Reader {
  party: 'customer' | 'agent'
  id?: string
}

const GROUP_WITHIN_MS = 120_000

/** `count` messages from the end are shown; `now` decides what is "today". */
export function rowsOf(log: ChatLog, reader: Reader, count: number, now: Date = new Date()): Row[] {
  const readSeq = reader.party === 'customer' ? log.readByAgent : log.readByCustomer
  const bubbles = [
    ...log.messages.slice(-count).map((message) => fromMessage(message, reader, readSeq)),
    ...log.sends.map((send) => fromSend(send, reader)),
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

function fromMessage(message: Message, reader: Reader, readSeq: number): Bubble {
  const isMine =
    message.sender_type === reader.party && (!reader.id || !message.sender_id || message.sender_id === reader.id)
  return {
    kind: 'bubble',
    // a message keeps the key it had while it was being sent, so its bubble does not blink
    key: message.client_message_id ?? message.message_id,
    isMine,
    sender: message.message_type === 'system' ? 'system' : message.sender_type,
    author: isMine ? null : (message.sender_name ?? null),
    text: message.content,
    timestamp: message.timestamp,
    isFirst: true,
    isLast: true,
    tick: isMine ? (message.seq <= readSeq ? 'read' : 'sent') : null,
    send: null,
  }
}

const fromSend = (send: Send, reader: Reader): Bubble => ({
  kind: 'bubble',
  key: send.client_message_id,
  isMine: true,
  sender: reader.party,
  author: null,
  text: send.content,
  timestamp: send.timestamp,
  isFirst: true,
  isLast: true,
  tick: send.failure ? 'failed' : 'sending',
  send,
})
