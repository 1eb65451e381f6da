// The peer that does least: Node and ws, nothing kept. `?chat=&side=` are two who hear each other's
// typing; `?feed` hears every change of an agent's status.
import { createServer } from 'node:http'
import { WebSocketServer } from 'ws'

const HEARTBEAT_MS = 30_000
const ID = '00000000-0000-4000-8000-000000000000' // as long as a real one
const http = createServer()
const server = new WebSocketServer({ server: http, perMessageDeflate: false })
const chats = new Map() // chat -> { side: socket }
const feed = new Set()
let feedSeq = 0

server.on('connection', (socket, request) => {
  const query = new URL(request.url, 'ws://here').searchParams
  const chat = query.get('chat')
  const side = query.get('side')
  if (chat) chats.set(chat, { ...chats.get(chat), [side]: socket })
  if (query.has('feed')) feed.add(socket)
  const heartbeat = setInterval(() => socket.ping(), HEARTBEAT_MS)
  socket.on('close', () => {
    clearInterval(heartbeat)
    feed.delete(socket)
    if (chat && chats.get(chat)?.[side] === socket) chats.delete(chat)
  })
  socket.on('message', (text) => {
    const { type, payload } = JSON.parse(text)
    const timestamp = new Date().toISOString()
    if (type === 'typing') {
      const other = chats.get(payload.chat_id)?.[side === 'c' ? 'a' : 'c']
      const shown = { chat_id: payload.chat_id, is_typing: payload.is_typing, sender_type: side }
      other?.send(JSON.stringify({ type: 'typing', payload: shown, timestamp }))
    } else if (type === 'set_status') {
      const agent = { agent_id: ID, name: 'Bench', status: payload.status, active_count: 0, max_sessions: 50 }
      const change = { feed_id: ID, feed_seq: ++feedSeq, agent }
      const frame = Buffer.from(JSON.stringify({ type: 'agent_status', payload: change, timestamp }))
      for (const listener of feed) listener.send(frame, { binary: false })
    }
  })
})
http.listen(0, '127.0.0.1', () => console.log(`ready ws://127.0.0.1:${http.address().port}`))
