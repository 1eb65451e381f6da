/**
 * One remembered value. Storage may be forbidden (private windows, iframes): then it is remembered
 * for as long as the page lives, and nothing breaks.
 */
export interface Kept<T> {
  get(): T | null
  set(value: T | null): void
}

export function keep<T>(where: 'local' | 'session', key: string): Kept<T> {
  let memory: T | null = null
  const storage = () => (where === 'local' ? localStorage : sessionStorage)
  return {
    get() {
      try {
        const text = storage().getItem(key)
        return text === null ? memory : (JSON.parse(text) as T)
      } catch {
        return memory
      }
    },
    set(value) {
      memory = value
      try {
        if (value === null) storage().removeItem(key)
        else storage().setItem(key, JSON.stringify(value))
      } catch {
        // kept in memory only
      }
    },
  }
}

/** Reads a secret from `?name=` or `#name=` and takes it out of the address bar at once. */
export function takeFromUrl(name: string): string | null {
  const url = new URL(location.href)
  const fragment = new URLSearchParams(url.hash.slice(1))
  const value = url.searchParams.get(name) ?? fragment.get(name)
  if (value === null) return null
  url.searchParams.delete(name)
  if (fragment.has(name)) {
    fragment.delete(name)
    url.hash = fragment.toString()
  }
  history.replaceState(history.state, '', url)
  return value
}
