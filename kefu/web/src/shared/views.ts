/**
 * How long a product's page was looked at, told to the server when it is left or hidden.
 *
 * Only time in which the page was visible counts, added up over all of its looks. A view is told
 * once, when it has become long enough; the server sees to it that nobody counts twice in a day.
 * It goes by sendBeacon, which outlives the page but can set no headers: who looks is in the body.
 */
import { newId } from './ids'
import { keep } from './keep'

export type Source = 'search' | 'category' | 'recommendation' | 'direct'

/** What the server would not count is not sent. */
export const COUNTED_FROM_MS = 3_000

interface Viewing {
  productId: string
  source: Source
  dwellMs: number
  /** Since when it has been visible without a pause; null while it is not. */
  since: number | null
  isTold: boolean
}

/** A guest by a session of their own; whoever is known to the chat by the token they have there. */
const session = keep<string>('local', 'kefu.viewer')
const guest = keep<string>('local', 'kefu.guest_token')

function sessionId(): string {
  const id = session.get() ?? newId()
  session.set(id)
  return id
}

const now = () => performance.now()

export class ViewTracker {
  private viewing: Viewing | null = null

  /** `token` is the signed-in customer's, if the shop gave one to the page. */
  constructor(private readonly token: string | null = null) {
    document.addEventListener('visibilitychange', this.seen)
    addEventListener('pageshow', this.seen)
    addEventListener('pagehide', this.hidden)
  }

  /** The page of this product is there now; the one before it has been left. */
  view(productId: string, source: Source): void {
    this.leave()
    this.viewing = { productId, source, dwellMs: 0, since: null, isTold: false }
    this.seen()
  }

  leave(): void {
    this.hidden()
    this.viewing = null
  }

  stop(): void {
    this.leave()
    document.removeEventListener('visibilitychange', this.seen)
    removeEventListener('pageshow', this.seen)
    removeEventListener('pagehide', this.hidden)
  }

  private readonly seen = (): void => {
    if (document.visibilityState === 'hidden') this.hidden()
    else if (this.viewing) this.viewing.since ??= now()
  }

  private readonly hidden = (): void => {
    const viewing = this.viewing
    if (!viewing || viewing.since === null) return
    viewing.dwellMs += now() - viewing.since
    viewing.since = null
    if (!viewing.isTold && viewing.dwellMs > COUNTED_FROM_MS) viewing.isTold = this.tell(viewing)
  }

  private tell({ productId, source, dwellMs }: Viewing): boolean {
    const token = this.token ?? guest.get()
    const view = { source, dwell_ms: Math.round(dwellMs), session_id: sessionId(), ...(token && { token }) }
    return navigator.sendBeacon(`/api/products/${encodeURIComponent(productId)}/views`, JSON.stringify(view))
  }
}
