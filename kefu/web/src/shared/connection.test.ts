import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Connection, type ConnectionState, type Verdict } from './connection'
import type { ToWorkbench } from './protocol'
import { AT } from './samples'

/** A socket the test plays the server of. */
class TestSocket {
  static readonly OPEN = 1
  static made: TestSocket[] = []
  static get last() {
    return TestSocket.made.at(-1)!
  }
  readyState = 0
  sent: { type: string }[] = []
  onopen: (() => void) | null = null
  onmessage: ((event: { data: string }) => void) | null = null
  onclose: ((event: { code: number }) => void) | null = null
  isClosed = false
  constructor(
    readonly url: URL,
    readonly protocols: string[],
  ) {
    TestSocket.made.push(this)
  }
  send(text: string) {
    this.sent.push(JSON.parse(text) as { type: string })
  }
  close() {
    this.isClosed = true
  }
  accept() {
    this.readyState = 1
    this.onopen?.()
  }
  say(frame: object) {
    this.onmessage?.({ data: JSON.stringify({ timestamp: AT, ...frame }) })
  }
  end(code: number) {
    this.readyState = 3
    this.onclose?.({ code })
  }
}

let states: ConnectionState[]
let verdicts: Verdict[]
let frames: ToWorkbench[]
let connection: Connection
const tick = () => vi.advanceTimersByTimeAsync(0)

beforeEach(async () => {
  vi.useFakeTimers()
  vi.stubGlobal('WebSocket', TestSocket)
  TestSocket.made = []
  states = []
  verdicts = []
  frames = []
  connection = new Connection({
    path: '/ws/chat',
    token: () => 'secret',
    onFrame: (frame) => frames.push(frame),
    onState: (state) => states.push(state),
    onVerdict: (verdict) => verdicts.push(verdict),
    random: () => 0.5,
  })
  connection.start()
  await tick()
})

afterEach(() => {
  connection.stop()
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

test('the token travels as a subprotocol and never in the address', () => {
  expect(TestSocket.last.protocols).toEqual(['kefu.v1', 'bearer.secret'])
  expect(String(TestSocket.last.url)).not.toContain('secret')
})

describe('a closed socket', () => {
  test.each([1006, 1012, 4008, 4012, 4499])('with code %i comes back', async (code) => {
    TestSocket.last.accept()
    TestSocket.last.end(code)
    await vi.advanceTimersByTimeAsync(250)
    expect(TestSocket.made).toHaveLength(2)
  })

  test.each([4500, 4501, 4503, 4504])('with code %i does not come back and says so', async (code) => {
    TestSocket.last.accept()
    TestSocket.last.end(code)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(TestSocket.made).toHaveLength(1)
    expect(verdicts).toEqual([{ kind: 'closed', code }])
    expect(states.at(-1)).toBe('stopped')
  })

  test('waits longer each time, and not at all when the network returns', async () => {
    for (const wait of [250, 500, 1000]) {
      TestSocket.last.end(1006)
      await vi.advanceTimersByTimeAsync(wait - 1)
      const before = TestSocket.made.length
      await vi.advanceTimersByTimeAsync(1)
      expect(TestSocket.made.length).toBe(before + 1)
    }
    TestSocket.last.end(1006)
    dispatchEvent(new Event('online'))
    await tick()
    expect(TestSocket.made).toHaveLength(5)
  })
})

test('two refused upgrades in a row are reported', async () => {
  TestSocket.last.end(1006)
  await vi.advanceTimersByTimeAsync(250)
  expect(verdicts).toEqual([])
  TestSocket.last.end(1006)
  expect(verdicts).toEqual([{ kind: 'refused' }])
})

test('an upgrade that nobody answers is given up after 10 s', async () => {
  await vi.advanceTimersByTimeAsync(10_250)
  expect(TestSocket.made).toHaveLength(2)
  expect(TestSocket.made[0]!.isClosed).toBe(true)
})

test('two unanswered pings end a silent socket; any frame keeps it', async () => {
  TestSocket.last.accept()
  await vi.advanceTimersByTimeAsync(50_000)
  TestSocket.last.say({ type: 'pong', payload: {} })
  await vi.advanceTimersByTimeAsync(50_000)
  expect(TestSocket.made).toHaveLength(1)
  await vi.advanceTimersByTimeAsync(25_250)
  expect(TestSocket.made).toHaveLength(2)
  expect(TestSocket.made[0]!.sent.map((frame) => frame.type)).toEqual(['ping', 'ping', 'ping', 'ping'])
})

test('a socket that does not answer after sleep is replaced', async () => {
  TestSocket.last.accept()
  dispatchEvent(new Event('pageshow'))
  await vi.advanceTimersByTimeAsync(4_000 + 250)
  expect(TestSocket.made).toHaveLength(2)
})

test('a draining server is left when it says, and heard until then', async () => {
  TestSocket.last.accept()
  TestSocket.last.say({ type: 'goaway', payload: { reconnect_after_ms: 3000 } })
  await vi.advanceTimersByTimeAsync(2_999)
  TestSocket.last.say({ type: 'typing', payload: { chat_id: 'x', is_typing: true, sender_type: 'agent' } })
  expect(frames).toHaveLength(1)
  await vi.advanceTimersByTimeAsync(1)
  expect(TestSocket.made).toHaveLength(2)
  expect(states).not.toContain('waiting')
})

test('an abandoned socket is not heard any more', async () => {
  const first = TestSocket.last
  first.accept()
  first.say({ type: 'goaway', payload: { reconnect_after_ms: 0 } })
  await tick()
  first.say({ type: 'typing', payload: { chat_id: 'x', is_typing: true, sender_type: 'agent' } })
  first.end(4501)
  expect(frames).toEqual([])
  expect(verdicts).toEqual([])
})
