/**
 * One chat, alive: the log's rules plus what to ask the server for.
 *
 * A customer's first message opens a chat, with the bot where there is one. Messages are sent one
 * at a time, the next after the ack of the one before, always under the same
 * client_message_id: so their order holds and a resend is answered, never repeated. Unsent messages
 * survive a reload.
 */
import { computed, ref, shallowRef } from 'vue'
import {
  emptyLog, isMissing, isOpen, lastSeq, nextSend, withAck, withEnd, withFailure, withMessage, withRead,
  withSend, withState, withoutSend, type ChatLog, type Send,
} from './chatlog'
import {
  isAnswerDue, nothingGrows, settled, withBreak, withJoin, withPiece, withSilence, type Growing,
} from './growing'
import { newId } from './ids'
import { keep, type Kept } from './keep'
import type { Error as ErrorFrame, FromAgent, FromCustomer, ToWorkbench } from './protocol'

export type Party = 'customer' | 'agent'

export interface ConversationOptions {
  me: Party
  myId?: string
  /** Where unsent messages are kept in this tab. */
  unsentKey: string
  /** False while offline. */
  post: (frame: Extract<FromCustomer, FromAgent>) => boolean
}

const ACK_WITHIN_MS = 10_000
const RESUME_WITHIN_MS = 5_000
const TYPING_REPEAT_MS = 3_000
const TYPING_FADES_MS = 10_000
/** A turn of the bot has 60 s; what is unfinished then is not waited for. */
const ANSWER_WITHIN_MS = 75_000
const RESUME = 'resume'
const PASSING = new Set(['RATE_LIMITED', 'OVERLOADED'])

type Timer = ReturnType<typeof setTimeout>

export class Conversation {
  readonly log = shallowRef<ChatLog>(emptyLog)
  readonly isOtherTyping = ref(false)
  readonly growing = shallowRef<Growing>(nothingGrows)
  /** The bot has been asked and nothing of its answer can be shown yet. */
  readonly isBotThinking = computed(() => this.isAnswerTimely.value && isAnswerDue(this.growing.value, this.log.value))
  private readonly isAnswerTimely = ref(false)
  private readonly unsent: Kept<readonly Send[]>
  private isConnected = false
  private inFlight: string | null = null
  private typingSentAt = 0
  private readonly timers: { ack?: Timer; resume?: Timer; fade?: Timer; answer?: Timer } = {}

  constructor(private readonly options: ConversationOptions) {
    this.unsent = keep('session', options.unsentKey)
    this.log.value = { ...emptyLog, sends: this.unsent.get() ?? [] }
  }

  connected(): void {
    this.isConnected = true
    this.inFlight = null
    if (this.log.value.state) this.askForMissing()
    this.flush()
  }

  disconnected(): void {
    this.isConnected = false
    this.isOtherTyping.value = false
    this.isAnswerTimely.value = false
    this.growing.value = withBreak(this.growing.value)
    for (const name of ['ack', 'resume', 'fade'] as const) clearTimeout(this.timers[name])
    delete this.timers.resume
  }

  receive(frame: ToWorkbench): void {
    switch (frame.type) {
      case 'chat_status':
        this.growing.value = withJoin(this.growing.value, frame.payload)
        this.change(withState(this.log.value, frame.payload))
        break
      case 'new_message':
        if (frame.payload.sender_type !== this.options.me) this.showTyping(false)
        this.change(withMessage(this.log.value, frame.payload))
        break
      case 'message_ack':
        this.change(withAck(this.log.value, frame.payload, this.options.me, this.options.myId))
        break
      case 'ai_delta':
        this.showTyping(false)
        this.growing.value = withPiece(this.growing.value, this.log.value, frame.payload, frame.timestamp)
        this.expectAnswer()
        break
      case 'read':
        this.change(withRead(this.log.value, frame.payload))
        break
      case 'typing':
        if (frame.payload.sender_type !== this.options.me) this.showTyping(frame.payload.is_typing)
        break
      case 'error':
        this.refused(frame)
        break
    }
    this.settle()
  }

  say(content: string): void {
    const text = content.trim()
    if (text) this.put({ content: text })
  }

  /** A product, as a card. */
  show(productId: string): void {
    this.put({ content: productId, message_type: 'product' })
  }

  retry(clientMessageId: string): void {
    this.change(withFailure(this.log.value, clientMessageId, undefined))
    this.flush()
  }

  discard(clientMessageId: string): void {
    this.change(withoutSend(this.log.value, clientMessageId))
  }

  isSending(frameId: string | null | undefined): boolean {
    return this.inFlight !== null && frameId === this.inFlight
  }

  type(isTyping: boolean): void {
    const chatId = this.log.value.state?.chat_id
    if (!chatId || !isOpen(this.log.value)) return
    const now = Date.now()
    if (isTyping ? now - this.typingSentAt < TYPING_REPEAT_MS : this.typingSentAt === 0) return
    this.typingSentAt = isTyping ? now : 0
    this.options.post({ type: 'typing', payload: { chat_id: chatId, is_typing: isTyping } })
  }

  /** Everything shown has been seen. */
  markRead(): void {
    const log = this.log.value
    const mine = this.options.me === 'customer' ? log.readByCustomer : log.readByAgent
    const seq = log.messages.findLast((message) => message.sender_type !== this.options.me)?.seq ?? 0
    if (!log.state || seq <= mine) return
    const read = { chat_id: log.state.chat_id, seq }
    if (this.options.post({ type: 'mark_read', payload: read })) {
      this.change(withRead(log, { ...read, reader_type: this.options.me }))
    }
  }

  private put(what: Pick<Send, 'content' | 'message_type'>): void {
    this.typingSentAt = 0
    const send = { ...what, client_message_id: newId(), timestamp: new Date().toISOString() }
    this.change(withSend(this.log.value, send))
    this.flush()
  }

  private change(log: ChatLog): void {
    if (log.sends !== this.log.value.sends) {
      this.unsent.set(log.sends.length ? log.sends : null)
    }
    this.log.value = log
    this.growing.value = settled(this.growing.value, log)
  }

  /** After any frame: is the one in flight done, is something missing, is something to be sent? */
  private settle(): void {
    const log = this.log.value
    if (this.inFlight && !log.sends.some((send) => send.client_message_id === this.inFlight)) {
      this.inFlight = null
      clearTimeout(this.timers.ack)
    }
    if (!isMissing(log)) {
      clearTimeout(this.timers.resume)
      delete this.timers.resume
    } else if (this.timers.resume === undefined) this.askForMissing()
    this.flush()
  }

  private askForMissing(): void {
    const log = this.log.value
    if (!log.state || !this.isConnected) return
    const point = { chat_id: log.state.chat_id, last_seq: lastSeq(log) }
    this.options.post({ type: 'resume', payload: point, id: RESUME })
    clearTimeout(this.timers.resume)
    this.timers.resume = setTimeout(() => {
      delete this.timers.resume
      if (isMissing(this.log.value)) this.askForMissing()
    }, RESUME_WITHIN_MS)
  }

  private flush(): void {
    const send = nextSend(this.log.value)
    if (!send || !this.isConnected || this.inFlight) return
    const id = send.client_message_id
    this.inFlight = id
    this.tryAgainIn(ACK_WITHIN_MS)
    this.expectAnswer()
    const isNew = this.options.me === 'customer' && !isOpen(this.log.value)
    const chatId = isNew ? null : (this.log.value.state?.chat_id ?? null)
    const { content, message_type } = send
    const payload = { chat_id: chatId, content, client_message_id: id, ...(message_type && { message_type }) }
    this.options.post({ type: 'send_message', payload, id })
  }

  private expectAnswer(): void {
    this.isAnswerTimely.value = true
    clearTimeout(this.timers.answer)
    this.timers.answer = setTimeout(() => {
      this.isAnswerTimely.value = false
      this.growing.value = withSilence(this.growing.value)
    }, ANSWER_WITHIN_MS)
  }

  private tryAgainIn(delayMs: number): void {
    clearTimeout(this.timers.ack)
    this.timers.ack = setTimeout(() => {
      this.inFlight = null
      this.flush()
    }, delayMs)
  }

  private refused({ reply_to, payload }: ErrorFrame): void {
    // answered by how the chat stands now, unless it is no longer ours: a guest who began anew
    if (reply_to === RESUME && payload.code === 'CHAT_NOT_FOUND') this.change(withEnd(this.log.value))
    if (this.inFlight === null || !this.isSending(reply_to)) return
    if (PASSING.has(payload.code)) {
      this.tryAgainIn((payload.retry_after_s ?? 1) * 1000)
    } else {
      clearTimeout(this.timers.ack)
      this.change(withFailure(this.log.value, this.inFlight, payload.code))
      this.inFlight = null
      if (payload.code === 'CHAT_ENDED') this.change(withEnd(this.log.value))
    }
  }

  private showTyping(isTyping: boolean): void {
    this.isOtherTyping.value = isTyping
    clearTimeout(this.timers.fade)
    if (isTyping) this.timers.fade = setTimeout(() => (this.isOtherTyping.value = false), TYPING_FADES_MS)
  }
}
