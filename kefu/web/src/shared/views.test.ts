import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { ViewTracker } from './views'

let sent: { path: string; body: { source: string; dwell_ms: number; session_id: string; token?: string } }[]
let tracker: ViewTracker
let isHidden: boolean
const pass = (ms: number) => vi.advanceTimersByTime(ms)
const show = (hidden: boolean) => {
  isHidden = hidden
  document.dispatchEvent(new Event('visibilitychange'))
}
const beacon = vi.fn((path: string, body: string) => sent.push({ path, body: JSON.parse(body) }) > 0)

beforeEach(() => {
  vi.useFakeTimers()
  localStorage.clear()
  sent = []
  isHidden = false
  beacon.mockClear()
  Object.defineProperty(navigator, 'sendBeacon', { value: beacon, configurable: true })
  Object.defineProperty(document, 'visibilityState', { get: () => (isHidden ? 'hidden' : 'visible'), configurable: true })
  tracker = new ViewTracker()
})
afterEach(() => {
  tracker.stop()
  vi.useRealTimers()
})

test('a look at a page is told when the page is left for another, with its time and source', () => {
  tracker.view('tent', 'category')
  pass(4_000)
  expect(sent).toEqual([])
  tracker.view('pack', 'recommendation')
  expect(sent).toMatchObject([{ path: '/api/products/tent/views', body: { source: 'category', dwell_ms: 4_000 } }])
})

test.each([2_999, 3_000])('a look of %i ms counts nowhere and is not told', (ms) => {
  tracker.view('tent', 'direct')
  pass(ms)
  tracker.leave()
  expect(sent).toEqual([])
})

test('a hidden page is not looked at, and looks add up', () => {
  tracker.view('tent', 'direct')
  pass(2_000)
  show(true)
  pass(60_000)
  show(false)
  pass(1_500)
  tracker.leave()
  expect(sent.map((each) => each.body.dwell_ms)).toEqual([3_500])
})

test('a page that was opened in the background is looked at once it is shown', () => {
  isHidden = true
  tracker.view('tent', 'direct')
  pass(60_000)
  show(false)
  pass(3_500)
  tracker.leave()
  expect(sent.map((each) => each.body.dwell_ms)).toEqual([3_500])
})

test('a page that is hidden, put away and come back to tells once', () => {
  tracker.view('tent', 'direct')
  pass(5_000)
  show(true)
  dispatchEvent(new Event('pagehide'))
  show(false)
  dispatchEvent(new Event('pageshow'))
  pass(5_000)
  dispatchEvent(new Event('pagehide'))
  tracker.leave()
  expect(sent).toHaveLength(1)
})

test('a view the browser would not take is told the next time', () => {
  beacon.mockReturnValueOnce(false)
  tracker.view('tent', 'direct')
  pass(4_000)
  show(true)
  show(false)
  pass(1_000)
  tracker.leave()
  expect(sent.map((each) => each.body.dwell_ms)).toEqual([5_000])
})

test('a guest is one session over all visits, and whom the chat knows from then on', () => {
  const look = () => {
    tracker.view('tent', 'direct')
    pass(4_000)
    tracker.leave()
  }
  look()
  tracker.stop()
  tracker = new ViewTracker()
  localStorage.setItem('kefu.guest_token', '"guest"')
  look()
  expect(sent[0]?.body.session_id).toMatch(/^[0-9a-f]{32}$/)
  expect(sent[1]?.body.session_id).toBe(sent[0]?.body.session_id)
  expect(sent.map((each) => each.body.token)).toEqual([undefined, 'guest'])
  tracker.stop()
  tracker = new ViewTracker('signed')
  look()
  expect(sent[2]?.body.token).toBe('signed')
})
