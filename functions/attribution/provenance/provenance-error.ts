/** Stable codes of everything that this room refuses. */
export type ProvenanceErrorCode =
  | 'INDEX_FOREIGN' // not a provenance index, or one of other rows than its shard's
  | 'INDEX_NEWER' // written by a newer format than this code reads
  | 'INDEX_TRUNCATED' // shorter than its header says
  | 'INDEX_CORRUPT' // a checksum or a length does not hold
  | 'ROW_NOT_UNICODE' // an id or text holds a lone surrogate, so it has no UTF-8
  | 'ROW_REPEATED' // two rows with one id
  | 'SHARD_TOO_LARGE' // more text than one shard may hold
  | 'BAD_QUERY' // minLength, maxOwners or a pattern out of range

export class ProvenanceError extends Error {
  override readonly name = 'ProvenanceError'
  readonly code: ProvenanceErrorCode
  constructor(code: ProvenanceErrorCode, message: string) {
    super(message)
    this.code = code
  }
}
