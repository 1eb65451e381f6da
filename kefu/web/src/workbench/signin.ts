/**
 * Who is signed in at this tab: tokens, and getting new ones before they expire.
 *
 * A refresh token is good once, so refreshes share one request, and a duplicated tab is handed what
 * its sibling got. Only a refusal (401) signs out; a server that cannot be reached does not.
 */
import { ref, shallowRef } from 'vue'
import { keep, takeFromUrl } from '../shared/keep'
import { elapsed } from '../shared/clock'
import type { SignedIn } from '../shared/protocol'
import { refusalText, t } from './words'

export interface Session extends SignedIn {
  /** When to ask for a new token, in ms since the epoch. */
  refreshAt: number
}

class Refusal extends Error {
  constructor(
    readonly status: number,
    sentence: string,
  ) {
    super(sentence)
  }
}

const ANSWER_WITHIN_MS = 10_000
const RETRY_MS = 15_000
const SIBLING_WITHIN_MS = 1_000

const kept = keep<Session>('session', 'kefu.agent')
export const session = shallowRef<Session | null>(kept.get())
/** A sentence to show above the form. */
export const complaint = ref('')

/** Between the tabs that hold the same tokens: "`from` was exchanged for this". */
const siblings = new BroadcastChannel('kefu.agent')
siblings.onmessage = ({ data }: MessageEvent<{ from: string; answer: SignedIn }>) => {
  if (session.value?.refresh_token === data.from) adopt(data.answer)
}

let timer: ReturnType<typeof setTimeout> | undefined
let refreshing: Promise<boolean> | null = null

async function ask(path: string, body: object): Promise<SignedIn> {
  let answer: Response
  try {
    answer = await fetch(path, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
    })
  } catch {
    throw new Refusal(0, t('unreachable'))
  }
  const content = (await answer.json().catch(() => ({}))) as SignedIn & { error?: string }
  if (answer.ok) return content
  if (answer.status === 429) {
    const wait = elapsed(Number(answer.headers.get('Retry-After') ?? 60))
    throw new Refusal(429, t('tooOften', { wait }))
  }
  throw new Refusal(answer.status, content.error ?? refusalText('INTERNAL')!)
}

function adopt(answer: SignedIn): void {
  const refreshAt = Date.now() + Math.max(30, answer.expires_in - 90) * 1000
  session.value = { ...answer, refreshAt }
  kept.set(session.value)
  complaint.value = ''
  plan(refreshAt)
}

function plan(when: number): void {
  clearTimeout(timer)
  timer = setTimeout(() => void refresh(), Math.max(0, when - Date.now()))
}

export function signOut(why = ''): void {
  clearTimeout(timer)
  const token = session.value?.token
  session.value = null
  kept.set(null)
  complaint.value = why
  if (token && !why) {
    void fetch('/api/agent/logout', { method: 'POST', headers: { Authorization: `Bearer ${token}` }, keepalive: true }).catch(() => {})
  }
}

/** False when nobody is signed in any more; true when there is a token worth trying. */
export function refresh(): Promise<boolean> {
  refreshing ??= exchange().finally(() => (refreshing = null))
  return refreshing
}

async function exchange(): Promise<boolean> {
  if (!session.value) return false
  const from = session.value.refresh_token
  try {
    const answer = await ask('/api/agent/refresh', { refresh_token: from })
    adopt(answer)
    siblings.postMessage({ from, answer })
  } catch (error) {
    if (error instanceof Refusal && error.status === 401) {
      await new Promise((resolve) => setTimeout(resolve, SIBLING_WITHIN_MS))
      if (session.value && session.value.refresh_token !== from) return true
      signOut(t('signedOut'))
      return false
    }
    plan(Date.now() + RETRY_MS)
  }
  return true
}

/** The present access token, exchanged first when it is about to expire. */
export async function freshToken(): Promise<string | null> {
  if (session.value && Date.now() >= session.value.refreshAt) await refresh()
  return session.value?.token ?? null
}

async function enter(path: string, body: object, refused: string): Promise<void> {
  try {
    adopt(await ask(path, body))
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    complaint.value = error.status === 401 ? refused : error.message
  }
}

export const signIn = (username: string, password: string) =>
  enter('/api/agent/login', { username, password }, t('wrongPassword'))

/** A one-time link `/agent#link=...` wins over whoever was signed in here. */
export async function begin(): Promise<void> {
  const link = takeFromUrl('link')
  if (link) {
    session.value = null
    await enter('/api/agent/link', { token: link }, t('linkSpent'))
  } else if (session.value) plan(session.value.refreshAt)
}
