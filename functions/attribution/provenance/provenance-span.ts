/** One row to be indexed; ids are unique within an index, texts hold no lone surrogates. */
export interface IndexRow {
  id: string
  text: string
}

/** A maximal stretch of a query that stands verbatim inside one row. */
export interface ProvenanceSpan {
  /** Byte offsets in the query's UTF-8, end exclusive. */
  start: number
  end: number
  /** Ids of rows that hold the bytes, ascending (JavaScript `<`): all when there are at most maxOwners, else maxOwners of them. */
  owners: string[]
  /** Number of distinct rows that hold the bytes. */
  ownerCount: number
}
