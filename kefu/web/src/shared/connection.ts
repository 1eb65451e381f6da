/**
 * One socket that comes back by itself.
 *
 * It knows nothing of chats: it delivers frames, says whether it is open, and tells its owner when
 * coming back is pointless. A browser cannot read why an upgrade was refused, so two refusals in a
 * row are reported as `refused` and the owner asks over HTTP.
 */
import { backoffMs } from './backoff'
import type { FromCustomer, FromWorkbench, ToWorkbench } from './protocol'

export type ConnectionState = 'connecting' | 'open' | 'waiting' | 'stopped'
/** Why the connection stopped or cannot start: a close code >= 4500, or `refused`. */
export type Verdict = { kind: 'closed'; code: number } | { kind: 'refused' }

export interface ConnectionOptions {
  path: string
  /** The access token, or null for a new guest; asked before each attempt. */
  token: () => string | null | Promise<string | null>
  onFrame: (frame: ToWorkbench) => void
  onState: (state: ConnectionState, retryAt: number | null) => void
  /** Called at most once per attempt; after `closed` the connection waits for `start()`. */
  onVerdict: (verdict: Verdict) => void
  random?: () => number
}

const PING_EVERY_MS = 25_000
const PROBE_WITHIN_MS = 4_000
const CONNECT_WITHIN_MS = 10_000
const STABLE_AFTER_MS = 10_000
const REFUSALS_BEFORE_ASKING = 2

export class Connection {
  private socket: WebSocket | null = null
  private state: ConnectionState = 'stopped'
  private attempt = 0
  private refusals = 0
  private misses = 0
  /** Counts attempts, so that an answer to an older one is recognised and ignored. */
  private turn = 0
  private readonly timers = new Map<string, ReturnType<typeof setTimeout>>()

  constructor(private readonly options: ConnectionOptions) {}

  start(): void {
    if (this.state !== 'stopped') return
    addEventListener('online', this.wake)
    addEventListener('pageshow', this.wake)
    document.addEventListener('visibilitychange', this.wake)
    this.attempt = 0
    this.refusals = 0
    void this.connect()
  }

  stop(): void {
    removeEventListener('online', this.wake)
    removeEventListener('pageshow', this.wake)
    document.removeEventListener('visibilitychange', this.wake)
    this.abandon()
    this.enter('stopped')
  }

  /** False when there is no open socket; the caller keeps what must not be lost. */
  send(frame: FromCustomer | FromWorkbench): boolean {
    if (this.state !== 'open' || this.socket?.readyState !== WebSocket.OPEN) return false
    this.socket.send(JSON.stringify(frame))
    return true
  }

  private async connect(): Promise<void> {
    this.abandon()
    this.enter('connecting')
    const turn = this.turn
    const token = await this.options.token()
    if (turn !== this.turn) return
    const url = new URL(this.options.path, location.href)
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
    const socket = new WebSocket(url, token ? ['kefu.v1', `bearer.${token}`] : ['kefu.v1'])
    this.socket = socket
    socket.onopen = () => this.opened()
    socket.onmessage = (event) => this.received(event.data)
    socket.onclose = (event) => this.closed(event.code)
    this.after('connect', CONNECT_WITHIN_MS, () => this.closed(1006))
  }

  private opened(): void {
    this.cancel('connect')
    this.refusals = 0
    this.misses = 0
    this.enter('open')
    this.after('stable', STABLE_AFTER_MS, () => (this.attempt = 0))
    this.keepAsking()
  }

  private received(data: unknown): void {
    this.misses = 0
    this.cancel('probe')
    const frame = JSON.parse(String(data)) as ToWorkbench
    if (frame.type === 'goaway') this.leaveIn(frame.payload.reconnect_after_ms)
    else if (frame.type !== 'pong') this.options.onFrame(frame)
  }

  private closed(code: number): void {
    const wasOpen = this.state === 'open'
    this.abandon()
    if (code >= 4500 && code < 5000) {
      this.stop()
      this.options.onVerdict({ kind: 'closed', code })
      return
    }
    if (!wasOpen && ++this.refusals % REFUSALS_BEFORE_ASKING === 0) {
      this.options.onVerdict({ kind: 'refused' })
      if (this.state === 'stopped') return
    }
    const delay = backoffMs(this.attempt++, (this.options.random ?? Math.random)())
    this.after('retry', delay, () => void this.connect())
    this.enter('waiting', Date.now() + delay)
  }

  /** The server is draining: use this socket until its moment comes, then move without a pause. */
  private leaveIn(delayMs: number): void {
    this.after('leave', delayMs, () => void this.connect())
  }

  private keepAsking(): void {
    this.after('ping', PING_EVERY_MS, () => {
      if (this.misses >= 2) return this.closed(1006)
      this.misses += 1
      this.send({ type: 'ping' })
      this.keepAsking()
    })
  }

  /** The network or the page came back: try now, or find out whether the socket survived. */
  private readonly wake = (): void => {
    if (document.visibilityState === 'hidden') return
    if (this.state === 'waiting') void this.connect()
    else if (this.send({ type: 'ping' })) {
      this.after('probe', PROBE_WITHIN_MS, () => this.closed(1006))
    }
  }

  /** Let go of the present socket without waiting for its close, which a dead network never sends. */
  private abandon(): void {
    this.turn += 1
    for (const name of [...this.timers.keys()]) this.cancel(name)
    const socket = this.socket
    this.socket = null
    if (!socket) return
    socket.onopen = socket.onmessage = socket.onclose = null
    socket.close()
  }

  private enter(state: ConnectionState, retryAt: number | null = null): void {
    this.state = state
    this.options.onState(state, retryAt)
  }

  private after(name: string, delayMs: number, act: () => void): void {
    this.cancel(name)
    this.timers.set(
      name,
      setTimeout(() => {
        this.timers.delete(name)
        act()
      }, delayMs),
    )
  }

  private cancel(name: string): void {
    clearTimeout(this.timers.get(name))
    this.timers.delete(name)
  }
}
