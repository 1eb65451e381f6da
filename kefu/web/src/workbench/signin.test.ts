import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { complaint, refresh, session, signIn, signOut } from './signin'

const signedIn = (n: number) => ({
  success: true,
  token: `token-${n}`,
  refresh_token: `refresh-${n}`,
  expires_in: 3600,
  agent: { id: 'me', name: '张三', role: 'agent' },
})
const answer = (status: number, body: object, headers = {}) => new Response(JSON.stringify(body), { status, headers })
const server = vi.fn<(path: string, options: RequestInit) => Promise<Response>>()

beforeEach(async () => {
  vi.useFakeTimers()
  vi.stubGlobal('fetch', server)
  server.mockReset()
  server.mockResolvedValueOnce(answer(200, signedIn(1)))
  await signIn('zhang', 'good-pass-1')
})
afterEach(() => {
  signOut('over')
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

test('a new token is fetched before the old one expires', async () => {
  server.mockResolvedValueOnce(answer(200, signedIn(2)))
  await vi.advanceTimersByTimeAsync((3600 - 90) * 1000)
  expect(session.value?.token).toBe('token-2')
})

test('refreshes that overlap are one request', async () => {
  server.mockResolvedValueOnce(answer(200, signedIn(2)))
  await Promise.all([refresh(), refresh()])
  expect(server).toHaveBeenCalledTimes(2)
})

test('a refused refresh signs out and says so', async () => {
  server.mockResolvedValueOnce(answer(401, { error: 'no' }))
  const outcome = refresh()
  await vi.advanceTimersByTimeAsync(1_000)
  expect(await outcome).toBe(false)
  expect(session.value).toBeNull()
  expect(complaint.value).not.toBe('')
})

test('a refresh refused because a sibling tab was first adopts what the sibling got', async () => {
  server.mockResolvedValueOnce(answer(401, { error: 'no' }))
  const outcome = refresh()
  const sibling = new BroadcastChannel('kefu.agent')
  sibling.postMessage({ from: 'refresh-1', answer: signedIn(2) })
  await vi.waitUntil(() => session.value?.token === 'token-2')
  await vi.advanceTimersByTimeAsync(1_000)
  expect(await outcome).toBe(true)
  sibling.close()
})

test('a server that cannot be reached signs nobody out and is asked again', async () => {
  server.mockRejectedValueOnce(new TypeError('network'))
  expect(await refresh()).toBe(true)
  expect(session.value?.token).toBe('token-1')
  server.mockResolvedValueOnce(answer(200, signedIn(2)))
  await vi.advanceTimersByTimeAsync(15_000)
  expect(session.value?.token).toBe('token-2')
})

test('too many attempts are told with the wait', async () => {
  server.mockResolvedValueOnce(answer(429, { error: 'slow down' }, { 'Retry-After': '840' }))
  await signIn('zhang', 'x')
  expect(complaint.value).toContain('14:00')
})
