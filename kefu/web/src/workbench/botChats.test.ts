import { expect, test } from 'vitest'
import { botChatsOf } from './botChats'

const session = (over: object = {}) => ({
  session_name: 'web-1',
  chat_id: 'chat-1',
  status: 'bot_active',
  user_profile: { name: '陈小姐', is_vip: false },
  priority: { level: 'normal', is_vip: false },
  last_message: '退货要多久？',
  updated_at: 1_769_508_000.5,
  ...over,
})
const list = (...sessions: unknown[]) => botChatsOf({ success: true, data: { sessions, total: sessions.length } })

test('a session is a row with who, what and when', () => {
  expect(list(session()).chats).toEqual([
    { chatId: 'chat-1', key: 'chat-1', name: '陈小姐', isVip: false, preview: '退货要多久？', at: 1_769_508_000_500 },
  ])
})

test('the latest stand first, each once', () => {
  const found = list(session(), session({ chat_id: 'chat-2', updated_at: 1_769_509_000 }), session())
  expect(found.chats.map((chat) => chat.chatId)).toEqual(['chat-2', 'chat-1'])
})

test('a VIP is known by the profile or by the priority', () => {
  expect(list(session({ user_profile: { is_vip: true } })).chats[0]?.isVip).toBe(true)
  expect(list(session({ priority: { is_vip: true } })).chats[0]?.isVip).toBe(true)
})

test('one that is not with the bot any more is left out', () => {
  expect(list(session({ status: 'manual_live' })).chats).toEqual([])
})

test('what is missing is not made up', () => {
  expect(list({ session_name: 'web-1' }).chats).toEqual([
    { chatId: null, key: 'web-1', name: null, isVip: false, preview: '', at: null },
  ])
  expect(list(session({ updated_at: '2026-01-27T10:00:00Z' })).chats[0]?.at).toBe(Date.parse('2026-01-27T10:00:00Z'))
})

test.each([null, 'x', { data: [] }, { data: { sessions: {} } }, { data: { sessions: [null, 1, {}] } }])('an odd answer (%j) is an empty list', (odd) => {
  expect(botChatsOf(odd)).toEqual({ chats: [], total: 0 })
})

test('the total tells of those that are not listed', () => {
  expect(botChatsOf({ data: { sessions: [session()], total: 73 } }).total).toBe(73)
})
