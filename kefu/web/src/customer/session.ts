/**
 * Who the customer is and their one conversation.
 *
 * A signed token comes in the URL and leaves it at once; without one the customer is a guest, known
 * again by the guest token of the first chat_status. A token the server no longer takes: a guest
 * starts afresh, a signed-in customer is told to reload.
 */
import { computed, onBeforeUnmount, ref, shallowRef } from 'vue'
import { isOpen } from '../shared/chatlog'
import { Connection, type ConnectionState, type Verdict } from '../shared/connection'
import { Conversation } from '../shared/conversation'
import { keep, takeFromUrl } from '../shared/keep'
import { CLOSE, type ToWorkbench } from '../shared/protocol'
import { askForBot, type Bot } from './bot'

export type Trouble = 'signedOut' | 'tooMany' | 'blocked' | 'guestsRefused'

const SOCKET = '/ws/chat'
const NOTICE_MS = 5_000

export function useSession() {
  const signed = takeFromUrl('token')
  const guest = keep<string>('local', 'kefu.guest_token')
  const state = ref<ConnectionState>('connecting')
  const trouble = ref<Trouble | null>(null)
  const isBusy = ref(false)
  const rated = ref(false)
  /** Undefined until the server has said whether it has one. */
  const bot = shallowRef<Bot | null>()
  /** The chat in which the bot was seen in charge. */
  const botsChat = ref<string | null>(null)
  let noticeTimer: ReturnType<typeof setTimeout> | undefined

  const connection = new Connection({
    path: SOCKET,
    token: () => signed ?? guest.get(),
    onFrame: received,
    onState(next) {
      state.value = next
      if (next === 'open') conversation.connected()
      else conversation.disconnected()
    },
    onVerdict: judged,
  })
  const conversation = new Conversation({
    me: 'customer',
    unsentKey: 'kefu.unsent',
    post: (frame) => connection.send(frame),
  })

  function received(frame: ToWorkbench) {
    if (frame.type === 'chat_status') {
      if (frame.payload.guest_token) guest.set(frame.payload.guest_token)
      rated.value = frame.payload.rating != null
      if (frame.payload.status === 'bot') botsChat.value = frame.payload.chat_id
    }
    if (frame.type === 'error' && !frame.reply_to) noticeBusy()
    conversation.receive(frame)
  }

  function noticeBusy() {
    isBusy.value = true
    clearTimeout(noticeTimer)
    noticeTimer = setTimeout(() => (isBusy.value = false), NOTICE_MS)
  }

  async function judged(verdict: Verdict) {
    if (verdict.kind === 'closed' && verdict.code !== CLOSE.SIGNED_OUT) {
      trouble.value = verdict.code === CLOSE.TOO_MANY_DEVICES ? 'tooMany' : 'blocked'
    } else if (verdict.kind === 'closed' || (await isTokenRefused())) {
      if (signed) giveUp('signedOut')
      else if (guest.get()) startAfresh()
      else giveUp('guestsRefused')
    }
  }

  function giveUp(why: Trouble) {
    trouble.value = why
    connection.stop()
  }

  function startAfresh() {
    guest.set(null)
    connection.stop()
    connection.start()
  }

  /** A refused upgrade has no readable reason; the same address over HTTP says it. */
  async function isTokenRefused(): Promise<boolean> {
    const token = signed ?? guest.get()
    try {
      const answer = await fetch(SOCKET, {
        headers: token ? { Authorization: `Bearer ${token}` } : {},
        signal: AbortSignal.timeout(NOTICE_MS),
      })
      return answer.status === 401
    } catch {
      return false
    }
  }

  connection.start()
  void askForBot().then((known) => (bot.value = known))
  onBeforeUnmount(() => connection.stop())

  const chatId = () => conversation.log.value.state?.chat_id ?? null
  const hasMetBot = () =>
    botsChat.value === chatId() || conversation.log.value.messages.some((message) => message.sender_type === 'ai')
  return {
    conversation,
    state,
    trouble,
    isBusy,
    rated,
    isOnline: computed(() => state.value === 'open'),
    isChatting: computed(() => isOpen(conversation.log.value)),
    bot,
    /** Waiting for a person in a chat that the bot was in before: it can go back there. */
    mayReturnToBot: computed(() => conversation.log.value.state?.status === 'waiting' && hasMetBot()),
    /** With a person at once. */
    start: () => connection.send({ type: 'start_chat', payload: { mode: 'human' } }),
    /** As the first chat began: with the bot, where there is one. */
    startAgain: () => connection.send({ type: 'start_chat', payload: { mode: bot.value ? 'bot' : 'human' } }),
    returnToBot: () => connection.send({ type: 'return_to_bot', payload: { chat_id: chatId() } }),
    askHuman: () => connection.send({ type: 'request_human', payload: { chat_id: chatId() } }),
    end: () => connection.send({ type: 'end_chat', payload: { chat_id: chatId() } }),
    rate(rating: number, feedback: string) {
      const payload = { chat_id: chatId(), rating, feedback: feedback.trim() || null }
      if (connection.send({ type: 'rate_chat', payload })) rated.value = true
    },
  }
}
