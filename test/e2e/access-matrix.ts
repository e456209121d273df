import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { ROUTES, type RouteId } from '#schema/api'

/** Who calls, and one resource of each kind: of a contributor, a builder and a client, none of whom is the stranger. */
export interface Town {
  baseUrl: string
  tokens: Record<Role, string | undefined>
  ids: Record<string, string>
}
const ROLES = ['nobody', 'forger', 'client', 'builder', 'contributor', 'stranger', 'curator', 'operator'] as const
type Role = (typeof ROLES)[number]

/** What a person, a key or an operator may not do stands in the route's `access`; whose resource it is, stands here. */
const OK = 200
type Row = Partial<Record<Role, number>> & { others: number }
const everybody = (status: number): Row => ({ others: status })
const ROWS: Record<RouteId, Row> = {
  getAccount: everybody(OK),
  updateAccount: everybody(OK),
  linkPayer: everybody(400), // without an account
  createKey: everybody(400), // without a name
  listKeys: everybody(OK),
  revokeKey: everybody(404), // the client's key is nobody else's
  creditAccount: everybody(400),
  createDatanet: everybody(400),
  listDatanets: everybody(OK),
  getDatanet: everybody(OK),
  joinDatanet: everybody(201),
  contribute: everybody(400),
  getContribution: { contributor: OK, curator: OK, others: 404 },
  resumeUpload: { contributor: 409, curator: 403, others: 404 },
  completeUpload: { contributor: OK, curator: 403, others: 404 },
  withdrawContribution: everybody(400), // without saying which rows
  listRejectedRows: { contributor: OK, curator: OK, others: 404 },
  listVersions: everybody(OK),
  getVersion: everybody(OK),
  listBaseModels: everybody(OK),
  importBaseModel: everybody(400),
  completeBaseModel: everybody(OK),
  quoteRecipe: everybody(400),
  startTraining: everybody(400),
  getTraining: { builder: OK, others: 404 },
  getTrainingMetrics: { builder: OK, others: 404 },
  retryTraining: { builder: 409, others: 404 },
  getName: everybody(OK),
  promoteName: everybody(400),
  getAdapter: everybody(OK),
  chatCompletion: everybody(400),
  completion: everybody(400),
  listModels: everybody(OK),
  // Payer, owner of the adapter, payee and operator are parties to a receipt.
  getReceipt: { client: OK, builder: OK, contributor: OK, operator: OK, others: 404 },
  getReceiptProof: { client: OK, builder: OK, contributor: OK, operator: OK, others: 404 },
  listReceipts: everybody(OK),
  listReceiptKeys: everybody(OK),
  getPayee: everybody(OK),
  listEpochs: everybody(OK),
  closeEpoch: everybody(202),
}

const expected = (route: RouteId, role: Role): number => {
  const { access } = ROUTES[route]
  if (access !== 'public' && (role === 'nobody' || role === 'forger')) return 401
  const isPerson = role !== 'client'
  if ((access === 'person' || access === 'operator') && !isPerson) return 403
  if (access === 'operator' && role !== 'operator') return 403
  if (access === 'client' && isPerson) return 403
  return ROWS[route][role] ?? ROWS[route].others
}

interface Request {
  params?: Record<string, string>
  query?: string
  body?: string
}
const call = async (town: Town, route: RouteId, role: Role, request: Request = {}) => {
  const { method, path } = ROUTES[route]
  const ids = { ...town.ids, ...request.params }
  const url = `${town.baseUrl}${path.replace(/\{(\w+)\}/g, (_, name: string) => ids[name]!)}${request.query ?? ''}`
  const token = town.tokens[role]
  const reply = await fetch(url, {
    method,
    headers: { ...(token ? { authorization: `Bearer ${token}` } : {}), 'content-type': 'application/json' },
    ...('body' in ROUTES[route] ? { body: request.body ?? '{}' } : {}),
    signal: AbortSignal.timeout(60_000),
  })
  return { status: reply.status, text: await reply.text() }
}

/** Runs the work over the items, a few at a time. */
const each = async <Item>(items: Item[], work: (item: Item) => Promise<void>): Promise<void> => {
  const rest = items[Symbol.iterator]()
  await Promise.all(
    Array.from({ length: 6 }, async () => {
      for (const item of rest) await work(item)
    }),
  )
}

const routes = Object.keys(ROUTES) as RouteId[]
/** A role that the route lets in. */
const admitted = (route: RouteId): Role =>
  (({ public: 'nobody', any: 'builder', person: 'contributor', client: 'client', operator: 'operator' }) as const)[
    ROUTES[route].access
  ]
const isProblem = (text: string, status: number): boolean => {
  const { code, status: told, detail } = JSON.parse(text)
  return typeof code === 'string' && told === status && typeof detail === 'string'
}

export const accessMatrix = (town: () => Town): void => {
  test('every route x role x tenant is answered as it should be', { timeout: 300_000 }, async () => {
    const wrong: string[] = []
    // One role after the other: a cold function is then started once, not six times.
    await each(routes, async (route) => {
      for (const role of ROLES) {
        const { status, text } = await call(town(), route, role)
        const wanted = expected(route, role)
        const answer = `${route} as ${role}: ${status} ${text.slice(0, 200)}`
        if (status !== wanted) wrong.push(`${answer}, not ${wanted}`)
        else if (status >= 400 && !isProblem(text, status)) wrong.push(`${answer}: no problem document`)
      }
    })
    expect(wrong).toEqual([])
  })

  test('whatever is sent, no route answers with a fault of ours', { timeout: 300_000 }, async () => {
    const deep = `{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`
    const bodies = ['', 'null', '[]', '"text"', '{', deep, JSON.stringify({ text: '\u0000'.repeat(1000) }), '\xff\xfe']
    const hostile = ['%00', '..%2F..%2Fetc', 'x'.repeat(1500), '%F0%9F%92%A3', "'%20OR%201=1"]
    const queries = [
      '?cursor=garbage',
      '?cursor=bnVsbA',
      `?cursor=${foreignCursor()}`,
      '?limit=-1',
      '?limit=1e9',
      '?x=1',
    ]
    const requests: { route: RouteId; request: Request }[] = []
    for (const route of routes) {
      const definition: { path: string; query?: unknown; body?: unknown } = ROUTES[route]
      for (const [, name] of definition.path.matchAll(/\{(\w+)\}/g))
        for (const value of hostile) requests.push({ route, request: { params: { [name!]: value } } })
      if (definition.query) for (const query of queries) requests.push({ route, request: { query } })
      if (definition.body) for (const body of bodies) requests.push({ route, request: { body } })
    }
    const wrong: string[] = []
    await each(requests, async ({ route, request }) => {
      const { status, text } = await call(town(), route, admitted(route), request)
      const sent = JSON.stringify(request).slice(0, 80)
      if (status < 400 || status >= 500) wrong.push(`${route} ${sent}: ${status} ${text.slice(0, 200)}`)
      else if (!isProblem(text, status)) wrong.push(`${route} ${sent}: no problem document: ${text.slice(0, 200)}`)
    })
    expect(wrong).toEqual([])
  })
}

/** Well-formed, but of another list. */
const foreignCursor = (): string =>
  Buffer.from(
    JSON.stringify({
      PK: 'ACCOUNT#x',
      SK: 'x',
      GSI1PK: 'ACCOUNTS',
      GSI1SK: createHash('md5').update('').digest('hex'),
    }),
  ).toString('base64url')
