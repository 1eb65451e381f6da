/**
 * The agent's desk: one socket, the list, and every chat that is theirs.
 *
 * The server decides who has which chat. A chat_status that names this agent puts the chat on the
 * desk, one that names somebody else takes it away; nothing here guesses.
 */
import { computed, ref, shallowReactive, shallowRef, type InjectionKey } from 'vue'
import { clockTime } from '../shared/clock'
import { Connection, type ConnectionState, type Verdict } from '../shared/connection'
import { Conversation } from '../shared/conversation'
import { keep } from '../shared/keep'
import {
  CLOSE,
  type Agent,
  type AgentPresence,
  type ChatOffer,
  type ChatState,
  type CustomerCard,
  type FromWorkbench,
  type QueueItem,
  type ToWorkbench,
  type TransferOffer,
  type TransferOutcome,
  type TransferRequest,
} from '../shared/protocol'
import { emptyFeed, fromSnapshot, judge, withPresence, withQueueChange } from './feed'
import { freshToken, refresh, signOut } from './signin'
import { refusalText, t } from './words'

export type Notice = { kind: 'info' | 'warning' | 'error'; text: string }
export type Me = Pick<Agent, 'id' | 'name' | 'avatar_url'>
/** A chat on offer for `span` ms: by a colleague, or (without `transfer`) by the queue. `until` is in local ms. */
export type Offered = { chatId: string; until: number; span: number; transfer: TransferOffer | null }
export type Desk = ReturnType<typeof createDesk>
export const deskKey: InjectionKey<Desk> = Symbol('desk')

/** A second sign-out this soon means that new tokens do not help. */
const PATIENCE_MS = 10_000

const reachId = (chatId: string) => `reach ${chatId}`
const FEED_ID = 'feed'
const declineId = (chatId: string) => `decline ${chatId}`

export function createDesk(me: Me, notify: (notice: Notice) => void) {
  const state = ref<ConnectionState>('connecting')
  const feed = shallowRef(emptyFeed)
  const chats = shallowReactive(new Map<string, Conversation>())
  const offers = shallowReactive(new Map<string, Offered>())
  const selected = ref<string | null>(null)
  const cards = shallowReactive(new Map<string, QueueItem>())
  /** The chat this agent has just reached for. */
  let accepting: string | null = null
  let refusedAt = 0
  /** The chats the server named since the last connect, until its list has come. */
  let named: Set<string> | null = null
  const keptCards = keep<QueueItem[]>('session', 'kefu.cards')
  for (const card of keptCards.get() ?? []) cards.set(card.chat_id, card)

  const connection = new Connection({
    path: '/ws/workbench',
    token: freshToken,
    onFrame: received,
    onState(next) {
      state.value = next
      if (next === 'open') {
        named = new Set()
        offers.clear() // those that still stand come again
      }
      for (const chat of chats.values()) next === 'open' ? chat.connected() : chat.disconnected()
    },
    onVerdict: judged,
  })
  const post = (frame: FromWorkbench) => connection.send(frame)

  async function judged(verdict: Verdict) {
    const isTooSoon = Date.now() - refusedAt < PATIENCE_MS
    if (verdict.kind === 'closed') refusedAt = Date.now()
    if (verdict.kind === 'closed' && verdict.code !== CLOSE.SIGNED_OUT) {
      notify({ kind: 'error', text: t('disconnected') })
    } else if (verdict.kind === 'closed' && isTooSoon) signOut(t('signedOut'))
    else if (await refresh()) connection.start()
  }

  function received(frame: ToWorkbench) {
    switch (frame.type) {
      case 'queue_snapshot':
        feed.value = fromSnapshot(frame.payload)
        dropUnnamed()
        remember(frame.payload.waiting)
        break
      case 'queue_update':
        follow(frame.payload, () => (feed.value = withQueueChange(feed.value, frame.payload)))
        if (frame.payload.item) remember([frame.payload.item])
        else gone(frame.payload.chat_id)
        break
      case 'agent_status':
        follow(frame.payload, () => (feed.value = withPresence(feed.value, frame.payload)))
        if (frame.payload.agent.agent_id === me.id) dropBeyondMe(frame.payload.agent)
        break
      case 'chat_status':
        place(frame.payload)
        chats.get(frame.payload.chat_id)?.receive(frame)
        break
      case 'chat_offer':
      case 'transfer_request':
        offer(frame)
        break
      case 'transfer_result':
        told(frame.payload)
        break
      case 'error':
        refused(frame)
        break
      case 'new_message':
      case 'message_ack':
      case 'read':
      case 'typing':
        chats.get(frame.payload.chat_id)?.receive(frame)
    }
  }

  function follow(update: { feed_id: string; feed_seq: number }, apply: () => void) {
    const verdict = judge(feed.value, update)
    if (verdict === 'apply') apply()
    if (verdict === 'ask') askForFeed()
  }

  function askForFeed() {
    const payload = { feed_id: feed.value.feedId, last_feed_seq: feed.value.feedSeq }
    post({ type: 'subscribe_queue', payload, id: FEED_ID })
  }

  function place(chat: ChatState) {
    const isMine = chat.status === 'active' && chat.agent?.id === me.id
    const present = chats.get(chat.chat_id)
    named?.add(chat.chat_id)
    offers.delete(chat.chat_id)
    if (isMine && !present) open(chat.chat_id)
    else if (present && !isMine && chat.status !== 'ended') {
      remove(chat.chat_id)
      const text = chat.agent ? t('left', { name: chat.agent.name }) : t(chat.status === 'bot' ? 'withBot' : 'returned')
      notify({ kind: 'info', text })
    }
  }

  /** A finished transfer was told already if the chat's own status took it away. */
  function told({ chat_id: chatId, outcome, to_agent_id: to }: TransferOutcome) {
    if (outcome === 'transferred' && !chats.has(chatId)) return
    if (outcome === 'transferred') remove(chatId)
    notify({ kind: 'info', text: t(outcome, { name: agentName(to) }) })
  }

  /** After a connect the server names each chat of this agent before the list: others have gone. */
  function dropUnnamed() {
    for (const [id, chat] of chats) {
      if (!named || named.has(id) || chat.log.value.state?.status === 'ended') continue
      remove(id)
      notify({ kind: 'info', text: t('returned') })
    }
    named = null
  }

  /** It stands as long as the server said, whatever this machine's clock says. */
  function offer(frame: ChatOffer | TransferRequest) {
    const { chat_id: chatId, expires_at: expiresAt } = frame.payload
    const span = Date.parse(expiresAt) - Date.parse(frame.timestamp)
    offers.set(chatId, { chatId, until: Date.now() + span, span, transfer: frame.type === 'transfer_request' ? frame.payload : null })
  }

  /** What the queue no longer offers to whoever is away or has no place left. It says nothing. */
  function dropBeyondMe(present: AgentPresence) {
    if (present.status === 'online' && present.active_count < present.max_sessions) return
    for (const each of offers.values()) if (!each.transfer) offers.delete(each.chatId)
  }

  function gone(chatId: string) {
    if (!offers.get(chatId)?.transfer) offers.delete(chatId)
    if (chatId !== accepting) deselectGone(chatId)
  }

  function deselectGone(chatId: string) {
    if (selected.value === chatId && !chats.has(chatId)) selected.value = null
  }

  function open(chatId: string) {
    accepting = null
    const unsentKey = `kefu.unsent.${chatId}`
    const chat = new Conversation({ me: 'agent', myId: me.id, unsentKey, post })
    chats.set(chatId, chat)
    chat.connected()
  }

  function remove(chatId: string) {
    chats.get(chatId)?.disconnected()
    chats.delete(chatId)
    if (selected.value === chatId) selected.value = null
  }

  function refused(frame: Extract<ToWorkbench, { type: 'error' }>) {
    const { code, chat_id: chatId, taken_by: taker, taken_at: takenAt } = frame.payload
    if (chatId && frame.reply_to === declineId(chatId)) return // it was not ours any more
    if (frame.reply_to === FEED_ID) return void setTimeout(askForFeed, (frame.payload.retry_after_s ?? 1) * 1000)
    const sender = [...chats.values()].find((chat) => chat.isSending(frame.reply_to))
    if (sender) return sender.receive(frame)
    if (accepting && frame.reply_to === reachId(accepting)) {
      deselectGone(accepting)
      accepting = null
    }
    if (code === 'CHAT_NOT_FOUND' && chatId) remove(chatId)
    const text = taker ? takenText(taker.name, takenAt) : refusalText(code)
    notify({ kind: 'warning', text: text ?? frame.payload.message })
  }

  const takenText = (name: string, at: string | null | undefined) =>
    at ? t('taken', { name, time: clockTime(at) }) : t('left', { name })

  function remember(items: readonly QueueItem[]) {
    for (const item of items) cards.set(item.chat_id, item)
    const isWanted = (id: string) => chats.has(id) || feed.value.waiting.some((item) => item.chat_id === id)
    if (cards.size > 500) for (const id of [...cards.keys()]) if (!isWanted(id)) cards.delete(id)
    keptCards.set([...cards.values()])
  }

  const agentName = (id: string | null | undefined) =>
    feed.value.agents.find((agent) => agent.agent_id === id)?.name ?? t('colleague')

  /** As the chat's own status says, else as the queue said. */
  function customer(chatId: string): CustomerCard | null {
    const card = cards.get(chatId)
    const queued = card ? { id: card.customer_id, name: card.customer_name ?? null, is_vip: card.is_vip ?? false } : null
    return chats.get(chatId)?.log.value.state?.customer ?? queued
  }

  /** The server decides; until it has, the chat that was reached for is the chosen one. */
  function reach(type: 'accept_chat' | 'take_over_chat', chatId: string) {
    if (!post({ type, payload: { chat_id: chatId }, id: reachId(chatId) })) return
    accepting = chatId
    selected.value = chatId
  }

  const presence = computed(() => feed.value.agents.find((agent) => agent.agent_id === me.id) ?? null)

  return {
    me,
    state,
    feed,
    chats,
    offers,
    selected,
    /** Who waits, as the list shows them: first those that are offered to me, then the others. */
    waiting: computed(() => {
      const others = feed.value.waiting.filter((item) => !chats.has(item.chat_id))
      return [...others.filter((item) => offers.has(item.chat_id)), ...others.filter((item) => !offers.has(item.chat_id))]
    }),
    /** Let go of the offers whose time is up. */
    expireOffers(now: number) {
      for (const each of offers.values()) if (each.until <= now) offers.delete(each.chatId)
    },
    presence,
    isFull: computed(() => presence.value !== null && presence.value.active_count >= presence.value.max_sessions),
    colleagues: computed(() => feed.value.agents.filter((agent) => agent.agent_id !== me.id && agent.status !== 'offline')),
    isOnline: computed(() => state.value === 'open'),
    card: (chatId: string) => cards.get(chatId) ?? null,
    customer,
    /** The customer's name, or a short mark to tell visitors apart. */
    customerName: (chatId: string) => customer(chatId)?.name ?? t('visitor', { id: chatId.slice(-4) }),
    start: () => connection.start(),
    stop: () => connection.stop(),
    signOut() {
      connection.stop()
      signOut()
    },
    select: (chatId: string | null) => (selected.value = chatId),
    accept: (chatId: string) => reach('accept_chat', chatId),
    /** From the bot, at once; a chat that waits may be taken like this, too. */
    takeOver: (chatId: string) => reach('take_over_chat', chatId),
    decline({ chatId, transfer }: Offered) {
      offers.delete(chatId)
      if (transfer) post({ type: 'respond_transfer', payload: { request_id: transfer.request_id, accept: false } })
      else post({ type: 'decline_offer', payload: { chat_id: chatId }, id: declineId(chatId) })
    },
    takeTransfer({ chat_id: chatId, request_id }: TransferOffer) {
      offers.delete(chatId)
      post({ type: 'respond_transfer', payload: { request_id, accept: true } })
      accepting = chatId
      selected.value = chatId
    },
    transfer: (chatId: string, to: string, reason: string) =>
      post({ type: 'transfer_chat', payload: { chat_id: chatId, to_agent_id: to, reason: reason.trim() || null } }),
    release: (chatId: string) => post({ type: 'release_chat', payload: { chat_id: chatId } }),
    end: (chatId: string) => post({ type: 'end_chat', payload: { chat_id: chatId } }),
    dismiss: remove,
    setStatus: (status: AgentPresence['status']) => post({ type: 'set_status', payload: { status } }),
  }
}
