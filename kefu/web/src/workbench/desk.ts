/**
 * The agent's desk: one socket, the list, and every chat that is theirs.
 *
 * The server decides who has which chat. A chat_status that names this agent puts the chat on the
 * desk, one that names somebody else takes it away; nothing here guesses.
 */
import { computed, ref, shallowReactive, shallowRef, type InjectionKey } from 'vue'
import { Connection, type ConnectionState, type Verdict } from '../shared/connection'
import { Conversation } from '../shared/conversation'
import { keep } from '../shared/keep'
import {
  CLOSE,
  type AgentPresence,
  type ChatState,
  type CustomerCard,
  type FromWorkbench,
  type Offer,
  type QueueItem,
  type ToWorkbench,
  type TransferOffer,
  type TransferOutcome,
} from '../shared/protocol'
import { emptyFeed, fromSnapshot, judge, withPresence, withQueueChange } from './feed'
import { freshToken, refresh, signOut, type Session } from './signin'
import { refusalText, t } from './words'

export type Notice = { kind: 'info' | 'warning' | 'error'; text: string }
export type Desk = ReturnType<typeof createDesk>
export const deskKey: InjectionKey<Desk> = Symbol('desk')

/** A second sign-out this soon means that new tokens do not help. */
const PATIENCE_MS = 10_000

const acceptId = (chatId: string) => `accept ${chatId}`

export function createDesk(me: Session['agent'], notify: (notice: Notice) => void) {
  const state = ref<ConnectionState>('connecting')
  const feed = shallowRef(emptyFeed)
  const chats = shallowReactive(new Map<string, Conversation>())
  const offers = shallowReactive(new Map<string, Offer | TransferOffer>())
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
      if (next === 'open') named = new Set()
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
        else if (frame.payload.chat_id !== accepting) deselectGone(frame.payload.chat_id)
        break
      case 'agent_status':
        follow(frame.payload, () => (feed.value = withPresence(feed.value, frame.payload)))
        break
      case 'chat_status':
        place(frame.payload)
        chats.get(frame.payload.chat_id)?.receive(frame)
        break
      case 'chat_offer':
      case 'transfer_request':
        offers.set(frame.payload.chat_id, frame.payload)
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
    if (verdict !== 'ask') return
    const payload = { feed_id: feed.value.feedId, last_feed_seq: feed.value.feedSeq }
    post({ type: 'subscribe_queue', payload })
  }

  function place(chat: ChatState) {
    const isMine = chat.status === 'active' && chat.agent?.id === me.id
    const present = chats.get(chat.chat_id)
    named?.add(chat.chat_id)
    offers.delete(chat.chat_id)
    if (isMine && !present) open(chat.chat_id)
    else if (present && !isMine && chat.status !== 'ended') {
      remove(chat.chat_id)
      const text = chat.agent ? t('left', { name: chat.agent.name }) : t('returned')
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
    const { code, chat_id: chatId } = frame.payload
    const sender = [...chats.values()].find((chat) => chat.isSending(frame.reply_to))
    if (sender) return sender.receive(frame)
    if (accepting && frame.reply_to === acceptId(accepting)) {
      deselectGone(accepting)
      accepting = null
    }
    if (code === 'CHAT_NOT_FOUND' && chatId) remove(chatId)
    notify({ kind: 'warning', text: refusalText(code) ?? frame.payload.message })
  }

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

  return {
    me,
    state,
    feed,
    chats,
    offers,
    selected,
    presence: computed(() => feed.value.agents.find((agent) => agent.agent_id === me.id) ?? null),
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
    accept(chatId: string) {
      if (!post({ type: 'accept_chat', payload: { chat_id: chatId }, id: acceptId(chatId) })) return
      accepting = chatId
      selected.value = chatId
    },
    decline(offer: Offer | TransferOffer) {
      offers.delete(offer.chat_id)
      if ('request_id' in offer) post({ type: 'respond_transfer', payload: { request_id: offer.request_id, accept: false } })
      else post({ type: 'decline_offer', payload: { chat_id: offer.chat_id } })
    },
    takeOffer(offer: Offer | TransferOffer) {
      offers.delete(offer.chat_id)
      if ('request_id' in offer) post({ type: 'respond_transfer', payload: { request_id: offer.request_id, accept: true } })
      else post({ type: 'accept_chat', payload: { chat_id: offer.chat_id }, id: acceptId(offer.chat_id) })
      accepting = offer.chat_id
      selected.value = offer.chat_id
    },
    transfer: (chatId: string, to: string, reason: string) =>
      post({ type: 'transfer_chat', payload: { chat_id: chatId, to_agent_id: to, reason: reason.trim() || null } }),
    release: (chatId: string) => post({ type: 'release_chat', payload: { chat_id: chatId } }),
    end: (chatId: string) => post({ type: 'end_chat', payload: { chat_id: chatId } }),
    dismiss: remove,
    setStatus: (status: AgentPresence['status']) => post({ type: 'set_status', payload: { status } }),
  }
}
