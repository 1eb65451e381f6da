// Made by `python -m protocol.schema typescript` from protocol/*.py. Do not edit.

export interface AcceptChat {
  type: "accept_chat"
  payload: ChatChoice
  id?: string | null
}

export interface AddNote {
  type: "add_note"
  payload: ChatText
  id?: string | null
}

/** An agent's account as colleagues may see it. */
export interface Agent {
  id: string
  username: string
  name: string
  avatar_url: string | null
  role: "admin" | "agent" | "supervisor"
  max_sessions: number
  status: "break" | "busy" | "lunch" | "offline" | "online" | "training"
  status_note: string | null
  is_active: boolean
  created_at: string
  last_login: string | null
  skills: string[]
  team_ids: string[]
}

/** Who is helping, as the customer sees it. */
export interface AgentCard {
  id: string
  name: string
  avatar_url?: string | null
}

export interface AgentPresence {
  agent_id: string
  name: string
  status: "break" | "busy" | "lunch" | "offline" | "online" | "training"
  active_count: number
  max_sessions: number
  note?: string | null
  team_ids?: string[]
}

export interface AgentStatus {
  type: "agent_status"
  payload: PresenceChange
  timestamp: string
  reply_to?: string | null
}

export interface AiDelta {
  type: "ai_delta"
  payload: AnswerPiece
  timestamp: string
  reply_to?: string | null
}

/** The finished answer is the message whose `message_id` is `turn_id`. It answers what the customer said up to `answers_seq`. */
export interface AnswerPiece {
  chat_id: string
  turn_id: string
  content: string
  answers_seq: number
}

export interface AssistCall {
  chat_id: string
  from_agent: AgentCard
  question: string
}

export interface AssistQuestion {
  chat_id: string
  to_agent_id: string
  question: string
}

export interface AssistRequest {
  type: "assist_request"
  payload: AssistCall
  timestamp: string
  reply_to?: string | null
}

export interface ChatChange {
  chat_id?: string | null
  reason?: string | null
}

export interface ChatChoice {
  chat_id: string
}

export interface ChatEnding {
  chat_id?: string | null
  rating?: number | null
  feedback?: string | null
}

export interface ChatOffer {
  type: "chat_offer"
  payload: Offer
  timestamp: string
  reply_to?: string | null
}

export interface ChatOpening {
  topic?: string | null
  order_id?: string | null
  mode?: "bot" | "human"
}

export interface ChatRating {
  rating: number
  chat_id?: string | null
  feedback?: string | null
}

/** `last_seq` is the point after which this connection gets every message by itself. `customer` is given to agents alone. */
export interface ChatState {
  chat_id: string
  status: "active" | "bot" | "ended" | "waiting"
  last_seq: number
  agent?: AgentCard | null
  queue_position?: number | null
  estimated_wait_s?: [number, number] | null
  topic?: string | null
  rating?: number | null
  guest_token?: string | null
  resync?: boolean
  customer?: CustomerCard | null
}

export interface ChatStatus {
  type: "chat_status"
  payload: ChatState
  timestamp: string
  reply_to?: string | null
}

export interface ChatText {
  chat_id: string
  content: string
}

/** To an agent or to a team; `offer` asks the agent even when a place is free. */
export interface ChatTransfer {
  chat_id: string
  to_agent_id?: string | null
  to_team_id?: string | null
  reason?: string | null
  note?: string | null
  offer?: boolean
}

export interface ChatWatch {
  type: "chat_watch"
  payload: Watch
  timestamp: string
  reply_to?: string | null
}

/** Who is asking, as the agent sees it. */
export interface CustomerCard {
  id: string
  name?: string | null
  is_vip?: boolean
  is_guest?: boolean
  locale?: string | null
}

export interface DeclineOffer {
  type: "decline_offer"
  payload: ChatChoice
  id?: string | null
}

export interface Departure {
  reconnect_after_ms: number
}

export interface EndChat {
  type: "end_chat"
  payload?: ChatEnding
  id?: string | null
}

export interface Error {
  type: "error"
  payload: Fault
  timestamp: string
  reply_to?: string | null
}

export type ErrorCode = "AGENT_AT_CAPACITY" | "AGENT_NOT_FOUND" | "AGENT_OFFLINE" | "AI_UNAVAILABLE" | "ALREADY_EXISTS" | "ALREADY_TAKEN" | "CATEGORY_NOT_FOUND" | "CHAT_ALREADY_OPEN" | "CHAT_ENDED" | "CHAT_ID_REQUIRED" | "CHAT_NOT_FOUND" | "CONTENT_TOO_LONG" | "FORBIDDEN" | "INTERNAL" | "INVALID_MESSAGE" | "INVALID_STATUS" | "IN_USE" | "MANUAL_IN_PROGRESS" | "METHOD_NOT_ALLOWED" | "NOT_FOUND" | "NOT_WAITING" | "NO_FIELDS_TO_UPDATE" | "ORDER_NOT_FOUND" | "OVERLOADED" | "PRODUCT_NOT_FOUND" | "RATE_LIMITED" | "TOO_LARGE" | "UNAUTHORIZED" | "UNKNOWN_TYPE" | "UNPROCESSABLE" | "UNSUPPORTED_MESSAGE_TYPE"

/** `taken_by` and `taken_at` say who has the chat, and since when, with ALREADY_TAKEN. */
export interface Fault {
  code: ErrorCode
  message: string
  chat_id?: string | null
  retry_after_s?: number | null
  taken_by?: AgentCard | null
  taken_at?: string | null
}

export interface FeedPoint {
  last_feed_seq?: number | null
  feed_id?: string | null
}

export interface GoAway {
  type: "goaway"
  payload: Departure
  timestamp: string
  reply_to?: string | null
}

export interface MarkRead {
  type: "mark_read"
  payload: ReadMark
  id?: string | null
}

export interface Message {
  chat_id: string
  message_id: string
  seq: number
  sender_type: "agent" | "ai" | "customer" | "system"
  content: string
  timestamp: string
  message_type?: "image" | "product" | "system" | "text"
  sender_id?: string | null
  sender_name?: string | null
  client_message_id?: string | null
}

export interface MessageAck {
  type: "message_ack"
  payload: Receipt
  timestamp: string
  reply_to?: string | null
}

export interface NewMessage {
  type: "new_message"
  payload: Message
  timestamp: string
  reply_to?: string | null
}

export interface Note {
  chat_id: string
  log_id: number
  agent_id: string
  agent_name: string
  content: string
  timestamp: string
}

export interface NoteAdded {
  type: "note_added"
  payload: Note
  timestamp: string
  reply_to?: string | null
}

export type Nothing = Record<string, never>

export interface Offer {
  chat_id: string
  expires_at: string
}

/** For `image` the content is the URL of an upload, for `product` a product id. */
export interface OutgoingMessage {
  content: string
  message_type?: "image" | "product" | "text"
  chat_id?: string | null
  client_message_id?: string | null
}

export interface Ping {
  type: "ping"
  id?: string | null
}

export interface Pong {
  type: "pong"
  timestamp: string
  payload?: Nothing
  reply_to?: string | null
}

export interface PresenceChange {
  feed_id: string
  feed_seq: number
  agent: AgentPresence
}

/** `item` is left out when the chat left the queue. */
export interface QueueChange {
  feed_id: string
  feed_seq: number
  change: "added" | "changed" | "removed"
  chat_id: string
  item?: QueueItem | null
}

/** A waiting chat. Items of a snapshot stand in the one order of the queue. */
export interface QueueItem {
  chat_id: string
  customer_id: string
  waiting_since: string
  priority?: "high" | "normal" | "urgent"
  is_vip?: boolean
  customer_name?: string | null
  topic?: string | null
  reason?: string | null
  team_id?: string | null
}

export interface QueueSnapshot {
  type: "queue_snapshot"
  payload: QueueState
  timestamp: string
  reply_to?: string | null
}

export interface QueueState {
  feed_id: string
  feed_seq: number
  waiting: QueueItem[]
  agents: AgentPresence[]
}

export interface QueueUpdate {
  type: "queue_update"
  payload: QueueChange
  timestamp: string
  reply_to?: string | null
}

export interface RateChat {
  type: "rate_chat"
  payload: ChatRating
  id?: string | null
}

export interface Read {
  type: "read"
  payload: ReadPoint
  timestamp: string
  reply_to?: string | null
}

export interface ReadMark {
  seq: number
  chat_id?: string | null
}

export interface ReadPoint {
  chat_id: string
  seq: number
  reader_type: "agent" | "ai" | "customer" | "system"
}

/** Given only after the message is durable. */
export interface Receipt {
  chat_id: string
  message_id: string
  seq: number
  timestamp: string
  client_message_id?: string | null
}

export interface ReleaseChat {
  type: "release_chat"
  payload: ChatChoice
  id?: string | null
}

export interface RequestAssist {
  type: "request_assist"
  payload: AssistQuestion
  id?: string | null
}

export interface RequestHuman {
  type: "request_human"
  payload?: ChatChange
  id?: string | null
}

export interface RespondTransfer {
  type: "respond_transfer"
  payload: TransferAnswer
  id?: string | null
}

export interface Resume {
  type: "resume"
  payload: ResumePoint
  id?: string | null
}

export interface ResumePoint {
  chat_id: string
  last_seq: number
}

export interface ReturnToBot {
  type: "return_to_bot"
  payload?: ChatChange
  id?: string | null
}

export interface SendMessage {
  type: "send_message"
  payload: OutgoingMessage
  id?: string | null
}

export interface SetStatus {
  type: "set_status"
  payload: StatusChoice
  id?: string | null
}

/** Answer to login, refresh and link; `expires_in` is the access token's life in seconds. */
export interface SignedIn {
  token: string
  refresh_token: string
  agent: Agent
  expires_in: number
  success: boolean
}

export interface SomeoneTyping {
  chat_id: string
  is_typing: boolean
  sender_type: "agent" | "ai" | "customer" | "system"
}

export interface StartChat {
  type: "start_chat"
  payload?: ChatOpening
  id?: string | null
}

export interface StatusChoice {
  status: "break" | "busy" | "lunch" | "offline" | "online" | "training"
  note?: string | null
}

export interface SubscribeQueue {
  type: "subscribe_queue"
  payload?: FeedPoint
  id?: string | null
}

export interface TakeOverChat {
  type: "take_over_chat"
  payload: ChatChoice
  id?: string | null
}

export interface TransferAnswer {
  request_id: string
  accept: boolean
}

export interface TransferChat {
  type: "transfer_chat"
  payload: ChatTransfer
  id?: string | null
}

export interface TransferOffer {
  request_id: string
  chat_id: string
  from_agent: AgentCard
  expires_at: string
  reason?: string | null
  note?: string | null
}

/** `request_id` is given where the transfer was an offer. */
export interface TransferOutcome {
  chat_id: string
  outcome: "declined" | "expired" | "offered" | "transferred"
  to_agent_id?: string | null
  request_id?: string | null
  to_team_id?: string | null
}

export interface TransferRequest {
  type: "transfer_request"
  payload: TransferOffer
  timestamp: string
  reply_to?: string | null
}

export interface TransferResult {
  type: "transfer_result"
  payload: TransferOutcome
  timestamp: string
  reply_to?: string | null
}

export interface Typing {
  type: "typing"
  payload: TypingState
  id?: string | null
}

export interface TypingShown {
  type: "typing"
  payload: SomeoneTyping
  timestamp: string
  reply_to?: string | null
}

export interface TypingState {
  is_typing: boolean
  chat_id?: string | null
}

export interface UnwatchChat {
  type: "unwatch_chat"
  payload: ChatChoice
  id?: string | null
}

/** Not watching, without having asked: the chat could not be shown; ask again. A watch ends with its connection, silently. */
export interface Watch {
  chat_id: string
  is_watching: boolean
}

export interface WatchChat {
  type: "watch_chat"
  payload: ChatChoice
  id?: string | null
}

export interface Whisper {
  type: "whisper"
  payload: ChatText
  id?: string | null
}

export interface Whispered {
  type: "whispered"
  payload: Note
  timestamp: string
  reply_to?: string | null
}

export type FromCustomer = StartChat | SendMessage | RequestHuman | ReturnToBot | EndChat | RateChat | Typing | MarkRead | Resume | Ping

export type FromAgent = AcceptChat | DeclineOffer | SendMessage | TransferChat | RespondTransfer | EndChat | ReleaseChat | Typing | MarkRead | Resume | Ping | SetStatus | AddNote

export type FromWorkbench = AcceptChat | DeclineOffer | SendMessage | TransferChat | RespondTransfer | EndChat | ReleaseChat | Typing | MarkRead | Resume | Ping | SetStatus | AddNote | SubscribeQueue | TakeOverChat | RequestAssist | WatchChat | UnwatchChat | Whisper

export type ToCustomer = ChatStatus | NewMessage | MessageAck | AiDelta | TypingShown | Read | Error | GoAway | Pong

export type ToWorkbench = ChatStatus | NewMessage | MessageAck | AiDelta | TypingShown | Read | Error | GoAway | Pong | QueueSnapshot | QueueUpdate | AgentStatus | ChatOffer | NoteAdded | Whispered | TransferRequest | TransferResult | AssistRequest | ChatWatch

export type FromCustomerType = 'start_chat' | 'send_message' | 'request_human' | 'return_to_bot' | 'end_chat' | 'rate_chat' | 'typing' | 'mark_read' | 'resume' | 'ping'

export type FromAgentType = 'accept_chat' | 'decline_offer' | 'send_message' | 'transfer_chat' | 'respond_transfer' | 'end_chat' | 'release_chat' | 'typing' | 'mark_read' | 'resume' | 'ping' | 'set_status' | 'add_note'

export type FromWorkbenchType = 'accept_chat' | 'decline_offer' | 'send_message' | 'transfer_chat' | 'respond_transfer' | 'end_chat' | 'release_chat' | 'typing' | 'mark_read' | 'resume' | 'ping' | 'set_status' | 'add_note' | 'subscribe_queue' | 'take_over_chat' | 'request_assist' | 'watch_chat' | 'unwatch_chat' | 'whisper'

export type ToCustomerType = 'chat_status' | 'new_message' | 'message_ack' | 'ai_delta' | 'typing' | 'read' | 'error' | 'goaway' | 'pong'

export type ToWorkbenchType = 'chat_status' | 'new_message' | 'message_ack' | 'ai_delta' | 'typing' | 'read' | 'error' | 'goaway' | 'pong' | 'queue_snapshot' | 'queue_update' | 'agent_status' | 'chat_offer' | 'note_added' | 'whispered' | 'transfer_request' | 'transfer_result' | 'assist_request' | 'chat_watch'

export const HTTP_STATUS: Record<ErrorCode, number> = { INVALID_MESSAGE: 400, UNKNOWN_TYPE: 400, CONTENT_TOO_LONG: 400, UNSUPPORTED_MESSAGE_TYPE: 400, CHAT_ID_REQUIRED: 400, NO_FIELDS_TO_UPDATE: 400, UNAUTHORIZED: 401, FORBIDDEN: 403, CHAT_NOT_FOUND: 404, ORDER_NOT_FOUND: 404, AGENT_NOT_FOUND: 404, PRODUCT_NOT_FOUND: 404, CATEGORY_NOT_FOUND: 404, NOT_FOUND: 404, METHOD_NOT_ALLOWED: 405, CHAT_ENDED: 409, CHAT_ALREADY_OPEN: 409, NOT_WAITING: 409, ALREADY_TAKEN: 409, AGENT_AT_CAPACITY: 409, AGENT_OFFLINE: 409, MANUAL_IN_PROGRESS: 409, INVALID_STATUS: 409, ALREADY_EXISTS: 409, IN_USE: 409, TOO_LARGE: 413, UNPROCESSABLE: 422, RATE_LIMITED: 429, OVERLOADED: 503, AI_UNAVAILABLE: 503, INTERNAL: 500 }

export const CLOSE = { TOO_LARGE: 1009, RESTARTING: 1012, OVERLOADED: 1013, SLOW_CONSUMER: 4008, IDLE: 4009, DRAINING: 4012, SIGNED_OUT: 4501, TOO_MANY_DEVICES: 4503, ABUSIVE: 4504 } as const
