/**
 * The rules of one chat as its reader sees it: pure, no clock, no socket.
 *
 * `messages` is contiguous by `seq`. What arrives early (a hole before it) waits in `early` until a
 * resume has brought the rest; what arrives twice is ignored. A message being sent lives in `sends`
 * until its ack or its echo turns it into a message.
 */
import type { ChatState, Message, MessageAck, ReadPoint } from './protocol'

export interface Send {
  client_message_id: string
  content: string
  /** Absent for text. */
  message_type?: 'product'
  timestamp: string
  /** The error code that stopped it; absent while it is on its way. */
  failure?: string
}

export interface ChatLog {
  state: ChatState | null
  messages: readonly Message[]
  early: readonly Message[]
  sends: readonly Send[]
  /** The highest seq the server is known to hold. */
  headSeq: number
  /** After a resync the next message, whatever its seq, is the first of the log. */
  floating: boolean
  readByCustomer: number
  readByAgent: number
}

export const emptyLog: ChatLog = {
  state: null,
  messages: [],
  early: [],
  sends: [],
  headSeq: 0,
  floating: false,
  readByCustomer: 0,
  readByAgent: 0,
}

const EARLY_LIMIT = 500

export const lastSeq = (log: ChatLog): number => log.messages.at(-1)?.seq ?? 0
export const isMissing = (log: ChatLog): boolean => log.headSeq > lastSeq(log)
/** The customer's last word; 0 before there is one. */
export const askedSeq = (log: ChatLog): number =>
  log.messages.findLast((message) => message.sender_type === 'customer')?.seq ?? 0
export const isOpen = (log: ChatLog): boolean => log.state !== null && log.state.status !== 'ended'

/** A new chat_id starts a new log; what is still being sent moves over to it. */
export function withState(log: ChatLog, state: ChatState): ChatLog {
  if (log.state?.chat_id !== state.chat_id) {
    return { ...emptyLog, sends: log.sends, state, headSeq: state.last_seq, floating: !!state.resync }
  }
  if (state.resync) {
    return { ...log, state, messages: [], early: [], headSeq: state.last_seq, floating: true }
  }
  // not every status repeats who the customer is
  const known = { ...state, customer: state.customer ?? log.state.customer ?? null }
  return { ...log, state: known, headSeq: Math.max(log.headSeq, state.last_seq) }
}

/** The chat ended while nobody told us: a message was refused for it. */
export const withEnd = (log: ChatLog): ChatLog =>
  log.state ? { ...log, state: { ...log.state, status: 'ended' } } : log

export function withMessage(log: ChatLog, message: Message): ChatLog {
  if (log.state?.chat_id !== message.chat_id) return log
  const echoed = message.client_message_id
  const sends = echoed ? log.sends.filter((send) => send.client_message_id !== echoed) : log.sends
  const headSeq = Math.max(log.headSeq, message.seq)
  const expected = log.floating ? message.seq : lastSeq(log) + 1
  if (message.seq < expected) return { ...log, sends }
  if (message.seq > expected) return { ...log, sends, headSeq, early: keepEarly(log.early, message) }
  const messages = [...log.messages, message]
  const early = takeInto(messages, log.early)
  return { ...log, sends, headSeq, messages, early, floating: false }
}

function keepEarly(early: readonly Message[], message: Message): readonly Message[] {
  if (early.some((kept) => kept.seq === message.seq)) return early
  return [...early, message].sort((a, b) => a.seq - b.seq).slice(0, EARLY_LIMIT)
}

/** Moves what has become contiguous from `early` to the end of `messages`; returns the rest. */
function takeInto(messages: Message[], early: readonly Message[]): readonly Message[] {
  const rest: Message[] = []
  for (const message of early) {
    const next = (messages.at(-1)?.seq ?? 0) + 1
    if (message.seq === next) messages.push(message)
    else if (message.seq > next) rest.push(message)
  }
  return rest
}

/** The ack carries no content: the message is rebuilt from what was sent. */
export function withAck(log: ChatLog, ack: MessageAck['payload'], sender: 'customer' | 'agent', senderId?: string): ChatLog {
  const sent = log.sends.find((send) => send.client_message_id === ack.client_message_id)
  if (!sent) return log
  return withMessage(log, {
    chat_id: ack.chat_id,
    message_id: ack.message_id,
    seq: ack.seq,
    timestamp: ack.timestamp,
    sender_type: sender,
    ...(senderId && { sender_id: senderId }),
    content: sent.content,
    message_type: sent.message_type ?? 'text',
    client_message_id: sent.client_message_id,
  })
}

export function withRead(log: ChatLog, read: ReadPoint): ChatLog {
  if (log.state?.chat_id !== read.chat_id) return log
  return read.reader_type === 'customer'
    ? { ...log, readByCustomer: Math.max(log.readByCustomer, read.seq) }
    : { ...log, readByAgent: Math.max(log.readByAgent, read.seq) }
}

export const withSend = (log: ChatLog, send: Send): ChatLog => ({ ...log, sends: [...log.sends, send] })

export function withFailure(log: ChatLog, clientMessageId: string, failure: string | undefined): ChatLog {
  const sends = log.sends.map((send) => {
    if (send.client_message_id !== clientMessageId) return send
    const { failure: _, ...trying } = send
    return failure === undefined ? trying : { ...trying, failure }
  })
  return { ...log, sends }
}

export const withoutSend = (log: ChatLog, clientMessageId: string): ChatLog => ({
  ...log,
  sends: log.sends.filter((send) => send.client_message_id !== clientMessageId),
})

/** The oldest message that is on its way; later ones wait for it, which keeps their order. */
export const nextSend = (log: ChatLog): Send | undefined => log.sends.find((send) => !send.failure)
