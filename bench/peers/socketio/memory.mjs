// The peer without a store: the same as ../ws/server.mjs, as one would write it on socket.io.
import { createServer } from 'node:http'
import { Server } from 'socket.io'

const ID = '00000000-0000-4000-8000-000000000000' // as long as a real one
const http = createServer()
const io = new Server(http, { transports: ['websocket'], perMessageDeflate: false, serveClient: false })
let feedSeq = 0

io.on('connection', (socket) => {
  const { chat, side, feed } = socket.handshake.query
  if (chat) socket.join(chat)
  if (feed !== undefined) socket.join('feed')
  socket.on('typing', ({ chat_id, is_typing }) => {
    const timestamp = new Date().toISOString()
    socket.to(chat_id).emit('typing', { chat_id, is_typing, sender_type: side, timestamp })
  })
  socket.on('set_status', ({ status }) => {
    const agent = { agent_id: ID, name: 'Bench', status, active_count: 0, max_sessions: 50 }
    const timestamp = new Date().toISOString()
    io.to('feed').emit('agent_status', { feed_id: ID, feed_seq: ++feedSeq, agent, timestamp })
  })
})
http.listen(0, '127.0.0.1', () => console.log(`ready ws://127.0.0.1:${http.address().port}`))
