/**
 * Where in the shop we are: `#/product/<id>` is a product's page, all else is the shelf.
 *
 * A page of a product that is come to is a view, and how it was come to is its source.
 */
import { onBeforeUnmount, ref } from 'vue'
import { ViewTracker, type Source } from '../shared/views'

const PRODUCT = /^#\/product\/([0-9a-f-]{36})$/

export const addressOf = (id: string) => `#/product/${id}`
const idIn = (hash: string) => PRODUCT.exec(hash)?.[1] ?? null

export function useRoute(customerToken: string | null) {
  const productId = ref<string | null>(null)
  const views = new ViewTracker(customerToken)
  /** By what the next page is come to, once that is known. */
  let via: Source = 'direct'

  function arrive() {
    productId.value = idIn(location.hash)
    if (productId.value) views.view(productId.value, via)
    else views.leave()
    via = 'direct'
  }

  arrive()
  addEventListener('hashchange', arrive)
  onBeforeUnmount(() => {
    removeEventListener('hashchange', arrive)
    views.stop()
  })
  return {
    productId,
    /** A link to a product is followed. */
    follow: (source: Source) => (via = source),
    open(id: string, source: Source) {
      if (id === productId.value) return
      via = source
      location.hash = addressOf(id)
    },
  }
}
