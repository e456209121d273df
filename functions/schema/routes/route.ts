import * as z from 'zod'

/** Who may call at all; whose resource it is, the domain decides. `any` = a person or an API key. */
type Access = 'public' | 'any' | 'person' | 'client' | 'operator'

export interface Route {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  path: string
  /** `<room>/<verb-noun>`: the file functions/<room>/<verb-noun>.handler.ts */
  door: string
  access: Access
  summary: string
  params?: z.ZodObject
  query?: z.ZodObject
  body?: z.ZodType
  reply: z.ZodType
  status?: 200 | 201 | 202
  stream?: boolean
}

/** Lists page by cursor. */
export const Page = {
  cursor: z.string().max(2000).optional(),
  limit: z.coerce.number().int().min(1).max(200).default(50),
}
export const page = <Item extends z.ZodType>(item: Item) =>
  z.strictObject({ items: z.array(item), cursor: z.string().nullable() })

/** A presigned PUT: send exactly these headers with the bytes, before `expiresAt`. */
export const PresignedPut = z.strictObject({ url: z.string(), headers: z.record(z.string(), z.string()) })
