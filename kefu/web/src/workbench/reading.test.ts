import { afterEach, expect, test, vi } from 'vitest'

vi.mock('./signin', () => ({ freshToken: async () => 'secret' }))
const { read } = await import('./reading')

const never = new AbortController().signal
afterEach(() => vi.unstubAllGlobals())

test('the token travels as a header', async () => {
  const server = vi.fn(async (_path: string, _options: RequestInit) => Response.json({ success: true }))
  vi.stubGlobal('fetch', server)
  expect(await read('/api/x', never)).toEqual({ success: true })
  expect(server.mock.calls[0]![0]).toBe('/api/x')
  expect(server.mock.calls[0]![1].headers).toEqual({ Authorization: 'Bearer secret' })
})

test.each([
  ['a refusal', async () => new Response('{}', { status: 403 })],
  ['what is no JSON', async () => new Response('<html>')],
  ['a dead network', async () => Promise.reject(new TypeError('network'))],
])('%s is nothing, and throws nothing', async (_name, fetched) => {
  vi.stubGlobal('fetch', fetched)
  expect(await read('/api/x', never)).toBeNull()
})

test('what nobody waits for any more is nothing', async () => {
  const gone = new AbortController()
  vi.stubGlobal('fetch', async () => {
    gone.abort()
    return Response.json({ success: true })
  })
  expect(await read('/api/x', gone.signal)).toBeNull()
})
