/**
 * Between the customer's page and the shop's page around it: a product of the chat is opened there.
 *
 * Only a shop's page of this very server is spoken to so far, which is the demo shop. Without one
 * around it the customer's page has no product page to open, and its cards are no links.
 */
import type { InjectionKey } from 'vue'

export type OpenProduct = (id: string) => void
/** Provided where a product's page can be opened. */
export const openProductKey: InjectionKey<OpenProduct> = Symbol('open product')

const TYPE = 'kefu:open-product'

/** Null where nobody would hear it. */
export function openerAround(): OpenProduct | null {
  if (parent === window || !isOwn(parent)) return null
  return (id) => parent.postMessage({ type: TYPE, id }, location.origin)
}

function isOwn(other: Window): boolean {
  try {
    return other.location.origin === location.origin
  } catch {
    return false // of another site, which a browser does not even let us look at
  }
}

/** The product a message of the chat in `frame` asks for; null for every other message. */
export function askedIn(event: MessageEvent, frame: Window | null): string | null {
  if (event.origin !== location.origin || event.source !== frame) return null
  const { type, id } = (event.data ?? {}) as { type?: unknown; id?: unknown }
  return type === TYPE && typeof id === 'string' ? id : null
}
