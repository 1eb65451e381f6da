/**
 * The bot's answers while they are being written: pure, no clock, no socket.
 *
 * Pieces may be lost, come late, or come for an answer that nobody waits for any more. So an answer
 * grows only while the bot is in charge, only from its first piece on and without a gap; the message
 * of the same id takes its place, and what is over never comes back.
 */
import type { ChatLog } from './chatlog'
import type { AnswerPiece, ChatState } from './protocol'

export interface Unfinished {
  turn_id: string
  chat_id: string
  text: string
  timestamp: string
  /** Pieces were missed: it grows no more, and without any text only dots are shown. */
  isBroken: boolean
}

export interface Growing {
  answers: readonly Unfinished[]
  /** Turns that must not be shown again, the latest last. */
  over: readonly string[]
  /** What was said before we came, or came back: answers to it may have begun without us. */
  joined: { chat_id: string; seq: number } | null
}

export const nothingGrows: Growing = { answers: [], over: [], joined: null }

const OVER_LIMIT = 100
const ANSWERS_LIMIT = 4
const TEXT_LIMIT = 20_000

export function withPiece(growing: Growing, log: ChatLog, piece: AnswerPiece, timestamp: string): Growing {
  const { turn_id, chat_id, content } = piece
  if (log.state?.chat_id !== chat_id || growing.over.includes(turn_id)) return growing
  const isKnown = growing.answers.some((answer) => answer.turn_id === turn_id)
  if (log.state.status !== 'bot') return withOver(growing, [turn_id])
  if (isTold(log, turn_id)) return isKnown ? growing : withOver(growing, [turn_id])
  if (isKnown) {
    const answers = growing.answers.map((answer) => (answer.turn_id === turn_id ? grown(answer, content) : answer))
    return { ...growing, answers }
  }
  const isBroken = growing.joined === null || piece.answers_seq <= growing.joined.seq
  const answer = { turn_id, chat_id, timestamp, isBroken, text: isBroken ? '' : content }
  return { ...growing, answers: [...growing.answers, answer].slice(-ANSWERS_LIMIT) }
}

const grown = (answer: Unfinished, content: string): Unfinished =>
  answer.isBroken ? answer : { ...answer, text: (answer.text + content).slice(0, TEXT_LIMIT) }

/** The line is cut: what comes from now on may have a gap before it. */
export const withBreak = (growing: Growing): Growing => ({
  ...growing,
  answers: growing.answers.map((answer) => ({ ...answer, isBroken: true })),
  joined: null,
})

/** How far the chat had come when the server first told of it on this line. */
export const withJoin = (growing: Growing, chat: ChatState): Growing =>
  growing.joined?.chat_id === chat.chat_id
    ? growing
    : { ...growing, joined: { chat_id: chat.chat_id, seq: chat.last_seq } }

/** Nothing came for too long: whoever was writing is gone. */
export const withSilence = (growing: Growing): Growing =>
  withOver(growing, growing.answers.map((answer) => answer.turn_id))

/** What still grows now that the log is like this. To be asked after every change of the log. */
export function settled(growing: Growing, log: ChatLog): Growing {
  if (growing.answers.length === 0) return growing
  const isBots = log.state?.status === 'bot'
  const over = growing.answers.filter(
    (answer) => !isBots || answer.chat_id !== log.state?.chat_id || isDone(log, answer.turn_id),
  )
  return withOver(growing, over.map((answer) => answer.turn_id))
}

/**
 * The message is there to be seen. One that waits behind a hole is not yet: until it is, what has
 * grown stays, unless the message says that there is no answer.
 */
const isDone = (log: ChatLog, turnId: string) =>
  log.messages.some((message) => message.message_id === turnId) ||
  log.early.some((message) => message.message_id === turnId && message.sender_type !== 'ai')

const isTold = (log: ChatLog, turnId: string) =>
  [...log.messages, ...log.early].some((message) => message.message_id === turnId)

function withOver(growing: Growing, turnIds: readonly string[]): Growing {
  if (turnIds.length === 0) return growing
  return {
    ...growing,
    answers: growing.answers.filter((answer) => !turnIds.includes(answer.turn_id)),
    over: [...growing.over, ...turnIds].slice(-OVER_LIMIT),
  }
}

/** Whether the bot owes an answer of which nothing can be shown yet. */
export function isAnswerDue(growing: Growing, log: ChatLog): boolean {
  if (log.state?.status !== 'bot' || growing.answers.some((answer) => answer.text)) return false
  const isAsked = log.messages.at(-1)?.sender_type === 'customer'
  return isAsked || growing.answers.length > 0 || log.sends.some((send) => !send.failure)
}
