import type { Row } from '#schema/datanets'
import type { RowRefusal } from './refusals.ts'

/** What a record says, whatever its format: `text` is what is indexed and attributed, the rest is for training. */
export interface RowContent {
  text: string
  prompt?: string
  completion?: string
  messages?: NonNullable<Row['messages']>
}

/** `row` counts records from 0, in file order; `start` and `end` are byte offsets in the original upload, end exclusive. */
interface Place {
  row: number
  start: number
  end: number
}
export interface Refused {
  code: RowRefusal
  detail: string
}
export type SplitRow = Place & ({ content: RowContent } | Refused)

export const refused = (code: RowRefusal, detail: string): Refused => ({ code, detail })
export const isRefused = (value: object): value is Refused => 'code' in value
