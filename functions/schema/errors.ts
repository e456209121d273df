/** Stable error codes and the HTTP status that each one has at every door (RFC 9457, section 3.1). */
export const ERRORS = {
  'invalid-request': 400,
  'invalid-json': 400,
  'context-length-exceeded': 400,
  unauthenticated: 401,
  'insufficient-balance': 402,
  'budget-exceeded': 402,
  forbidden: 403,
  'address-not-proved': 403,
  'not-found': 404,
  'model-not-found': 404,
  conflict: 409,
  'already-exists': 409,
  'address-taken': 409,
  'request-in-flight': 409,
  'stale-version': 409,
  'wrong-state': 409,
  'upload-missing': 409,
  gone: 410,
  'payload-too-large': 413,
  'unsupported-media-type': 415,
  'checksum-mismatch': 422,
  'rate-limited': 429,
  overloaded: 503,
  'waking-up': 503,
  unavailable: 503,
  internal: 500,
} as const

export type ErrorCode = keyof typeof ERRORS

/**
 * The one error that domain code throws on purpose. `detail` is for the caller and says what to do;
 * `param` names the field that was refused; `retryAfter` is in seconds.
 */
export class OpenLedgerError extends Error {
  readonly code: ErrorCode
  readonly param: string | undefined
  readonly retryAfter: number | undefined
  constructor(code: ErrorCode, detail: string, options: { param?: string; retryAfter?: number; cause?: unknown } = {}) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'OpenLedgerError'
    this.code = code
    this.param = options.param
    this.retryAfter = options.retryAfter
  }
  get status(): number {
    return ERRORS[this.code]
  }
}
