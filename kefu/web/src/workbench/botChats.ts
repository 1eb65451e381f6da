/** The chats the bot is serving, as the list of sessions tells of them. Pure. */
import { dataOf, words } from './reading'

export interface BotChat {
  /** Null where the server does not say: then it cannot be taken over from here. */
  chatId: string | null
  key: string
  name: string | null
  isVip: boolean
  preview: string
  /** In ms; null where unknown. */
  at: number | null
}

type Fields = Record<string, unknown>
const fieldsOf = (value: unknown): Fields => (value && typeof value === 'object' ? (value as Fields) : {})

/** The latest first, each chat once; `total` may be more than are listed. */
export function botChatsOf(answer: unknown): { chats: BotChat[]; total: number } {
  const data = dataOf(answer)
  const given: unknown[] = Array.isArray(data['sessions']) ? data['sessions'] : []
  const chats = given.map((each) => chatOf(fieldsOf(each))).filter((chat) => chat !== null)
  const once = [...new Map(chats.map((chat) => [chat.key, chat])).values()]
  const total = typeof data['total'] === 'number' ? data['total'] : 0
  return { chats: once.sort((a, b) => (b.at ?? 0) - (a.at ?? 0)), total: Math.max(total, once.length) }
}

function chatOf(session: Fields): BotChat | null {
  const status = words(session['status'])
  const chatId = words(session['chat_id']) || null
  const key = chatId ?? words(session['session_name'])
  if (!key || (status && status !== 'bot_active' && status !== 'bot')) return null
  const profile = fieldsOf(session['user_profile'])
  return {
    chatId,
    key,
    name: words(profile['name']) || null,
    isVip: profile['is_vip'] === true || fieldsOf(session['priority'])['is_vip'] === true,
    preview: words(session['last_message']) || words(session['topic']),
    at: momentOf(session['updated_at']),
  }
}

/** Seconds since the epoch, or a text with a zone. */
function momentOf(value: unknown): number | null {
  const ms = typeof value === 'number' ? value * 1000 : Date.parse(words(value))
  return Number.isFinite(ms) ? ms : null
}
