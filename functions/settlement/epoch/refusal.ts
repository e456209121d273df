/** Stable codes of everything that stops a close before anything is written or signed. */
export type RefusalCode =
  | 'invalid-inputs'
  | 'inputs-missing'
  | 'torn-line'
  | 'not-utf8'
  | 'not-canonical'
  | 'invalid-receipt'
  | 'foreign-epoch'
  | 'conflicting-duplicate'
  | 'sequence-reused'
  | 'unknown-adapter'
  | 'unknown-terms'
  | 'unknown-account'
  | 'wrong-fee'
  | 'wrong-pools'
  | 'wrong-shares'
  | 'wrong-evidence'
  | 'cluster-owner-differs'
  | 'count-differs'
  | 'fees-differ'
  | 'previous-balances-differ'
  | 'previous-root-differs'
  | 'overflow'
  | 'calculators-differ'
  | 'root-differs'
  | 'wrong-proof'
  | 'wrong-signature'

/** The close stops: `code` is stable, `receiptId` names the receipt where there is one, `where` the file and line. */
export class EpochRefused extends Error {
  readonly code: RefusalCode
  readonly receiptId: string | undefined
  readonly where: string | undefined
  constructor(
    code: RefusalCode,
    detail: string,
    at: { receiptId?: string | undefined; where?: string | undefined } = {},
  ) {
    super([code, at.receiptId, at.where].filter(Boolean).join(' ').concat(`: ${detail}`))
    this.name = 'EpochRefused'
    this.code = code
    this.receiptId = at.receiptId
    this.where = at.where
  }
}
