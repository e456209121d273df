import { OpenLedgerError } from './errors.ts'

/** Where a query of DynamoDB looks: what a cursor of it must stay within. */
export interface CursorScope {
  partition: { name: string; value: string }
  /** Sort keys of the query begin with `prefix`. */
  sort: { name: string; prefix?: string | undefined }
}

/** The cursor of the next page, from DynamoDB's LastEvaluatedKey. */
export const cursorOf = (last: Record<string, unknown> | undefined): string | null =>
  last ? Buffer.from(JSON.stringify(last)).toString('base64url') : null

/**
 * DynamoDB's ExclusiveStartKey from a cursor. A cursor comes from outside: one that names other attributes, another
 * partition or a place beyond the query is refused here; DynamoDB would answer it with an exception of its own.
 * @throws OpenLedgerError invalid-request, param `cursor`
 */
export const startKeyOf = (cursor: string, { partition, sort }: CursorScope): Record<string, string> => {
  const key = decode(cursor)
  const wanted = [...new Set(['PK', 'SK', partition.name, sort.name])].sort().join()
  const sound =
    Object.keys(key).sort().join() === wanted &&
    Object.values(key).every((value) => typeof value === 'string' && value !== '') &&
    key[partition.name] === partition.value &&
    (key[sort.name] as string).startsWith(sort.prefix ?? '')
  if (!sound) throw refused()
  return key as Record<string, string>
}

const decode = (cursor: string): Record<string, unknown> => {
  try {
    const key = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'))
    if (typeof key === 'object' && key !== null) return key
  } catch {} // refused below
  throw refused()
}

const refused = () =>
  new OpenLedgerError('invalid-request', 'cursor: take it unchanged from the page before', { param: 'cursor' })
