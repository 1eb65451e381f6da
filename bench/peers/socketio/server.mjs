// The peer: a durable chat as one would write it on socket.io and node-postgres. A message gets its
// number, is inserted, is acknowledged after the commit, and goes to the other side after that.
import { createServer } from 'node:http'
import pg from 'pg'
import { Server } from 'socket.io'

const [host, database] = [process.env.PGHOST, process.env.PGDATABASE]
const pool = new pg.Pool({ host, database, user: 'kefu', max: 20 })
await pool.query(`CREATE TABLE IF NOT EXISTS peer_messages (
  chat_id int NOT NULL, seq bigint NOT NULL, client_message_id text NOT NULL, sender text NOT NULL,
  content text NOT NULL, created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (chat_id, seq), UNIQUE (chat_id, sender, client_message_id))`)

const INSERT = {
  name: 'insert',
  text: 'INSERT INTO peer_messages (chat_id, seq, client_message_id, sender, content) VALUES ($1, $2, $3, $4, $5)',
}
const http = createServer()
const io = new Server(http, { transports: ['websocket'], perMessageDeflate: false, serveClient: false })
const chats = new Map() // chat -> { seq, tail: the last delivery, so that order is kept }

io.on('connection', (socket) => {
  const { chat, side } = socket.handshake.query
  socket.join(chat)
  const state = chats.get(chat) ?? { seq: 0, tail: Promise.resolve() }
  chats.set(chat, state)
  socket.on('send_message', ({ content, client_message_id }) => {
    const seq = ++state.seq
    const written = pool.query({ ...INSERT, values: [Number(chat), seq, client_message_id, side, content] })
    state.tail = Promise.all([written, state.tail]).then(() => {
      socket.emit('message_ack', { chat_id: chat, seq, client_message_id })
      socket.to(chat).emit('new_message', { chat_id: chat, seq, client_message_id, content })
    })
  })
})
http.listen(0, '127.0.0.1', () => console.log(`ready ws://127.0.0.1:${http.address().port}`))
