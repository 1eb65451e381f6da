/** Frames for tests. */
import type { ChatState, Message } from './protocol'

export const CHAT = '00000000-0000-4000-8000-000000000001'
export const AT = '2026-01-27T10:00:00Z'

export const chatState = (over: Partial<ChatState> = {}): ChatState => ({
  chat_id: CHAT,
  status: 'active',
  last_seq: 0,
  ...over,
})

export const message = (seq: number, over: Partial<Message> = {}): Message => ({
  chat_id: CHAT,
  message_id: `message-${seq}`,
  seq,
  sender_type: 'agent',
  content: `text ${seq}`,
  timestamp: AT,
  ...over,
})
