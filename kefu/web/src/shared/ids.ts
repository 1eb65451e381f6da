/** An id nobody can guess. Not crypto.randomUUID: that is missing on plain-http pages of a local network. */
export const newId = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('')
